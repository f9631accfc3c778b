"""The help pages of the commands that look and tell."""

import pytest
from tests.cli.inside import Inside


@pytest.mark.spec("U30")
@pytest.mark.parametrize("command", ["doctor", "explain", "info", "list", "providers"])
def test_help_is_complete(inside: Inside, command: str) -> None:
    inside.run(command, "--help").check(f"help-{command}")
