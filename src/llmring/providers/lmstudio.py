"""LM Studio, and what its server can do beside chat: say how long a context is, unload models, count tokens.

None of this may stop a call: what fails is logged as a warning and gives None. Needs LM Studio 0.4 or newer for its REST API,
https://lmstudio.ai/docs/developer/rest (2026-11-21); to count tokens, the package lmstudio, as that API has no words for it.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from llmring.exceptions import LLMRingError
from llmring.providers.base import BaseLLMProvider
from llmring.schemas.provider_options import LMStudioOptions, VendorOptions

_log = logging.getLogger("llmring.providers")

_VERSION: Final = re.compile(r"/(api/)?v\d+/?$")
# Unloading frees gigabytes; a list is quick. Guesses.
_LIST_S, _UNLOAD_S = 10.0, 60.0


@dataclass(frozen=True, slots=True)
class _Model:
    """A model that the server has on disk. instances: its copies in memory, by id, with the length of their context."""

    key: str
    is_llm: bool
    max_context: int | None
    instances: dict[str, int | None]


class LMStudioProvider(BaseLLMProvider):
    """What `LLMRing.get_provider("lmstudio")` gives: a provider like any other, and what only LM Studio can do.

    A method that cannot do what it is for (no server, an older one, a model that is not there) logs a warning and returns None.
    """

    async def prepare(self, options: VendorOptions, model: str, deadline: float | None) -> list[str]:
        if not isinstance(options, LMStudioOptions) or not options.unload_others:
            return []
        if await self.unload_other_models(model, deadline=deadline) is not None:
            return []
        return [f"unload_others: provider {self.name} did not unload other models; the log says why"]

    async def get_context_length(self, model: str | None = None) -> int | None:
        """Tokens of context: as the model was loaded, else the most that it supports. model: default, the one that is loaded."""
        listed = await self._list("the length of the context")
        found = None if listed is None else self._find(listed, model)
        if found is None:
            return None
        lengths = [length for length in found.instances.values() if length is not None]
        return min(lengths) if lengths else found.max_context

    async def unload_other_models(self, keep: str, *, deadline: float | None = None) -> list[str] | None:
        """Unloads every language model but `keep`; the ids of those that were. Embedding models stay. deadline: in the ring's
        `monotonic()` seconds; default none."""
        what = "unloading other models"
        listed = await self._list(what, deadline)
        if listed is None or self._find(listed, keep) is None:
            return None
        unloaded: list[str] = []
        for model in listed:
            for instance in model.instances:
                if not model.is_llm or keep in (model.key, instance):
                    continue
                reply = await self._ask(
                    what, "/models/unload", {"instance_id": instance}, timeout_s=_UNLOAD_S, deadline=deadline
                )
                if reply is None:
                    return None
                unloaded.append(instance)
        return unloaded

    async def count_tokens(self, text: str, model: str | None = None) -> int | None:
        """A text's tokens, counted by a model that is loaded. model: default, the first. Loads none: that may take minutes.

        Needs the package lmstudio (the extra [lmstudio]), which speaks to the server over a websocket of its own.
        """
        from llmring.providers.availability import is_installed

        what = "counting tokens"
        if not is_installed("lmstudio"):
            self._warn(what, "the package lmstudio is not installed; pip install lmstudio")
            return None
        parts = urlsplit(self.base_url)
        if parts.scheme != "http" or parts.path.rstrip("/") not in {"", "/v1"}:
            self._warn(what, "the package lmstudio speaks to http://HOST:PORT alone")
            return None
        from llmring.providers.control.lmstudio import count_tokens

        try:
            count = await count_tokens(parts.netloc, text, model or self.model)
        except Exception as error:  # the SDK's, and of what it is made of
            self._warn(what, f"{type(error).__name__}; is the server running?")
            return None
        if count is None:
            self._warn(what, f"{model or self.model or 'no model'} is not loaded")
        return count

    # How it asks

    async def _list(self, what: str, deadline: float | None = None) -> list[_Model] | None:
        reply = await self._ask(what, "/models", None, timeout_s=_LIST_S, deadline=deadline)
        return None if reply is None else list(_read_models(reply))

    async def _ask(
        self, what: str, path: str, body: dict[str, Any] | None, *, timeout_s: float, deadline: float | None
    ) -> Any:
        """A JSON reply of the REST API, which stands beside the one that chat goes to; None, and a warning, where there is none."""
        root = _VERSION.sub("", self.base_url)
        rest = BaseLLMProvider(
            dataclasses.replace(self.row, base_url_variable=None),
            environ=self._environ,
            scrubber=self.scrubber,
            api_key=self._api_key,
            base_url=f"{root}/api/v1",
        )
        try:
            reply = await self._bound().ask_json(rest, path, body, timeout_s=timeout_s, deadline=deadline)
        except LLMRingError as error:
            self._warn(what, f"{type(error).__name__}: {error}")
            return None
        if reply is None:
            self._warn(what, "the server's reply is null")
        return reply

    def _find(self, models: list[_Model], name: str | None) -> _Model | None:
        name = name or self.model
        if name is None:
            found = next((model for model in models if model.is_llm and model.instances), None)
        else:
            found = next((model for model in models if name == model.key or name in model.instances), None)
        if found is None:
            self._warn("finding a model", "none is loaded" if name is None else f"the server has no {name[:80]!r}")
        return found

    def _warn(self, what: str, why: str) -> None:
        _log.warning("provider %s: %s: %s", self.name, what, why)


def _read_models(reply: Any) -> Iterator[_Model]:
    """https://lmstudio.ai/docs/developer/rest/list (2026-11-21). What is not as described there is passed over."""
    listed: Any = cast("dict[str, Any]", reply).get("models") if isinstance(reply, dict) else None
    for given in cast("list[Any]", listed) if isinstance(listed, list) else []:
        match given:
            case {"key": str(key), "loaded_instances": [*instances]}:
                row = cast("dict[str, Any]", given)
                ids = dict(found for instance in instances if (found := _read_instance(instance)) is not None)
                yield _Model(key, row.get("type") == "llm", _whole(row, "max_context_length"), ids)
            case _:
                pass


def _read_instance(given: Any) -> tuple[str, int | None] | None:
    match given:
        case {"id": str(id)}:
            return id, _whole(cast("dict[str, Any]", given).get("config"), "context_length")
        case _:
            return None


def _whole(given: Any, name: str) -> int | None:
    value: Any = cast("dict[str, Any]", given).get(name) if isinstance(given, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
