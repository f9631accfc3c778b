"""Which vendors' packages are installed. They come with llmring; where somebody took one out, only what needs it stops working."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from llmring.exceptions import ConfigurationError

# Module and package, by the provider whose `.client` is made of it.
SDKS: Final = {
    "openai": ("openai", "openai"),
    "anthropic": ("anthropic", "anthropic"),
    "google": ("google.genai", "google-genai"),
    "ollama": ("ollama", "ollama"),
}


def is_installed(module: str) -> bool:
    """Whether a module can be found; it is not imported."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is missing, or somebody put None in its place
        return False


def available() -> dict[str, bool]:
    """By vendor, whether its SDK is installed: `{"openai": True, …}`. Calls over llmring's own wire need none of them."""
    return {name: is_installed(module) for name, (module, _) in SDKS.items()}


def require(module: str, package: str, needed_for: str) -> None:
    """Raises ConfigurationError naming the package where it is not installed."""
    if not is_installed(module):
        raise ConfigurationError(
            f"{needed_for} needs the package {package}, which is not installed", hint=f"pip install {package}"
        )


OPENAI_AVAILABLE: Final = is_installed("openai")
"""Whether OpenAI's SDK is installed; only `.client` needs it."""
ANTHROPIC_AVAILABLE: Final = is_installed("anthropic")
"""Whether Anthropic's SDK is installed; only `.client` needs it."""
GOOGLE_AVAILABLE: Final = is_installed("google.genai")
"""Whether Google's SDK is installed; only `.client` needs it."""
OLLAMA_AVAILABLE: Final = is_installed("ollama")
"""Whether Ollama's SDK is installed; only `.client` needs it."""
