"""The control plane: vendor SDKs live here and nowhere else, and are imported when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from llmring.providers.availability import SDKS, require

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider
    from llmring.providers.control.base import SDKClient

# Which vendor's SDK speaks a dialect. A provider in a cloud may need another client of the same SDK: see those modules.
_SDK_OF: Final = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic_messages": "anthropic",
    "gemini_generate": "google",
    "ollama_chat": "ollama",
}


def make_client(provider: BaseLLMProvider) -> SDKClient:
    """The vendor's async client for this provider, and how it is closed.

    Raises ConfigurationError where the SDK is not installed, or none speaks the provider's dialect.
    """
    sdk = provider.row.sdk or _SDK_OF.get(provider.row.dialect, "openai")
    module, package = SDKS[sdk]
    require(module, package, f"the .client of provider {provider.name}")
    return import_module(f"llmring.providers.control.{sdk}").make_client(provider)
