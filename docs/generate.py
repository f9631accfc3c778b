"""Writes the pages that would go stale if people wrote them: `make docs`. With --check it writes nothing and fails on a stale one."""

# ruff: noqa: T201
from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

ENVIRONMENT_HEAD = """\
# Environment variables

Every variable that llmring reads, and nothing else: `src/llmring/env.py` is the list, this page is made from it by `make docs`.
None is read at import. A blank value counts as unset; a yes/no variable says yes with 1, true, yes or on.

`./.env` fills in what the environment does not set. It is a file of a repository, which may be anybody's, so it does not say
everything: `LLMRING_CONFIG`, `LLMRING_LOCKFILE_PATH`, `LLMRING_AUTO_UPLOAD`, `XDG_CONFIG_HOME`, `HOME`, proxies and `SSL_CERT_*` are not taken from it,
a base URL is only where the provider's key is from there too or there is none, and `${NAME}` in it stays as it is.
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


FEATURES_HEAD = """\
# Features by dialect

What each dialect can say, as far as llmring is concerned: "yes" is a case of `tests/wire/cases` that `make test` runs over a
connection, judged by the vendor's own SDK; a number is a limit of the vendor's, explained below, and what becomes of a request
that asks for it all the same. A provider is a row of `src/llmring/providers/table.py` and names its dialect.
"""


def features_page() -> str:
    """docs/features.md, from the matrix that tests/wire/test_matrix.py proves."""
    sys.path.insert(0, str(ROOT))
    from tests.wire.matrix import FEATURES, cells, dialects

    names = dialects()
    table = {name: cells(name) for name in names}
    notes: list[str] = []
    rows = [f"| feature | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for key, feature in FEATURES.items():
        shown: list[str] = []
        for name in names:
            cell = table[name].get(key)
            if isinstance(cell, dict):
                notes.append(f"`{name}`, {feature.title}: {_limit_note(cell)}")
                shown.append(f"[{len(notes)}](#limits)")
            else:
                shown.append("?" if cell is None else "yes")
        rows.append(f"| {feature.title} | {' | '.join(shown)} |")
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, start=1)]
    return "\n".join([FEATURES_HEAD, *rows, "", "## Limits", "", *numbered, ""])


def _limit_note(cell: dict[str, Any]) -> str:
    becomes = {"refused": " Refused before anything is sent.", "left_out": " Left out, with a warning on the response."}
    said = next((text for key, text in becomes.items() if key in cell and "fetched" not in cell), "")
    return f"{cell['limit'].rstrip('.')}.{said} [Source]({cell['url']}), {cell['date']}."


PROVIDERS_HEAD = """\
# Providers

Every provider that llmring knows: a row of `src/llmring/providers/table.py`, from which this page is made. `provider:model` calls
one, an alias of the lockfile names them in order. What the dialects can say: [features](features.md). Any other server that speaks
one of them is declared with a base URL, in code or in a file:
`LLMRing(providers={"mine": {"base_url": "https://models.example.org/v1", "key_variable": "MINE_API_KEY"}})`.
"""


def providers_page() -> str:
    """docs/providers.md, from the table of providers."""
    from llmring.providers.table import PROVIDERS

    lines = [PROVIDERS_HEAD, "| provider | dialect | base URL | key | base URL from |", "|---|---|---|---|---|"]
    for row in PROVIDERS.values():
        cloud = row.find_base_url is not None
        keys = " or ".join(f"`{name}`" for name in row.key_variables)
        keys = keys or ("[of the cloud](cloud-providers.md)" if cloud else "none")
        where = "[set-up](cloud-providers.md)" if cloud else f"`{row.base_url}`"
        variable = f"`{row.base_url_variable}`" if row.base_url_variable else ""
        lines.append(f"| `{row.name}` | `{row.dialect}` | {where} | {keys} | {variable} |")
    return "\n".join([*lines, ""])


PAGES = {
    "docs/environment.md": environment_page,
    "docs/features.md": features_page,
    "docs/providers.md": providers_page,
}


def main(arguments: list[str]) -> int:
    check = arguments == ["--check"]
    if arguments and not check:
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, make in PAGES.items():
        page, path = make(), ROOT / name
        if path.exists() and path.read_text() == page:
            continue
        if check:
            print(f"error: {name} is stale; run `make docs`", file=sys.stderr)
            stale = 1
        else:
            path.write_text(page)
            print(f"wrote {name}")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
