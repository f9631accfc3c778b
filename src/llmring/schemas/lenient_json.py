"""JSON out of an answer that has more than JSON in it. Strict first; what is repaired is said to be. Linear in the text's length."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

# Inside JSON: a string, to its end or that of the text, or a bracket. Possessive, so that no text makes it go back.
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)
_STRING_OR_COMMA: Final = re.compile(r'("(?:[^"\\]++|\\.)*+"?)|,(?=\s*+[}\]])', re.DOTALL)
_OPEN: Final = re.compile(r"[{\[]")
_BEGINS: Final = re.compile(r'\{\s*+"|\[\s*+[{\["\d-]')
_FENCED: Final = re.compile(r"```[a-zA-Z0-9]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_END_OF_THINKING: Final = "</think>"  # what small models say aloud, and no server takes out
# An opening bracket that nothing closes costs a walk to the end of the text, 0.2 s for a million brackets.
_MAX_UNCLOSED: Final = 4
_MAX_CHARS: Final = 1_000_000  # the longest answers that models give, 128,000 tokens, have some 500,000
_MAX_DEPTH: Final = 64
_MAX_FOUND: Final = 1_000  # brackets in prose: footnotes, links


class LoadedJSON(NamedTuple):
    """What was found. repaired: it was not the whole text, or not JSON as it stood."""

    value: Any
    repaired: bool


def try_load_json(text: str) -> LoadedJSON | None:
    """The JSON in a text, None where there is none, or more than one to choose from.

    Taken away, where the text itself is no JSON: a byte order mark, a `<think>` block, a code fence, words around the one object
    (or, without any object, the one list) in it, and commas before a closing bracket. Nothing is guessed: quotes that are missing
    stay so, and an answer that was cut is no JSON.
    """
    try:
        return LoadedJSON(orjson.loads(text), False)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass
    if len(text) > _MAX_CHARS:
        return None
    said = text.rpartition(_END_OF_THINKING)[2].lstrip("\ufeff")
    for whole in (said, *_only(_FENCED.findall(said))):
        loaded = _load(whole)
        if loaded is not None:
            return loaded
    objects: list[LoadedJSON] = []
    lists: list[LoadedJSON] = []
    for part in _find_parts(said):
        loaded = _load(part)
        if loaded is not None:
            (objects if part[0] == "{" else lists).append(loaded)
        if len(objects) > 1:
            return None
    return next(iter(_only(objects or lists)), None)


def _only(found: list[Any]) -> list[Any]:
    return found if len(found) == 1 else []


def _load(text: str) -> LoadedJSON | None:
    for form in (text, _STRING_OR_COMMA.sub(lambda match: match[1] or "", text)):
        try:
            return LoadedJSON(orjson.loads(form), True)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            continue
    return None


def _find_parts(text: str) -> list[str]:
    """The stretches of a text that begin with a bracket and end where that one is closed; none lies within another. None at all where
    JSON begins and does not end: what lies within it is not the answer."""
    parts: list[str] = []
    at = unclosed = 0
    while unclosed < _MAX_UNCLOSED and len(parts) < _MAX_FOUND and (start := _OPEN.search(text, at)) is not None:
        end = _end_of(text, start.start())
        if end is not None:
            parts.append(text[start.start() : end])
            at = end
        elif _BEGINS.match(text, start.start()):
            return []
        else:
            unclosed += 1
            at = start.end()
    return parts


def _end_of(text: str, start: int) -> int | None:
    # Outside brackets a quotation mark is a word's; inside, it begins a string.
    depth = 0
    for token in _TOKEN.finditer(text, start):
        match token[0]:
            case "{" | "[":
                depth += 1
                if depth > _MAX_DEPTH:
                    return None
            case "}" | "]":
                depth -= 1
                if depth == 0:
                    return token.end()
            case _:
                pass
    return None
