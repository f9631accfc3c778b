"""Facts from installed packages: entry points of the group `llmring.fact_sources`. docs/plugins.md

Whatever a plug-in says stands under its own name, `plugin-NAME`, and below what llmring's own sources say. What is no fact is left out.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from llmring.exceptions import LLMRingError, RegistryError
from llmring.plugins import FACT_SOURCES, Plugin, PluginError, find_plugins
from llmring.registry.parse import FactSource, FactValue, is_date
from llmring.registry.sources.base import PLUGGED, Reading, Source, put
from llmring.schemas.model_ref import MODEL_NAME

_log = logging.getLogger("llmring.registry")


def load_sources() -> list[Source]:
    """The sources of every plug-in. A broken one is logged and left out."""
    sources: list[Source] = []
    for plugin in find_plugins(FACT_SOURCES):
        try:
            sources.append(load_source(plugin))
        except PluginError as error:
            _log.warning("%s", error)
    return sources


def find_source(key: str) -> Source | None:
    """The source that a manifest names as `plugin-NAME`; None where no package gives it. Raises RegistryError for a broken one."""
    for plugin in find_plugins(FACT_SOURCES):
        if key == f"{PLUGGED}{plugin.name}":
            try:
                return load_source(plugin)
            except PluginError as error:
                raise RegistryError(str(error)) from None
    return None


def load_source(plugin: Plugin) -> Source:
    """Raises PluginError for what cannot be loaded, and for what is no source."""
    given: Any = plugin.load()
    if isinstance(given, type) or inspect.isfunction(given):
        try:
            given = given()
        except (Exception, SystemExit) as error:  # somebody else's factory
            raise plugin.failed(error) from None
    if not inspect.iscoroutinefunction(getattr(given, "read", None)):
        raise plugin.broken("a source of facts has an async method read(provider, today)")
    return _PluggedSource(plugin, given)


@dataclass(frozen=True, slots=True)
class _PluggedSource:
    plugin: Plugin
    given: Any

    @property
    def key(self) -> str:
        return f"{PLUGGED}{self.plugin.name}"

    async def read(self, provider: str, today: str) -> Reading | None:
        try:
            reading: object = await self.given.read(provider, today)
        except LLMRingError:
            raise
        except Exception as error:  # somebody else's code
            raise RegistryError(f"{self.plugin} failed: {type(error).__name__}") from None
        if reading is None:
            return None
        said_by = reading.said_by if isinstance(reading, Reading) else None
        if not isinstance(reading, Reading) or not _is_sound(said_by):
            raise RegistryError(f"{self.plugin} gives no Reading that says what it is, with an https url and a date")
        models = {
            name: facts
            for name, given in cast("Mapping[object, Any]", reading.models).items()
            if isinstance(name, str) and MODEL_NAME.fullmatch(name) and (facts := _read_facts(given))
        }
        since = {name: day for name, day in reading.since.items() if name in models and is_date(day)}
        return Reading(self.key, reading.said_by, models, reading.names_models, reading.dated, since=since)


def _is_sound(said_by: object) -> bool:
    return (
        isinstance(said_by, FactSource)
        and bool(said_by.what)
        and said_by.what.isprintable()
        and said_by.url.startswith("https://")
        and is_date(said_by.date)
    )


def _read_facts(given: Any) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    for name, value in cast("Mapping[Any, Any]", given).items() if isinstance(given, Mapping) else ():
        if isinstance(name, str):
            put(facts, name, value)
    return facts
