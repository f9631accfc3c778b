"""Every dialect by its name: one line a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llmring.exceptions import ConfigurationError
from llmring.wire import anthropic_messages, cohere_embed, gemini_generate, ollama_chat, openai_chat, openai_responses
from llmring.wire.base import Dialect

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "openai_chat": openai_chat.DIALECT,
        "openai_responses": openai_responses.DIALECT,
        "anthropic_messages": anthropic_messages.DIALECT,
        "gemini_generate": gemini_generate.DIALECT,
        "ollama_chat": ollama_chat.DIALECT,
        "cohere_embed": cohere_embed.DIALECT,
    }
)


def get_dialect(name: str) -> Dialect:
    """The dialect of this name. Raises ConfigurationError, naming those there are, for any other."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigurationError(f"{name!r} is no dialect", hint=f"known dialects: {', '.join(DIALECTS)}") from None
