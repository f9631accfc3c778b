"""Every dialect by its name: one line a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llmring.exceptions import ConfigurationError
from llmring.wire import openai_chat
from llmring.wire.base import Dialect

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "openai_chat": openai_chat.DIALECT,
    }
)


def get_dialect(name: str) -> Dialect:
    """The dialect of this name. Raises ConfigurationError, naming those there are, for any other."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigurationError(f"{name!r} is no dialect", hint=f"known dialects: {', '.join(DIALECTS)}") from None
