"""A vendor's own usage object as `Usage`. What it means is its dialect's to say; here it is only told which dialect's it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.registry.model_info import ModelInfo
from llmring.registry.pricing import charge
from llmring.schemas.usage import Usage
from llmring.wire.anthropic_messages.response import read_usage as read_anthropic
from llmring.wire.gemini_generate.response import read_usage as read_gemini
from llmring.wire.ollama_chat.response import read_usage as read_ollama
from llmring.wire.openai_chat.response import read_usage as read_chat
from llmring.wire.openai_responses.response import read_usage as read_responses

# google-genai's objects and their plain dumps spell the wire's names so.
_SNAKE: Final = {
    "prompt_token_count": "promptTokenCount",
    "candidates_token_count": "candidatesTokenCount",
    "thoughts_token_count": "thoughtsTokenCount",
    "tool_use_prompt_token_count": "toolUsePromptTokenCount",
    "cached_content_token_count": "cachedContentTokenCount",
    "total_token_count": "totalTokenCount",
}
_GEMINI: Final = frozenset(_SNAKE.values())
# `Usage` of the anthropic SDK 2.11.0 has these, `ResponseUsage` of the openai SDK 3.52 (2026-11-21) those below.
_ANTHROPIC: Final = frozenset(
    {"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "server_tool_use", "iterations"}
)
_RESPONSES: Final = frozenset({"input_tokens_details", "total_tokens"})


def parse_usage(raw: object, info: ModelInfo) -> Usage:
    """The counts of a usage object, with its cost where the prices of `info` are known. Raises ConfigurationError."""
    if isinstance(raw, Usage):
        usage = Usage.from_dict(raw)
    else:
        given = _read_object(raw)
        usage = _find_reader(given, info)(given)
    charge(usage, info)
    return usage


def _read_object(raw: object) -> dict[str, Any]:
    if isinstance(raw, Mapping):
        given = dict(cast("Mapping[str, Any]", raw))
    else:
        dump = getattr(raw, "model_dump", None)
        if not callable(dump):
            raise _no_usage(f"a {type(raw).__name__}")
        try:
            dumped: object = dump(mode="json", exclude_none=True)
        except Exception as error:  # an SDK's code, or whatever else has such a method
            raise _no_usage(f"a {type(raw).__name__} that cannot be dumped ({type(error).__name__})") from None
        if not isinstance(dumped, Mapping):
            raise _no_usage(f"a {type(raw).__name__}")
        given = dict(cast("Mapping[str, Any]", dumped))
    return {_SNAKE.get(name, name): value for name, value in given.items()}


def _find_reader(given: Mapping[str, Any], info: ModelInfo) -> Callable[[Mapping[str, Any]], Usage]:
    keys = given.keys()
    if "prompt_tokens" in keys or "completion_tokens" in keys:
        return read_chat
    if keys & _GEMINI:
        return read_gemini
    if "prompt_eval_count" in keys or "eval_count" in keys:
        return read_ollama
    if "input_tokens" in keys or "output_tokens" in keys:
        # Two dialects spell these alike. Anthropic's leave out what the cache had.
        if keys & _ANTHROPIC or ("anthropic" in info.provider and not keys & _RESPONSES):
            return read_anthropic
        details = given.get("output_tokens_details")
        return read_anthropic if isinstance(details, dict) and "thinking_tokens" in details else read_responses
    raise _no_usage(f"a dict of {len(keys)} keys, none of which counts tokens")


def _no_usage(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what} is no usage object of any dialect",
        hint="pass response.usage (OpenAI, Anthropic), usage_metadata (Gemini), or the whole reply (Ollama)",
    )
