"""Options that several commands share, so that each has one name, one meaning and one help text. Loads click alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def _complete_profile(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from llmring.cli.candidates import profiles

    return profiles(ctx, incomplete)


def complete_model(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`shell_complete=` of an argument that takes an alias or provider:model."""
    from llmring.cli.candidates import aliases_and_models

    return aliases_and_models(ctx, incomplete)


def profile_option(function: _Function) -> _Function:
    """--profile, as `profile: str | None`."""
    return click.option("--profile", help="Profile of the lockfile.", shell_complete=_complete_profile)(function)


def lockfile_option(function: _Function) -> _Function:
    """--lockfile, as `lockfile: str | None`."""
    return click.option("--lockfile", type=click.Path(), help="Lockfile to use.")(function)


def lock_options(function: _Function) -> _Function:
    """--profile and --lockfile: for every command that asks what an alias means."""
    return profile_option(lockfile_option(function))


def json_option(what: str = "Print one JSON object.") -> Callable[[_Function], _Function]:
    """--json, as `as_json: bool`. what: the help text, where one object is not all that can be said.

    `main` sees the option too: with it, errors and talk are JSON on stderr.
    """

    def decorate(function: _Function) -> _Function:
        return click.option("--json", "as_json", is_flag=True, help=what)(function)

    return decorate
