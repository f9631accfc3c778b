"""Commands of installed packages (entry points of the group `llmring.commands`). docs/plugins.md"""

from __future__ import annotations

from collections.abc import Iterable

import click

from llmring.cli.output import warn
from llmring.plugins import COMMANDS, PluginError, find_plugins


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
                warn(str(error))
                continue
            return command
    return None
