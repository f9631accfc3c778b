"""Providers of installed packages: what an entry point of the group `llmring.providers` may name. docs/plugins.md"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, cast

from llmring import plugins
from llmring.exceptions import ConfigurationError
from llmring.plugins import Plugin, find_plugins
from llmring.providers.base import BaseLLMProvider
from llmring.providers.custom import Provider, is_provider
from llmring.providers.declared import DeclaredProvider, ProviderOptions, Trust, declare
from llmring.providers.table import PROVIDERS


def load_provider(plugin: Plugin) -> DeclaredProvider | BaseLLMProvider | Provider:
    """What the plug-in provides. Raises PluginError for what cannot be loaded, and for what is no provider."""
    given = plugin.load()
    if isinstance(given, type) or (
        callable(given) and not isinstance(given, BaseLLMProvider) and not is_provider(given)
    ):
        try:
            given = given()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # somebody else's factory; no await in it, so it is no cancellation of ours
            raise plugin.failed(error) from None
    if isinstance(given, (ProviderOptions, Mapping)):
        options = cast("ProviderOptions | Mapping[str, Any]", given)
        try:
            return declare(plugin.name, options, Trust.PLUGIN)
        except ConfigurationError as error:
            raise plugin.broken(str(error)) from None
    if isinstance(given, BaseLLMProvider) or is_provider(given):
        return given
    raise plugin.broken(f"a {type(given).__name__} is no provider; docs/plugins.md lists what is")


class ProviderPlugins:
    """The providers that plug-ins name, each loaded when it is first taken. Callable from any thread."""

    def __init__(self) -> None:
        # Not a plain lock: a plug-in may make a ring of its own while it is being loaded.
        self._guard = threading.RLock()
        self._found: dict[str, Plugin] | None = None

    def find(self, name: str) -> Plugin | None:
        """The plug-in of this name, broken or not."""
        with self._guard:
            if self._found is None:
                self._found = {plugin.name: plugin for plugin in find_plugins(plugins.PROVIDERS, PROVIDERS)}
            return self._found.get(name)

    def list(self) -> list[Plugin]:
        """All of them, by name."""
        self.find("")
        return list((self._found or {}).values())
