"""What a dialect is: four functions between schemas and bytes. Pure: no I/O, no clock, no vendor package, no model of the world.

Each dialect is a folder with the same four files (request, response, stream, failures) and a `DIALECT` that joins them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast, runtime_checkable

import orjson

from llmring.exceptions import MalformedResponseError, ProviderError, ResponseTooLargeError
from llmring.schemas.embedding import EmbeddingReply, EmbeddingRequest
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest, ReasoningEffort, ServiceTier
from llmring.schemas.rerank import RerankReply, RerankRequest

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

# Of tokens. Sums of a few stay within the 64 bits that JSON's writers and databases take.
MAX_COUNT = 2**50


@dataclass(frozen=True, slots=True)
class Quirks:
    """Where servers of one dialect differ. Set per provider in `providers/table.py`; read by that dialect alone.

    max_tokens_field: how the cap on the answer is spelt. temperature_max: the vendor's upper limit.
    stream_usage: whether the server takes `stream_options.include_usage`. system_role: how system messages are spelt.
    rejected: body keys that this model refuses and that are left out with a warning. strict_tools: whether tools, and the schemas of
    Python types, are strict where the caller says nothing and they can be; see SamplingParams.
    efforts: the levels of `reasoning_effort` that the model takes; None = not known, sent as asked for; () = it does not think.
    json_object, json_schema: whether the model can be held to JSON, and to a schema; where not, it is asked in words.
    image_urls, file_urls: whether the server fetches images, and documents, by URL; where not, they are fetched here and sent as bytes.
    embedding_dimensions: whether the model can be asked for the length of a vector; None = not known, sent as asked for.
    max_tokens_default: the cap where nobody gave one, for dialects that want one always.
    thinking_form: how thinking is asked for: the model decides within an effort, or gets a budget of tokens.
    thinking_off: how it is turned off, where `efforts` has "none". forced_tools: when the model can be made to call a tool.
    one_sampler: temperature and top_p are not taken together. computer_tool: the type of the tool that works a screen; None = it cannot.
    service_tiers: the tiers that the model has; None = not known, sent as asked for. logprobs: False where it is known to give none.
    envelope: what a cloud wants around a request: nothing, or Vertex's paths and its version in the body.
    thinking_budget: the least and the most tokens of a budget, where thinking has one and is on.
    sealed_calls: a call that goes back needs a seal, so that those of other vendors get the one that stands for none.
    image_strings: an image's URL stands by itself, not in an object, and has no detail beside it.
    tool_media: a tool's result may hold images and files; where not, they follow it as the user's words.
    effort_none: how thinking is turned off, in OpenAI's dialect: as a level of effort, by `thinking`, or by `reasoning`.
    thinking_back: under which name of OpenAI's dialect a message's thinking goes back; None = the server wants none.
    extra_content: calls go back with Google's seals. seed_field, dimensions_field: how these are spelt.
    unasked: keys of the body that are sent where the request says nothing of them.
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature_max: float = 2.0
    stream_usage: bool = True
    system_role: Literal["system", "developer"] = "system"
    rejected: frozenset[str] = frozenset()
    strict_tools: bool = False
    efforts: tuple[ReasoningEffort, ...] | None = None
    json_object: bool = True
    json_schema: bool = True
    image_urls: bool = True
    file_urls: bool = False
    image_strings: bool = False
    embedding_dimensions: bool | None = None
    max_tokens_default: int = 4096
    thinking_form: Literal["adaptive", "budget"] = "adaptive"
    thinking_off: Literal["disabled", "between_tools"] = "disabled"
    forced_tools: Literal["always", "without_thinking", "never"] = "always"
    one_sampler: bool = False
    computer_tool: str | None = None
    service_tiers: tuple[ServiceTier, ...] | None = None
    logprobs: bool = True
    envelope: Literal["direct", "vertex"] = "direct"
    thinking_budget: tuple[int, int] = (1, 24576)
    sealed_calls: bool = False
    tool_media: bool = False
    effort_none: Literal["level", "thinking", "reasoning"] = "level"
    thinking_back: Literal["reasoning_content", "reasoning_details", "content"] | None = None
    extra_content: bool = False
    seed_field: Literal["seed", "random_seed"] = "seed"
    dimensions_field: Literal["dimensions", "output_dimension"] = "dimensions"
    unasked: tuple[tuple[str, str], ...] = ()


class ModelFacts(Protocol):
    """What a dialect asks of what is known about a model (`ModelInfo` knows more). max_output: answer tokens, None: unknown."""

    @property
    def id(self) -> str: ...
    @property
    def max_output(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """The model that a request is written for, as its provider names it, and what is known of it."""

    provider: str
    model: str
    info: ModelFacts
    quirks: Quirks = Quirks()


@dataclass(slots=True)
class EncodedRequest:
    """A request in a dialect's words. path: below the provider's base URL; may end in a query. warnings: what was left out.

    An empty body is none at all."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])
    method: Literal["POST", "GET"] = "POST"


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


class EmbeddingCodec(Protocol):
    """Embeddings, in dialects that have them."""

    def encode(self, request: EmbeddingRequest, target: Target) -> EncodedRequest:
        """Raises ConfigurationError for what the dialect cannot say."""
        ...

    def decode(self, body: bytes) -> EmbeddingReply:
        """Raises MalformedResponseError, ResponseTooLargeError, or a classified error that stands in a good reply's place."""
        ...


class TokenCountCodec(Protocol):
    """Counting a request's tokens at the provider, in dialects that can."""

    def encode(
        self, request: LLMRequest, target: Target, *, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest: ...

    def decode(self, body: bytes) -> int: ...


class RerankCodec(Protocol):
    """Putting documents in order, in dialects that can."""

    def encode(self, request: RerankRequest, target: Target) -> EncodedRequest: ...

    def decode(self, body: bytes) -> RerankReply:
        """The best first. Raises as EmbeddingCodec does."""
        ...


@runtime_checkable
class Reranks(Protocol):
    """A dialect that can also put documents in order. Apart from `Dialect`, because next to none can."""

    rerank: RerankCodec


@dataclass(frozen=True, slots=True)
class BackgroundJob:
    """An answer that the provider makes while nobody waits on the line. id: "" where it is done and has none."""

    id: str
    is_done: bool


class BackgroundCodec(Protocol):
    """Answers that are made in the background, in dialects that have them."""

    def read(self, body: bytes) -> BackgroundJob:
        """How far it is, of the reply to the request itself or to a poll; when it is done, that reply is for `decode`."""
        ...

    def encode_poll(self, id: str) -> EncodedRequest: ...

    def encode_cancel(self, id: str) -> EncodedRequest: ...


@runtime_checkable
class WorksInBackground(Protocol):
    """A dialect that can also have answers made in the background. Apart from `Dialect`, because next to none can."""

    background: BackgroundCodec


class Dialect(Protocol):
    """A way of speaking to providers, by name and not by company.

    stream_type: the content type of its streams. embeddings, token_count: None where the dialect has no words for it.
    """

    name: str
    stream_type: str

    @property
    def embeddings(self) -> EmbeddingCodec | None: ...

    @property
    def token_count(self) -> TokenCountCodec | None: ...

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


def read_count(value: object) -> int:
    """A number of tokens as a server says it; 0 for what is none, or more than any answer can have."""
    return value if type(value) is int and 0 < value <= MAX_COUNT else 0


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
        if "limit exceeded" in error.msg:  # "depth limit exceeded", since orjson 3.12
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
