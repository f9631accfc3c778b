"""What a lock pins beside an alias's models (temperature, max_tokens, reasoning_effort, system), laid under a request. The request's
own value wins; what is pinned wins over the ring's defaults, and those over a provider's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmring.calls.options import Defaults, request_layer
from llmring.exceptions import ConfigurationError
from llmring.resolver import Resolution
from llmring.schemas.messages import Message
from llmring.schemas.request import LLMRequest, RequestOptions

_MOST_KEPT: Final = 256  # a guess: sets of parameters, not aliases


class PinnedParameters:
    """prompts: texts by the names that an alias's `system` may say. A lock names a prompt and holds none, and no file is read."""

    def __init__(self, prompts: Mapping[str, str] | None = None) -> None:
        for name, text in (prompts or {}).items():
            if not isinstance(name, str) or not isinstance(text, str) or not text:  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
                raise ConfigurationError(f"prompts: {str(name)[:80]!r} is no name of a text", hint='{"name": "text"}')
        self._prompts = dict(prompts or {})
        self._read: dict[tuple[tuple[str, Any], ...], Defaults] = {}

    def lay_under(self, request: LLMRequest, resolution: Resolution) -> LLMRequest:
        """The request with what is pinned where it says nothing. Raises ConfigurationError for a prompt that nobody gave."""
        parameters = resolution.parameters
        if not parameters:
            return request
        laid = self._defaults(parameters).lay_under(request)
        name = parameters.get("system")
        if name is None or _has_system(request):
            return laid
        text = self._prompts.get(name)
        if text is None:
            there = ", ".join(self._prompts) or "none"
            raise ConfigurationError(
                f"alias {resolution.alias!r} wants the system prompt {name!r}, which this program has not given",
                hint=f"LLMRing(prompts={{{name!r}: …}}), or a system message in the request; given: {there[:300]}",
            )
        return laid.model_copy(update={"messages": [Message(role="system", content=text), *laid.messages]})

    def layers(self, request: LLMRequest, resolution: Resolution) -> dict[str, tuple[Any, str]]:
        """What `lay_under` adds, by field: value, as JSON data, and the layer "alias"."""
        parameters = resolution.parameters
        if not parameters:
            return {}
        own = request_layer(request)
        laid = request_layer(self._defaults(parameters).lay_under(request))
        added = {name: (value, "alias") for name, (value, _) in laid.items() if name not in own}
        if "system" in parameters and not _has_system(request):
            added["system"] = (parameters["system"], "alias")
        return added

    def without_prompt(self, request: LLMRequest, resolution: Resolution) -> LLMRequest:
        """As `lay_under`, without the system prompt: for who only tells what a call would do."""
        return self._defaults(resolution.parameters).lay_under(request) if resolution.parameters else request

    def _defaults(self, parameters: Mapping[str, Any]) -> Defaults:
        key = tuple(parameters.items())
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= _MOST_KEPT:
                self._read.clear()
            said = {name: value for name, value in parameters.items() if name != "system"}
            found = self._read[key] = Defaults(RequestOptions(**said))
        return found


def _has_system(request: LLMRequest) -> bool:
    return any(message.role == "system" for message in request.messages)
