"""Commands of installed packages (entry points of the group `llmring.commands`). docs/plugins.md"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import click

from llmring.plugins import COMMANDS, PluginError, find_plugins

_log = logging.getLogger("llmring.cli")


def list_plugged(taken: Iterable[str]) -> list[str]:
    """The names of commands that plug-ins give; those that cannot be used are said on stderr, by `find_plugged`."""
    return [plugin.name for plugin in find_plugins(COMMANDS, taken) if plugin.problem is None]


def find_plugged(name: str, taken: Iterable[str]) -> click.Command | None:
    """The plug-in's command of this name; None where there is none, or a broken one, which is said on stderr."""
    for plugin in find_plugins(COMMANDS, taken):
        if plugin.name == name:
            try:
                command = plugin.load()
                if not isinstance(command, click.Command):
                    raise plugin.broken(f"a {type(command).__name__} is no click.Command")
            except PluginError as error:
                # Logged, not said: here click knows nothing yet of --json.
                _log.warning("%s", error)
                continue
            return command
    return None
