"""What a dialect is: four functions between schemas and bytes. Pure: no I/O, no clock, no vendor package, no model of the world.

Each dialect is a folder with the same four files (request, response, stream, failures) and a `DIALECT` that joins them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

import orjson

from llmring.exceptions import MalformedResponseError, ProviderError, ResponseTooLargeError
from llmring.schemas.events import Event
from llmring.schemas.model_info import ModelInfo
from llmring.schemas.request import LLMRequest

# docs/reliability.md, "something is large".
MAX_BODY_BYTES = 20 * 1024 * 1024
# A stream spends some 330 bytes on a token: 128,000 tokens, the longest answers there are, come as 42 MB. None of them is kept.
MAX_STREAM_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024
# Lines cost time, however short: 64 MiB of empty ones take 15 s. 128,000 tokens, an event of 2 or 3 lines each, are 384,000.
MAX_STREAM_LINES = 500_000
MAX_JSON_DEPTH = 64  # guess: vendors' deepest replies (tool schemas echoed back) stay under 20
# Lists and objects. The densest real replies, with 20 alternatives for each token, spend 24 bytes on one: 870,000 in 20 MiB.
# Of empty ones 20 MiB hold 7 million: half a gigabyte, and seconds in which nothing else runs.
MAX_JSON_CONTAINERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Quirks:
    """Where servers of one dialect differ. Set per provider in `providers/table.py`; read by that dialect alone.

    max_tokens_field: how the cap on the answer is spelt. temperature_max: the vendor's upper limit.
    stream_usage: whether the server takes `stream_options.include_usage`. system_role: how system messages are spelt.
    rejected: body keys that this model refuses and that are left out with a warning. strict_tools: see SamplingParams.
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature_max: float = 2.0
    stream_usage: bool = True
    system_role: Literal["system", "developer"] = "system"
    rejected: frozenset[str] = frozenset()
    strict_tools: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """The model that a request is written for, as its provider names it, and what is known of it."""

    provider: str
    model: str
    info: ModelInfo
    quirks: Quirks = Quirks()


@dataclass(slots=True)
class EncodedRequest:
    """A request in a dialect's words. path: below the provider's base URL. warnings: what was left out, in words."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])


class StreamDecoder(Protocol):
    """Bytes in, events out, at any split. Raises MalformedResponseError, ResponseTooLargeError, StreamInterruptedError, or the
    classified error that a server sent inside its stream; never anything else, whatever the bytes.

    An error never swallows the events that came before it in the same bytes: they are returned, `finished` turns true, and
    the next `feed` or `close` raises."""

    def feed(self, data: bytes) -> list[Event]: ...

    def close(self) -> list[Event]:
        """The bytes have ended. Raises StreamInterruptedError unless the dialect's terminal event was seen."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more is worth waiting for: the dialect's terminal event was seen, or an error that `close` raises."""
        ...


class Dialect(Protocol):
    """A way of speaking to providers, by name and not by company."""

    name: str

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        """under: keys of the body that count where the request says nothing, under any spelling of the dialect's.

        Raises ConfigurationError for what the dialect cannot say. The request is not changed."""
        ...

    def decode(self, body: bytes) -> list[Event]:
        """A whole plain reply. Raises what a StreamDecoder raises."""
        ...

    def decode_stream(self) -> StreamDecoder: ...

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        """The typed error for a reply with an error status. `headers` have lower-case names. Never raises."""
        ...


def parse_json(data: bytes | str, what: str) -> Any:
    """JSON from an untrusted server. Raises MalformedResponseError, or ResponseTooLargeError past the cap on nesting, or on the
    number of lists and objects; brackets inside texts count as such."""
    opened = data.count("{") + data.count("[") if isinstance(data, str) else data.count(b"{") + data.count(b"[")
    if opened > MAX_JSON_CONTAINERS:
        raise ResponseTooLargeError(f"{what}: JSON of more than {MAX_JSON_CONTAINERS} lists and objects")
    # orjson refuses nesting past 1024 itself; what it lets through is measured only where brackets could add up to the cap.
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "limit exceeded" in error.msg:  # orjson 3.13: "depth limit exceeded"; before, "Recursion limit exceeded"
            raise ResponseTooLargeError(f"{what}: JSON nested deeper than {MAX_JSON_DEPTH} levels") from None
        raise MalformedResponseError(f"{what}: no JSON: {error}") from None
    if opened > MAX_JSON_DEPTH and _depth(value) > MAX_JSON_DEPTH:
        raise ResponseTooLargeError(f"{what}: JSON nested deeper than {MAX_JSON_DEPTH} levels")
    return value


def _depth(value: Any) -> int:
    """How deep the lists and objects are nested; stops counting one past the cap."""
    depth, level = 0, [value]
    while level and depth <= MAX_JSON_DEPTH:
        depth += 1
        level = [child for item in level for child in _children(item)]
    return depth


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []
