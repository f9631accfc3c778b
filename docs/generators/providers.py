"""docs/providers.md: every provider, from the table of providers."""

from __future__ import annotations

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
