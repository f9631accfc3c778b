"""What a caller asks for: `LLMRequest`, and the option objects that carry defaults for many requests."""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from llmring.exceptions import ConfigurationError
from llmring.schemas.messages import JSONDict, Message, MessageInput, spread_messages
from llmring.schemas.provider_options import (
    AnthropicOptions,
    GoogleOptions,
    LMStudioOptions,
    OllamaOptions,
    OpenAIOptions,
)
from llmring.schemas.retry import RetryPolicy

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ServiceTier: TypeAlias = Literal["auto", "default", "flex", "priority"]
PromptCache: TypeAlias = Literal[
    "automatic", "system_and_tools", "tools_only", "last_user_message", "last_2_user_messages", "last_3_user_messages"
]
PromptCacheTTL: TypeAlias = Literal["5m", "1h"]
OnInterrupt: TypeAlias = Literal["raise", "restart"]
CacheMode: TypeAlias = Literal["use", "refresh", "read_only", "off"]
_IDEMPOTENCY_KEY = re.compile(r"[!-~]([ -~]*[!-~])?")
ChatOptions: TypeAlias = OpenAIOptions | AnthropicOptions | GoogleOptions | OllamaOptions | LMStudioOptions


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait; None = no limit.

    connect (seconds): until the connection stands.
    first_token (seconds): from sending until the first content of a stream, and between contents after that.
    idle (seconds): between any two events of a stream; keep-alive pings count as events here, not above.
    total (seconds): for an unstreamed reply as a whole.
    """

    connect: float | None = 5.0
    first_token: float | None = 60.0
    idle: float | None = 30.0
    total: float | None = 600.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not (isinstance(value, (int, float)) and value > 0 and math.isfinite(value)):
                raise ValueError(f"Timeouts.{field.name}: seconds above 0, or None for no limit; not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputerUse:
    """Lets a model that can work a computer look at a screen of this size and ask for clicks and keys: the calls come as tool calls,
    and nothing is done by itself.

    display_width, display_height (pixels): the size of the screen.
    environment: what kind of screen, where the provider wants to know.
    """

    display_width: int = 1024
    display_height: int = 768
    environment: Literal["browser", "mac", "windows", "ubuntu", "linux"] = "browser"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How an answer is drawn. Everything at None is left to the provider.

    temperature (0 or above): each provider's own upper limit is checked before sending.
    top_p (0 to 1): draws from the likeliest tokens that together have this probability.
    max_tokens (tokens): cap on the answer. max_new_tokens (tokens): another spelling of max_tokens.
    json_mode: True asks for a JSON object.
    reasoning_effort: how much to think; "none" disables.
    logprobs: True asks for token log probabilities.
    top_logprobs (tokens, 0 to 20): how many alternatives are listed for each token.
    strict_tools: True makes tool arguments follow their schema where the provider can.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    json_mode: bool | None = None
    reasoning_effort: ReasoningEffort | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    strict_tools: bool | None = None
    max_new_tokens: dataclasses.InitVar[int | None] = None

    def __post_init__(self, max_new_tokens: int | None) -> None:
        if max_new_tokens is None:
            return
        if self.max_tokens not in (None, max_new_tokens):
            raise ValueError("SamplingParams: max_tokens and max_new_tokens are one setting and were given two values")
        object.__setattr__(self, "max_tokens", max_new_tokens)

    def request_fields(self) -> JSONDict:
        """What it sets, as fields of `LLMRequest`; strict_tools is none of them (see `mark_strict`)."""
        fields: JSONDict = {
            name: getattr(self, name)
            for name in ("temperature", "top_p", "max_tokens", "reasoning_effort", "logprobs", "top_logprobs")
        }
        fields["response_format"] = "json_object" if self.json_mode else None
        return {name: value for name, value in fields.items() if value is not None}

    def to_vllm(self) -> Any:
        """The same as `vllm.SamplingParams`. Raises ImportError where vllm is not installed."""
        from vllm import SamplingParams as VLLMSamplingParams  # pyright: ignore[reportMissingImports, reportUnknownVariableType]

        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "logprobs": self.top_logprobs if self.logprobs else None,
        }
        return VLLMSamplingParams(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore[reportUnknownVariableType]


def _check_messages(value: object) -> object:
    try:
        return spread_messages(cast("MessageInput", value))
    except TypeError as error:
        raise ValueError(str(error)) from None


class LLMRequest(BaseModel):
    """One request. Only `model` and `messages` are needed; what is left at None is not sent.

    model: an alias of the lockfile, or `provider:model`.
    messages: text, a message, a dict, or a list of these; read into a list of `Message`.
    temperature (0 or above): each provider's own upper limit is checked before sending.
    top_p (0 to 1): draws from the likeliest tokens that together have this probability.
    top_k (tokens): draws from this many likeliest tokens.
    max_tokens (tokens): cap on the answer.
    stop: texts that end the answer; [] disables an instance default.
    response_format: "text", "json_object", a JSON schema, `{"type": "json_schema", …}`, or a Pydantic model class.
    tools: tool definitions in OpenAI's shape.
    tool_choice: "auto", "none", "required", or a tool's name.
    parallel_tool_calls: False asks for one tool call at a time.
    reasoning_effort: how much to think; "none" disables.
    logprobs: True asks for token log probabilities.
    top_logprobs (tokens, 0 to 20): how many alternatives are listed for each token.
    seed (whole number): asks for the same answer again; no provider promises it.
    frequency_penalty, presence_penalty (as the vendor says): against repetition, by how often or by whether a token came.
    service_tier: the provider's class of service.
    prompt_cache: which prefix the provider should cache. prompt_cache_ttl: how long it should.
    computer_use: a screen for models that can work one.
    use_responses_api: OpenAI's Responses in place of Chat Completions.
    background: the provider works on while we ask now and then; needs Responses. timeout bounds each question, deadline the whole.
    provider_options: what one vendor alone has, typed: `OpenAIOptions`, `AnthropicOptions`, `GoogleOptions`, `OllamaOptions`,
    `LMStudioOptions`.
    cache_mode: how this request meets a response cache, where one is configured.
    cache_variant (whole number): answers of different variants are cached apart.
    timeout (seconds): for the whole reply (streams: for the first content), or `Timeouts`.
    deadline (seconds): over all attempts.
    retry: how often it is sent, and how long it waits in between; default, the ring's.
    prefer_model: which model of the pool is asked first, where it does not rest: `provider:model`, or "last" for the one that gave the
    last assistant message, so that a conversation stays with its model. The others stand by.
    on_interrupt: what a stream does that breaks off after its first content. "raise", the default: StreamInterruptedError. "restart": asks
    anew, other models first; a META chunk {"event": "restart", …} says that all content before it is void.
    idempotency_key (printable ASCII, 1 to 255 characters): by which a server knows this call again, whatever the attempt; sent to providers
    with an idempotency_header alone, which get a new one for each call where this is None.
    hide_thinking: True leaves reasoning out of streamed chunks; `response.reasoning` always has it.
    sampling: a `SamplingParams`, read into the fields above that are not set.
    files: ids of registered files.
    metadata: yours; no provider sees it.
    extra_params: put into the body as they are.
    extra_headers: sent along; never credentials.
    """

    # Inputs are prompts: a validation error that quoted them would carry them into logs.
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[
        list[Message], BeforeValidator(_check_messages, json_schema_input_type=Any), Field(min_length=1)
    ]
    temperature: float | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    response_format: Any = None
    tools: list[JSONDict] | None = None
    tool_choice: str | JSONDict | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    stop: list[str] | None = None
    reasoning_effort: ReasoningEffort | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    seed: int | None = None
    top_k: Annotated[int, Field(gt=0)] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tool_calls: bool | None = None
    service_tier: ServiceTier | None = None
    prompt_cache: PromptCache | None = None
    prompt_cache_ttl: PromptCacheTTL | None = None
    computer_use: ComputerUse | None = None
    use_responses_api: bool | None = None
    background: bool | None = None
    provider_options: Annotated[ChatOptions, Field(discriminator="vendor")] | None = None
    cache_mode: CacheMode | None = None
    cache_variant: int | None = None
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Timeouts | None = None
    deadline: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    retry: RetryPolicy | None = None
    prefer_model: Annotated[str, Field(min_length=1)] | None = None
    on_interrupt: OnInterrupt | None = None
    idempotency_key: str | None = None
    hide_thinking: bool | None = None
    sampling: SamplingParams | None = None
    files: list[str] | None = None
    metadata: JSONDict | None = None
    extra_params: JSONDict | None = None
    extra_headers: dict[str, str] | None = None

    if TYPE_CHECKING:
        # What may be given is wider than what is kept; pydantic alone would tell type checkers of the latter.
        def __init__(
            self,
            *,
            model: str,
            messages: MessageInput,
            temperature: float | None = None,
            max_tokens: int | None = None,
            response_format: Any = None,
            tools: Sequence[JSONDict] | None = None,
            tool_choice: str | JSONDict | None = None,
            top_p: float | None = None,
            stop: str | Sequence[str] | None = None,
            reasoning_effort: ReasoningEffort | None = None,
            logprobs: bool | None = None,
            top_logprobs: int | None = None,
            seed: int | None = None,
            top_k: int | None = None,
            frequency_penalty: float | None = None,
            presence_penalty: float | None = None,
            parallel_tool_calls: bool | None = None,
            service_tier: ServiceTier | None = None,
            prompt_cache: PromptCache | None = None,
            prompt_cache_ttl: PromptCacheTTL | None = None,
            computer_use: ComputerUse | None = None,
            use_responses_api: bool | None = None,
            background: bool | None = None,
            provider_options: ChatOptions | None = None,
            cache_mode: CacheMode | None = None,
            cache_variant: int | None = None,
            timeout: float | Timeouts | None = None,
            deadline: float | None = None,
            retry: RetryPolicy | None = None,
            prefer_model: str | None = None,
            on_interrupt: OnInterrupt | None = None,
            idempotency_key: str | None = None,
            hide_thinking: bool | None = None,
            sampling: SamplingParams | None = None,
            files: Sequence[str] | None = None,
            metadata: JSONDict | None = None,
            extra_params: JSONDict | None = None,
            extra_headers: Mapping[str, str] | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _read_fields(cls, data: Any) -> Any:
        if type(data) is dict or isinstance(data, Mapping):  # most are keyword arguments; asking for a Mapping is slow
            given = cast("Mapping[str, Any]", data)
            if not given.keys() <= cls.__pydantic_fields__.keys():
                known = list(cls.__pydantic_fields__)
                raise ValueError(_unknown_field(next(str(name) for name in given if name not in known), known))
            if given.get("sampling") is not None:
                return _with_sampling(given)
        return cast("object", data)

    @field_validator("temperature")
    @classmethod
    def _finite(cls, value: float | None) -> float | None:
        if value is not None and not (value >= 0 and math.isfinite(value)):
            raise ValueError("temperature must be a finite number, 0 or above")
        return value

    @field_validator("idempotency_key")
    @classmethod
    def _fits_header(cls, value: str | None) -> str | None:
        # No space at either end: a server does not see it.
        if value is not None and not (len(value) <= 255 and _IDEMPOTENCY_KEY.fullmatch(value)):
            raise ValueError("idempotency_key: printable ASCII, 1 to 255 characters, no space at either end")
        return value

    @field_serializer("response_format", when_used="json-unless-none")
    def _write_response_format(self, value: Any) -> str | JSONDict:
        """A Python type as the JSON schema that is asked for; what is JSON already, as it is."""
        if isinstance(value, (str, dict)):
            return cast("str | JSONDict", value)
        from llmring.schemas.response_format import read_response_format

        wanted = read_response_format(value)
        assert wanted is not None  # None is not written at all
        form = {
            "name": wanted.name,
            "schema": wanted.schema,
            "strict": wanted.strict,
            "description": wanted.description,
        }
        return {"type": wanted.kind, "json_schema": {name: item for name, item in form.items() if item is not None}}

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("tools")
    @classmethod
    def _named_functions(cls, value: list[JSONDict] | None) -> list[JSONDict] | None:
        for number, tool in enumerate(value or ()):
            _check_tool(tool, f"tools: number {number}")
        return value

    @field_validator("extra_headers")
    @classmethod
    def _safe_headers(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        check_extra_headers(value or {})
        return value

    @field_validator("extra_params")
    @classmethod
    def _no_reserved_params(cls, value: JSONDict | None) -> JSONDict | None:
        check_extra_params(value or {})
        return value


def _with_sampling(given: Mapping[str, Any]) -> JSONDict:
    """The fields of a request, with those of its `sampling` where the request sets none. `given` is not changed."""
    sampling = given["sampling"]
    if isinstance(sampling, Mapping):
        try:
            sampling = SamplingParams(**cast("Mapping[str, Any]", sampling))
        except TypeError as error:
            raise ValueError(f"sampling: {error}") from None
    if not isinstance(sampling, SamplingParams):
        raise ValueError("sampling: a SamplingParams is wanted")
    fields = dict(given) | {"sampling": sampling}
    fields |= {name: value for name, value in sampling.request_fields().items() if given.get(name) is None}
    if sampling.strict_tools is not None and isinstance(given.get("tools"), list):
        fields["tools"] = mark_strict(given["tools"], sampling.strict_tools)
    return fields


def _check_tool(tool: JSONDict, which: str) -> None:
    """A function has a name, in OpenAI's shape or flat. What is no function is a provider's own tool, and its provider's to check."""
    kind = tool.get("type", "function" if "function" in tool else None)
    if kind != "function":
        if not tool or not isinstance(kind, str | None) or "function" in tool:
            raise ValueError(f'{which} is none: a function reads {{"type": "function", "function": {{"name": …}}}}')
        return
    function = tool.get("function", tool)
    name = cast("JSONDict", function).get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"{which} is a function without a name")


def read_on_interrupt(given: OnInterrupt | None) -> OnInterrupt | None:
    """Raises ConfigurationError for another word."""
    if given not in (None, "raise", "restart"):
        raise ConfigurationError(f"on_interrupt: {given!r:.80}", hint='"raise" or "restart"')
    return given


def mark_strict(tools: Sequence[Any], strict: bool) -> list[Any]:
    """The tools with `strict` set on each function that does not say it itself. The argument is not changed."""
    marked: list[Any] = []
    for tool in tools:
        match tool:
            case {"function": {**function}, **rest}:
                marked.append({**rest, "function": {"strict": strict, **function}})
            case _:
                marked.append(tool)
    return marked


def _unknown_field(name: str, known: list[str]) -> str:
    if name == "stream":
        return "stream: not a field of a request; call chat_stream(request) instead of chat(request)"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{name}: no such field{meant} (what only a provider knows goes into extra_params)"


# Keys that llmring itself decides; a second value from elsewhere would contradict the request or its reading.
RESERVED_PARAMS = frozenset({"model", "messages", "stream"})

# Headers that say who is calling. They belong to one provider (`providers={name: …}`), never to every member of a pool.
CREDENTIAL_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "helicone-auth",
        "ocp-apim-subscription-key",
        "proxy-authorization",
        "x-amz-security-token",
        "x-api-key",
        "x-goog-api-key",
    }
)

# Headers that say where a request ends, how its connection is used and whom it is for: a second opinion breaks the request apart.
FRAMING_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
)


def check_extra_params(params: Mapping[str, Any]) -> None:
    """Raises ValueError where a key is one that llmring decides."""
    for name in params:
        if name in RESERVED_PARAMS:
            where = "chat_stream()" if name == "stream" else f"the request's {name}"
            raise ValueError(f"extra_params: {name!r} is reserved; use {where}")


def check_extra_headers(headers: Mapping[str, Any], *, credentials: bool = False) -> None:
    """Raises ValueError for a header that could break the request apart, or carries a key to the wrong provider."""
    for name, value in headers.items():
        if not isinstance(value, str):
            raise ValueError(f"extra_headers: the value of {name!r} is no text but {type(value).__name__}")
        if not name or any(c in "\r\n\0: \t" for c in name) or any(c in "\r\n\0" for c in value):
            raise ValueError(f"extra_headers: {name!r} holds characters that no header may hold")
        if name.lower() in FRAMING_HEADERS:
            raise ValueError(f"extra_headers: {name!r} is for the transport to set")
        if not credentials and name.lower() in CREDENTIAL_HEADERS:
            raise ValueError(
                f"extra_headers: {name!r} carries a credential, and a fallback would send it to another provider; "
                "give it to LLMRing(providers={'<name>': {'api_key': …}}) or {'extra_headers': …}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """Defaults for every request of a ring: `LLMRing(defaults=RequestOptions(…))`. A request's own value wins.

    Fields mean what they mean on `LLMRequest`; extra_params and extra_headers are merged key by key.
    sampling: a `SamplingParams`; a field set here directly wins over it.
    Raises ConfigurationError naming a field whose value no request would take.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    response_format: Any = None
    tools: Sequence[JSONDict] | None = None
    reasoning_effort: ReasoningEffort | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    parallel_tool_calls: bool | None = None
    service_tier: ServiceTier | None = None
    prompt_cache: PromptCache | None = None
    prompt_cache_ttl: PromptCacheTTL | None = None
    computer_use: ComputerUse | None = None
    use_responses_api: bool | None = None
    background: bool | None = None
    timeout: float | Timeouts | None = None
    deadline: float | None = None
    retry: RetryPolicy | None = None
    on_interrupt: OnInterrupt | None = None
    hide_thinking: bool | None = None
    extra_params: Mapping[str, Any] | None = None
    extra_headers: Mapping[str, str] | None = None
    sampling: SamplingParams | None = None

    def __post_init__(self) -> None:
        # Read by a request, so that one set of rules holds for both, and kept as read: lists and dicts are copies.
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        given = {name: value for name, value in given.items() if value is not None}
        try:
            read = LLMRequest.model_validate({"model": "-", "messages": "-", **given})
        except ValidationError as error:
            problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field_name = next((str(step) for step in problem["loc"][:1]), "")
            text = problem["msg"].removeprefix("Value error, ").removeprefix(f"{field_name}: ")
            raise ConfigurationError(f"RequestOptions.{field_name or 'sampling'}: {text}") from None
        for name in given:
            object.__setattr__(self, name, getattr(read, name))
