"""A whole answer in the made-up dialect."""

from __future__ import annotations

from typing import Any, cast

from llmring.exceptions import MalformedResponseError
from llmring.schemas.events import Event, Finished, Started, TextDelta, UsageReported
from llmring.schemas.usage import Usage
from llmring.wire.base import parse_json


def decode(body: bytes) -> list[Event]:
    match parse_json(body, "reply"):
        case {"say": str(text), "by": str(), "why": str(), "cost": [int(), int()]} as answer:
            return [TextDelta(text), *read_end(cast("dict[str, Any]", answer))]
        case _:
            raise MalformedResponseError("reply: no answer of this dialect")


def read_end(answer: dict[str, Any]) -> list[Event]:
    read, written = answer["cost"]
    finished = Finished("stop" if answer["why"] == "done" else "length", answer["why"])
    return [Started(None, answer["by"]), UsageReported(Usage(read, written)), finished]
