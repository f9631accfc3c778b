"""The `llmring` command's door: finds the command, loads it alone, and turns what it raises into a line and an exit code."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress

import click

from llmring import __version__
from llmring.cli.failures import BAD_INPUT, INTERRUPTED, CommandError, report
from llmring.cli.output import end_data, quiet_pipes, say_as_it_is, showing_warnings
from llmring.exceptions import ConfigurationError
from llmring.plugins import stdout_is_data

# Loaded when asked for: `llmring aliases` must not pay for what `llmring chat` needs.
COMMANDS = {
    "aliases": "llmring.cli.aliases",
    "bind": "llmring.cli.bind",
    "chat": "llmring.cli.chat",
    "completion": "llmring.cli.completion",
    "doctor": "llmring.cli.doctor",
    "explain": "llmring.cli.explain",
    "info": "llmring.cli.info",
    "list": "llmring.cli.list",
    "lock": "llmring.cli.lock",
    "providers": "llmring.cli.providers",
    "registry": "llmring.cli.registry",
    "resolve": "llmring.cli.resolve",
    "unbind": "llmring.cli.unbind",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        from llmring.cli.plugged import list_plugged

        return sorted({*COMMANDS, *list_plugged(COMMANDS)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is not None:
            return importlib.import_module(module).command
        from llmring.cli.plugged import find_plugged

        return find_plugged(cmd_name, COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        asked_for = not ctx.resilient_parsing and not args[0].startswith("-")
        if asked_for and self.get_command(ctx, args[0]) is None:
            import difflib

            # A plug-in that cannot be loaded is listed under the very name that was asked for.
            known = [name for name in self.list_commands(ctx) if name != args[0]]
            near = difflib.get_close_matches(args[0], known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see `llmring --help`"
            raise CommandError(f"no command {args[0][:80]!r}", hint=hint)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine, 1 an unknown name, or something to act on; 2 bad input, 3 could not be determined (network, "
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
    as_json = _wants_json(arguments)
    try:
        with showing_warnings(as_json), stdout_is_data():
            result = llmring.main(args=arguments, prog_name="llmring", standalone_mode=False)
        end_data()
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        # Only half a command line: what could follow is the best answer, and still none.
        say_as_it_is(error.format_message())
        return BAD_INPUT
    except Exception as error:
        # The edge of the program: what is ours becomes a line, anything else is a bug and keeps its traceback.
        code = report(error, as_json)
        if code is None:
            raise
        with suppress(ConfigurationError):  # of a full disk it was said already
            end_data()
        return code
    return result if isinstance(result, int) else 0


def _wants_json(arguments: list[str]) -> bool:
    # Looked for by hand: a command line that click cannot read is an error too, and its script wants JSON of it.
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


if __name__ == "__main__":
    main()
