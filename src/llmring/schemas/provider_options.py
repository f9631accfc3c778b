"""Settings that only one vendor has, typed: `LLMRequest(provider_options=OpenAIOptions(store=False))`.

A call whose model is another vendor's is refused before anything is sent; where only a fallback of the pool is, the settings are
left out there with a warning. Fields mean what the vendor says; names and values are those of the vendors' SDKs: openai 3.52.0,
anthropic 2.11.0, google-genai 3.4.0, ollama 0.6 (2026-11-21).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

from llmring.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorOptions:
    """What one vendor's options have in common. providers: the names of those that take them.

    Names of a body may be paths: `text.verbosity` is the key `verbosity` of the object `text`.

    vendor: by it a request that is read from JSON gets the options that it was written with. It has one value.
    """

    providers: ClassVar[frozenset[str]]
    # By dialect: what a field is called there. A field that a dialect does not name cannot be said in it.
    words: ClassVar[Mapping[str, Mapping[str, str]]]

    def params(self, dialect: str) -> dict[str, Any]:
        """What is set, as keys of a body. Raises ConfigurationError for what the dialect cannot say."""
        body: dict[str, Any] = {}
        words = self.words.get(dialect, {})
        for name, value in self._given():
            path = words.get(name)
            if path is None:
                where = [other for other, known in self.words.items() if name in known]
                raise ConfigurationError(
                    f"{type(self).__name__}.{name}: {dialect} has no words for it",
                    hint="set use_responses_api=True"
                    if where == ["openai_responses"]
                    else f"it needs {' or '.join(where)}",
                )
            *groups, key = path.split(".")
            into = body
            for group in groups:
                into = into.setdefault(group, {})
            into[key] = value
        return body

    def headers(self) -> dict[str, str]:
        """What is set, as headers."""
        return {}

    def _given(self) -> Iterator[tuple[str, Any]]:
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if value is not None and option.name != "vendor" and not option.metadata:
                yield option.name, list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value


# Spelt alike in both of OpenAI's APIs.
_OPENAI_BOTH = ("store", "metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user")
_OPENAI_CHAT = ("verbosity", "logit_bias", "prediction", "web_search_options")
_OPENAI_RESPONSES = (
    "previous_response_id",
    "conversation",
    "include",
    "truncation",
    "max_tool_calls",
    "context_management",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions(VendorOptions):
    """OpenAI's own settings, at OpenAI and Azure. Some are for one of its two APIs alone, see `LLMRequest.use_responses_api`.

    store: whether OpenAI keeps the answer.
    metadata: texts by name, kept with the answer at OpenAI.
    verbosity: how much is said.
    prompt_cache_key: requests with the same key are likelier to meet the same prompt cache.
    prompt_cache_retention: how long a cached prefix may stay; OpenAI calls it deprecated.
    safety_identifier: an opaque id of your user, by which OpenAI tells misuse apart.
    user: an older form of prompt_cache_key and safety_identifier.
    logit_bias: -100 to 100 by token id: makes a token less or more likely. Chat Completions alone.
    prediction: what most of the answer is known to be, for speed. Chat Completions alone.
    web_search_options: searches the web for the answer. Chat Completions alone.
    previous_response_id: the answer that this request goes on from. Responses alone.
    conversation: the conversation, kept at OpenAI, that this belongs to. Responses alone.
    include: what else the answer should hold. Responses alone.
    truncation: "auto" drops the oldest items where the prompt is too long, "disabled" refuses. Responses alone.
    max_tool_calls (calls): of the provider's own tools, all together. Responses alone.
    context_management: how a long context is shortened. Responses alone.
    reasoning_summary: whether and how long thinking is summed up. Responses alone.
    """

    providers: ClassVar[frozenset[str]] = frozenset({"openai", "azure"})
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "openai_chat": {name: name for name in (*_OPENAI_BOTH, *_OPENAI_CHAT)},
        "openai_responses": {name: name for name in (*_OPENAI_BOTH, *_OPENAI_RESPONSES)}
        | {"verbosity": "text.verbosity", "reasoning_summary": "reasoning.summary"},
    }

    vendor: Literal["openai"] = "openai"
    store: bool | None = None
    metadata: dict[str, str] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = None
    user: str | None = None
    logit_bias: dict[str, int] | None = None
    prediction: dict[str, Any] | None = None
    web_search_options: dict[str, Any] | None = None
    previous_response_id: str | None = None
    conversation: str | None = None
    include: Sequence[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    max_tool_calls: int | None = None
    context_management: Sequence[dict[str, Any]] | None = None
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicOptions(VendorOptions):
    """Anthropic's own settings, at Anthropic and in the clouds.

    betas: names for the `anthropic-beta` header.
    container: the container, kept at Anthropic, that code runs in.
    context_management: how a long context is shortened.
    inference_geo: the region that the model runs in.
    mcp_servers: MCP servers that Anthropic calls.
    speed: "fast" asks for faster output, at the models that have it.
    user_id: an opaque id of your user, `metadata.user_id` of the API.
    """

    providers: ClassVar[frozenset[str]] = frozenset({"anthropic", "vertex_anthropic", "bedrock_anthropic"})
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "anthropic_messages": {
            name: name for name in ("container", "context_management", "inference_geo", "mcp_servers", "speed")
        }
        | {"user_id": "metadata.user_id"}
    }

    vendor: Literal["anthropic"] = "anthropic"
    betas: Sequence[str] | None = field(default=None, metadata={"header": True})
    container: str | dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    inference_geo: str | None = None
    mcp_servers: Sequence[dict[str, Any]] | None = None
    speed: Literal["standard", "fast"] | None = None
    user_id: str | None = None

    def headers(self) -> dict[str, str]:
        return {"anthropic-beta": ",".join(self.betas)} if self.betas else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleOptions(VendorOptions):
    """Google's own settings, for Gemini at Google and on Vertex AI.

    safety_settings: dicts of `category` and `threshold`.
    cached_content: the name of a cache.
    labels: for bills, on Vertex AI.
    media_resolution: how closely images and videos are looked at.
    response_modalities: what the answer may be made of.
    thinking_budget (tokens): at most so much thinking; 0 for none, -1 lets the model decide.
    """

    providers: ClassVar[frozenset[str]] = frozenset({"google", "vertex"})
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "gemini_generate": {
            "safety_settings": "safetySettings",
            "cached_content": "cachedContent",
            "labels": "labels",
            "media_resolution": "generationConfig.mediaResolution",
            "response_modalities": "generationConfig.responseModalities",
            "thinking_budget": "generationConfig.thinkingConfig.thinkingBudget",
        }
    }

    vendor: Literal["google"] = "google"
    safety_settings: Sequence[dict[str, str]] | None = None
    cached_content: str | None = None
    labels: dict[str, str] | None = None
    media_resolution: Literal["MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"] | None = None
    response_modalities: Sequence[str] | None = None
    thinking_budget: int | None = None


_OLLAMA = (
    "num_ctx",
    "num_batch",
    "num_gpu",
    "num_thread",
    "num_keep",
    "main_gpu",
    "repeat_last_n",
    "repeat_penalty",
    "typical_p",
    "use_mmap",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaOptions(VendorOptions):
    """Ollama's own settings. Names and units are those of https://github.com/ollama/ollama/blob/main/docs/modelfile.md and of the
    package ollama 0.6 (2026-11-21).

    keep_alive (seconds): how long the model stays loaded; or a text such as "5m".
    num_ctx (tokens): the context window.
    num_batch (tokens): read at a time.
    num_gpu (layers): of the model, on graphics cards; 0 for none.
    num_thread (threads): for computing.
    num_keep (tokens): of the prompt that stay when the window is full.
    main_gpu (number of the card): the graphics card that does what is not shared out.
    repeat_last_n (tokens): how far back repetition is looked for; 0 for not at all, -1 for the whole window.
    repeat_penalty (factor): above 1 against repetition.
    typical_p (0 to 1): draws from tokens that are about as likely as is typical.
    use_mmap: whether the model's file is mapped into memory.
    """

    providers: ClassVar[frozenset[str]] = frozenset({"ollama"})
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "ollama_chat": {"keep_alive": "keep_alive"} | {name: f"options.{name}" for name in _OLLAMA},
    }

    vendor: Literal["ollama"] = "ollama"
    keep_alive: float | str | None = None
    num_ctx: int | None = None
    num_batch: int | None = None
    num_gpu: int | None = None
    num_thread: int | None = None
    num_keep: int | None = None
    main_gpu: int | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    typical_p: float | None = None
    use_mmap: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LMStudioOptions(VendorOptions):
    """LM Studio's own settings. https://lmstudio.ai/docs/developer/core/ttl-and-auto-evict (2026-11-21)

    ttl (seconds): how long without a request until a model that this one loads is unloaded again.
    unload_others: whether every other language model is unloaded before the request is sent; where that fails, it is sent all
    the same, with a warning.
    """

    providers: ClassVar[frozenset[str]] = frozenset({"lmstudio"})
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {"openai_chat": {"ttl": "ttl"}}

    vendor: Literal["lmstudio"] = "lmstudio"
    ttl: int | None = None
    unload_others: bool | None = field(default=None, metadata={"beside": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class CohereEmbeddingOptions(VendorOptions):
    """Cohere's own settings for embeddings: https://docs.cohere.com/reference/embed (2026-11-21).

    max_tokens (tokens): how much of each text counts.
    priority (0 to 999): who comes first when Cohere is busy; 0, its default, is first.
    """

    providers: ClassVar[frozenset[str]] = frozenset({"cohere"})
    words: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "cohere_embed": {"max_tokens": "max_tokens", "priority": "priority"}
    }

    vendor: Literal["cohere"] = "cohere"
    max_tokens: int | None = None
    priority: int | None = None
