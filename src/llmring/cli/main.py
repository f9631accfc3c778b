"""The `llmring` command's door: finds the command, loads it alone, and turns what it raises into a line and an exit code."""

from __future__ import annotations

import importlib
import sys

import click

from llmring import __version__
from llmring.cli.failures import INTERRUPTED, report
from llmring.cli.output import quiet_pipes, show_warnings

# Loaded when asked for: `llmring aliases` must not pay for what `llmring chat` needs.
COMMANDS = {
    "aliases": "llmring.cli.aliases",
    "chat": "llmring.cli.chat",
    "resolve": "llmring.cli.resolve",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        return None if module is None else importlib.import_module(module).command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 unknown alias, profile or model, 2 bad input, 3 could not be determined (network, "
    "credentials), 4 refused, 130 interrupted.",
)
@click.version_option(__version__, prog_name="llmring", message="%(prog)s %(version)s")
def llmring() -> None:
    """Call models by alias, pinned in a lockfile."""


def main() -> None:
    """The console script. Never returns."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command line; returns its exit code."""
    quiet_pipes()
    show_warnings()
    try:
        result = llmring.main(args=arguments, prog_name="llmring", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:
        # The edge of the program: what is ours becomes a line, anything else is a bug and keeps its traceback.
        code = report(error)
        if code is None:
            raise
        return code
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
