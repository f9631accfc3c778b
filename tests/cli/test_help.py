"""The help pages of the commands that look and tell."""

import pytest
from tests.cli.inside import Inside


@pytest.mark.spec("U30")
def test_no_commands_line_is_cut_off(inside: Inside) -> None:
    _, commands = inside.run("--help").stdout.split("Commands:\n")
    assert "..." not in commands


@pytest.mark.spec("U30")
@pytest.mark.parametrize("command", ["doctor", "explain", "info", "list", "providers"])
def test_help_is_complete(inside: Inside, command: str) -> None:
    inside.run(command, "--help").check(f"help-{command}")
