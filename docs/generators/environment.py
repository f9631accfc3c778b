"""docs/environment.md: every variable that llmring reads, from the constants and comments of env.py."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from . import ROOT

ENVIRONMENT_HEAD = """\
# Environment variables

Every variable that llmring reads, and nothing else: `src/llmring/env.py` is the list, this page is made from it by `make docs`.
None is read at import. A blank value counts as unset; a yes/no variable says yes with 1, true, yes or on.

`./.env` fills in what the environment does not set. It is a file of a repository, which may be anybody's, so it does not say
everything: `LLMRING_CONFIG`, `LLMRING_LOCKFILE_PATH`, `LLMRING_AUTO_UPLOAD`, `LLMRING_CACHE_DIR`, `HOME`, `GOOGLE_APPLICATION_CREDENTIALS`,
`XDG_*`, `*_PROXY` and `SSL_CERT_*` are not taken from it, a base URL is only where the provider's key is from there too or there is
none, and `${NAME}` in it stays as it is.
"""


def environment_page() -> str:
    """docs/environment.md, from the constants and comments of env.py."""
    lines = [ENVIRONMENT_HEAD]
    for section, rows in _environment_sections():
        title = section if section.startswith("llmring") else section.capitalize()
        lines += [f"## {title}", "", "| variable | what it does |", "|---|---|"]
        lines += [f"| `{name}` | {meaning} |" for name, meaning in rows]
        lines.append("")
    return "\n".join(lines)


def _environment_sections() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    source = (ROOT / "src" / "llmring" / "env.py").read_text()
    constants = {
        node.lineno: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and node.value is not None
    }
    section, rows = "", list[tuple[str, str]]()
    for number, line in enumerate(source.splitlines(), start=1):
        if line.startswith("# "):
            if rows:
                yield section, rows
            section, rows = line.removeprefix("# "), []
        elif number in constants:
            _, separator, meaning = line.partition("  # ")
            if not separator:
                raise SystemExit(f"env.py:{number}: {constants[number]} has no comment to make a line of")
            rows.append((constants[number], meaning))
    if rows:
        yield section, rows
