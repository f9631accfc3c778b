"""The help pages of the commands that look and tell, and of the lock's."""

import pytest
from tests.cli.inside import Inside

from llmring.cli.lock import SUBCOMMANDS

LOCK = ["lock", *(f"lock {name}" for name in SUBCOMMANDS), "lock merge-driver install", "bind", "unbind"]


@pytest.mark.spec("U30")
@pytest.mark.parametrize("group", [[], ["lock"]])
def test_no_commands_line_is_cut_off(inside: Inside, group: list[str]) -> None:
    _, commands = inside.run(*group, "--help").stdout.split("Commands:\n")
    assert "..." not in commands


@pytest.mark.spec("U30")
@pytest.mark.parametrize("command", ["doctor", "explain", "info", "list", "providers", *LOCK])
def test_help_is_complete(inside: Inside, command: str) -> None:
    inside.run(*command.split(), "--help").check(f"help-{command.replace(' ', '-')}")
