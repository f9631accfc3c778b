"""A registry file as bytes, in the one form that is committed: sorted, one fact a line, so that a diff shows facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from llmring.registry.parse import SCHEMA, Fact, RegistryFile

_GROUPS = ("caps", "price")


def render_registry(file: RegistryFile) -> bytes:
    """The file that `parse_registry` reads back as the same."""
    sources = [
        f'    {_text(key)}: {{"what": {_text(source.what)}, "url": {_text(source.url)}, "date": {_text(source.date)}}}'
        for key, source in sorted(file.sources.items())
    ]
    models = [f"    {_text(name)}: {_model(facts)}" for name, facts in sorted(file.facts.items())]
    lines = [
        "{",
        f'  "schema": {_text(SCHEMA)},',
        f'  "provider": {_text(file.provider)},',
        f'  "as_of": {_text(file.as_of)},',
        f'  "sources": {_object(sources, "  ")},',
        f'  "models": {_object(models, "  ")}',
        "}",
        "",
    ]
    return "\n".join(lines).encode()


def _model(facts: Mapping[str, Fact]) -> str:
    lines: list[tuple[str, str]] = [
        (name, f"      {_text(name)}: {_fact(fact)}") for name, fact in facts.items() if "." not in name
    ]
    for group in _GROUPS:
        within = sorted((name.partition(".")[2], fact) for name, fact in facts.items() if name.startswith(f"{group}."))
        if within:
            rows = [f"        {_text(kind)}: {_fact(fact)}" for kind, fact in within]
            lines.append((group, f"      {_text(group)}: {_object(rows, '      ')}"))
    return _object([line for _, line in sorted(lines)], "    ")


def _object(lines: Iterable[str], indent: str) -> str:
    inner = ",\n".join(lines)
    return f"{{\n{inner}\n{indent}}}" if inner else "{}"


def _fact(fact: Fact) -> str:
    return f'{{"value": {_text(fact.value)}, "source": {_text(fact.source)}}}'


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"  # pyright: ignore[reportUnknownArgumentType]
    return orjson.dumps(value).decode()
