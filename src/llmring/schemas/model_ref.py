"""The name of a model: `provider:model`, split at the first colon (`ollama:llama3.2:3b` is model `llama3.2:3b`)."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmring.exceptions import ConfigurationError

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
ALIAS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)  # profiles and origins too
# A model's name is the vendor's and may hold slashes, colons and dots; never white space or control characters.
MODEL_NAME = re.compile(r"[!-~]{1,256}", re.ASCII)


class ModelRef(NamedTuple):
    """A model at a provider."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


def parse_model_ref(text: str) -> ModelRef:
    """`provider:model` as a ModelRef. Raises ConfigurationError for anything else."""
    provider, colon, model = text.partition(":")
    if not colon or not PROVIDER_NAME.fullmatch(provider) or not MODEL_NAME.fullmatch(model):
        raise ConfigurationError(
            f"{text[:80]!r} is no model name", hint="write provider:model, such as openai:gpt-6-luna"
        )
    return ModelRef(provider, model)
