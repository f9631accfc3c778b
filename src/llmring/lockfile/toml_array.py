"""An array of strings in TOML, changed in place: what stays keeps its spelling, its comments and its line. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import tomli

_TOKEN: Final = re.compile(r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|,""")


@dataclass(slots=True)
class _Item:
    """A string of the array. start, end: of it; stop: behind its comma, or `end` where it has none."""

    value: str
    start: int
    end: int
    stop: int


def replace_strings(text: str, wanted: Sequence[str]) -> str:
    """`text`, an array from bracket to bracket, with these strings in this order."""
    items = _read(text)
    if not items:
        return f"[{', '.join(map(_quote, wanted))}]"
    before = [item.value for item in items]
    splices: list[tuple[int, int, str]] = []
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, before, list(wanted), autojunk=False
    ).get_opcodes():
        if kind == "equal":
            continue
        old, new = items[start:end], [_quote(value) for value in wanted[new_start:new_end]]
        for item, value in zip(old, new, strict=False):
            splices += _exchange(text, item, value)
        if len(old) > len(new):
            splices += _remove(text, items, start + len(new), end)
        elif len(new) > len(old):
            splices += _insert(text, items, end, new[len(old) :])
    made, done = "", 0
    for start, end, put in sorted(splices, key=lambda splice: splice[:2]):
        made += text[done:start] + put
        done = end
    return made + text[done:]


def _read(text: str) -> list[_Item]:
    items: list[_Item] = []
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token == ",":
            items[-1].stop = found.end()
        elif not token.startswith("#"):
            value = tomli.loads(f"x = {token}")["x"]
            items.append(_Item(value, found.start(), found.end(), found.end()))
    return items


def _quote(value: str) -> str:
    return orjson.dumps(value).decode()  # what JSON escapes, TOML escapes alike


def _exchange(text: str, item: _Item, value: str) -> list[tuple[int, int, str]]:
    """Another string in its place. A comment behind it on a line of its own was about the old one."""
    made = [(item.start, item.end, value)]
    if _stands_alone(text, item):
        stop = _end_of_line(text, item.stop)
        made.append((item.stop, stop, ""))
    return made


def _insert(text: str, items: list[_Item], place: int, new: list[str]) -> list[tuple[int, int, str]]:
    if place == 0:
        gap = text[_start_of_line(text, items[0].start) - 1 : items[0].start] if _is_first(text, items[0]) else " "
        return [(items[0].start, items[0].start, "".join(f"{value},{gap}" for value in new))]
    left = items[place - 1]
    if not _stands_alone(text, left):
        return [(left.end, left.end, "".join(f", {value}" for value in new))]
    line = _start_of_line(text, left.start)
    gap = "\n" + text[line : left.start]
    stop = _end_of_line(text, left.stop)
    if left.stop > left.end:
        return [(stop, stop, "".join(f"{gap}{value}," for value in new))]
    return [(left.end, left.end, ","), (stop, stop, ",".join(f"{gap}{value}" for value in new))]


def _remove(text: str, items: list[_Item], start: int, end: int) -> list[tuple[int, int, str]]:
    gone = items[start:end]
    if all(_stands_alone(text, item) for item in gone):
        return [(_start_of_line(text, item.start), _end_of_line(text, item.stop) + 1, "") for item in gone]
    if end < len(items) and "\n" not in text[gone[-1].end : items[end].start]:
        return [(gone[0].start, items[end].start, "")]
    if start > 0 and "\n" not in text[items[start - 1].end : gone[0].start]:
        return [(items[start - 1].end, gone[-1].end, "")]
    return [(gone[0].start, gone[-1].stop, "")]


def _is_first(text: str, item: _Item) -> bool:
    """Whether nothing stands before it on its line, and this is not the array's first."""
    line = _start_of_line(text, item.start)
    return line > 0 and not text[line : item.start].strip()


def _stands_alone(text: str, item: _Item) -> bool:
    rest = text[item.stop : _end_of_line(text, item.stop)].strip()
    return _is_first(text, item) and (not rest or rest.startswith("#")) and _end_of_line(text, item.stop) < len(text)


def _start_of_line(text: str, place: int) -> int:
    return text.rfind("\n", 0, place) + 1


def _end_of_line(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end
