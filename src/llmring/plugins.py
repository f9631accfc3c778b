"""Plug-ins: what installed packages add under entry points of llmring's. docs/plugins.md lists the groups.

Looked for only when a name is asked for that nothing else has: a plug-in never takes a name that llmring or the user gave. Only an
installed package can name a module to import, never a lockfile, manifest or config file. A broken one is told, and nothing else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

PREFIX: Final = "llmring."
PROVIDERS: Final = "llmring.providers"
FACT_SOURCES: Final = "llmring.fact_sources"
COMMANDS: Final = "llmring.commands"
# What something here makes use of.
GROUPS: Final = (COMMANDS, FACT_SOURCES, PROVIDERS)

# As the names of providers (schemas/model_ref.py): they stand in front of a model's colon, and on a command line.
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_MAX_SHOWN: Final = 80
_MAX_PLUGINS: Final = 1000  # guess: no machine has as many; each costs a line of output
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


# In a program of somebody else's, stdout is not ours to turn round.
_stdout_is_data: Final = ContextVar("llmring_stdout_is_data", default=False)


class PluginError(Exception):
    """A plug-in that cannot be used. The message names it, its package and the reason."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point. name: what it adds a thing under. package, version: of the distribution. problem: why it is not used."""

    group: str
    name: str
    package: str
    version: str
    problem: str | None = None
    entry: EntryPoint | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"plug-in {self.name!r} of package {self.package} {self.version} ({self.group})"

    def load(self) -> object:
        """The object that it names. Imports its module, so it runs its code. Raises PluginError."""
        if self.problem is not None or self.entry is None:
            raise PluginError(f"{self} is skipped: {self.problem}")
        try:
            with _imports_are_quiet():
                return self.entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Somebody else's module, at its import: SystemExit, a test runner's Skipped, anything.
            raise self.failed(error) from None

    def failed(self, error: BaseException) -> PluginError:
        """The error that tells what its code raised."""
        # These are about modules and names. What others say may be anything, a key too.
        told = ""
        if isinstance(error, (ImportError, AttributeError, SyntaxError)):
            try:
                told = f": {error}"
            except Exception:  # an error class of theirs
                told = ""
        return self.broken(f"{_plain(type(error).__name__)}{_plain(told, 200)}")

    def broken(self, why: str) -> PluginError:
        """The error that tells what is wrong with it."""
        return PluginError(f"{self} is skipped: {why}")


@contextmanager
def stdout_is_data() -> Generator[None]:
    """Inside it, what a plug-in prints while it is imported goes to stderr. For a command line, whose stdout others read."""
    token = _stdout_is_data.set(True)
    try:
        yield
    finally:
        _stdout_is_data.reset(token)


def _imports_are_quiet() -> AbstractContextManager[object]:
    return redirect_stdout(sys.stderr) if _stdout_is_data.get() else nullcontext()


def find_plugins(group: str | None = None, taken: Iterable[str] = ()) -> list[Plugin]:
    """The plug-ins of one group, or of every group of llmring's, by group and name; nothing is imported.

    taken: names of that group that are llmring's own. Where two packages give one name, neither is meant: both carry a problem.
    """
    found: dict[tuple[str, str], list[Plugin]] = {}
    for plugin in _read_all(group):
        found.setdefault((plugin.group, plugin.name), []).append(plugin)
    names = set(taken)
    plugins: list[Plugin] = []
    for (_, name), same in sorted(found.items()):
        for plugin in sorted(same, key=lambda plugin: plugin.package):
            problem = plugin.problem
            if problem is None and name in names:
                problem = "the name is llmring's own"
            if problem is None and len(same) > 1:
                problem = f"packages {', '.join(sorted(other.package for other in same))} all give this name"
            plugins.append(
                Plugin(plugin.group, name, plugin.package, plugin.version, problem, plugin.entry)
                if problem != plugin.problem
                else plugin
            )
    return plugins[:_MAX_PLUGINS]


def _read_all(group: str | None) -> Iterator[Plugin]:
    # 20 ms to import, for the few who ask.
    from importlib import metadata

    seen: set[str] = set()
    for distribution in metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt")
        except (OSError, UnicodeDecodeError):
            continue  # whatever it says, it cannot be read; pip says so too
        # A package stands on the path twice where a checkout shadows an installed one: the first is the one that is imported.
        if not text or PREFIX not in text:
            continue
        package, version = _identify(distribution)
        if package != "?" and package.lower() in seen:
            continue
        seen.add(package.lower())
        yield from _read(distribution, package, version, group)


def _read(distribution: Distribution, package: str, version: str, group: str | None) -> Iterator[Plugin]:
    try:
        entries = list(distribution.entry_points)
    except Exception as error:  # importlib.metadata on a file that is no entry_points.txt: TypeError, ValueError, …
        if group is None:
            yield Plugin("?", "?", package, version, f"its entry_points.txt cannot be read: {type(error).__name__}")
        return
    for entry in entries:
        if not (entry.group.startswith(PREFIX) if group is None else entry.group == group):
            continue
        problem = None
        if not _NAME.fullmatch(entry.name):
            problem = "its name must read [a-z][a-z0-9_-]*, at most 32 characters"
        elif entry.group not in GROUPS:
            problem = "this version of llmring has no use for the group"
        yield Plugin(_plain(entry.group), _plain(entry.name), package, version, problem, entry)


def _identify(distribution: Distribution) -> tuple[str, str]:
    try:
        name, version = str(distribution.metadata["Name"]), str(distribution.metadata["Version"])
    except Exception:  # metadata that is missing or no metadata, as importlib.metadata meets it
        name, version = "?", "?"
    return _plain(name), _plain(version)


def _plain(text: str, limit: int = _MAX_SHOWN) -> str:
    """Fit for a line of output, whoever wrote it."""
    return _CONTROL.sub("?", text)[:limit]
