"""docs/reference/findings.md: what the lock's commands find, each by its stable id, with what it means and its exit code."""

from __future__ import annotations

from llmring.lockfile.finding import EXIT_CODES
from llmring.lockfile.reports import MEANINGS

_PAGE = """\
# Findings of the lock

What `llmring lock` and its subcommands find, by ids that do not change: `--json`, `--format sarif`, `--format github` and
`[[audit.ignore]]` of the manifest use them. This page is made from the code.

| id | means | exit code |
|---|---|---|
{rows}

The exit code is that of a finding which is an `error`. A `warning` or a `note` has none: where nothing else was found the command
ends with 0. Of several the worst counts: 4, then 2, 3, 1.

| code | means | what a pipeline does |
|---|---|---|
| 0 | fine | goes on |
| 1 | act: stale, missing, not satisfied, retired, dearer | fails; somebody changes manifest or lock |
| 2 | bad input: a file or option that cannot be read. No finding, an [error](errors.md) | fails; somebody repairs the file |
| 3 | could not be determined: a source, key or fact is missing | fails where the answer matters; tried again later |
| 4 | refused: a row or digest is not what was locked, or facts went back in time | fails; somebody looks before anything else is done |

In JSON a finding is an object: `id`, `severity`, `subject` (`profile/alias` or `provider:model`), `message`, and where there is one
`hint`, `source` and `facts`.

A finding of `lock audit` can be set aside until a day, with a reason that the next reader sees. What is refused (4) cannot:

```toml
schema = "1"

[alias.fast]
models = ["openai:gpt-5.4-nano"]

[[audit.ignore]]
id = "model.retiring:openai:gpt-5.4-nano-2026-03-17"
until = 2027-03-01
reason = "the migration is planned for February"
```

The id is that of the finding, a colon, and its subject: the model as it is locked.
"""


def page() -> str:
    """The page's text."""
    if set(MEANINGS) != set(EXIT_CODES):
        raise SystemExit(f"finding.py and reports.py differ: {sorted(set(MEANINGS) ^ set(EXIT_CODES))}")
    rows = [f"| `{id}` | {MEANINGS[id]} | {EXIT_CODES[id]} |" for id in sorted(EXIT_CODES)]
    return _PAGE.format(rows="\n".join(rows))
