"""`llmring registry`: the facts of models made anew, how old they are, and what changed between two sets of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import llmring
from llmring.cli import registry_update
from llmring.cli.failures import ACT, FINE, UNDETERMINED
from llmring.cli.options import json_option
from llmring.cli.output import note, warn, write, write_json, write_table
from llmring.clock import SystemClock
from llmring.exceptions import RegistryError
from llmring.registry.freshness import MAX_AGE_DAYS

if TYPE_CHECKING:
    from llmring.registry.diff import Change
    from llmring.registry.freshness import Freshness
    from llmring.registry.parse import RegistryFile
    from llmring.registry.refresh import Disagreement, Refreshed
    from llmring.registry.sources.base import Source

_PROVIDERS: Final = ("openai", "anthropic", "google", "ollama")
_SOURCES: Final = ("listing", "genai-prices", "litellm")
_PACKAGE: Final = Path(llmring.__file__).resolve().parent


@click.group("registry", short_help="Refresh, date and compare the facts of models.")
def command() -> None:
    """What is known of models, as data: refresh it, ask how old it is, compare two of it."""


command.add_command(registry_update.command)


@command.command("refresh", short_help="Ask the sources anew, show what changes, write.")
@click.option(
    "--provider", "providers", multiple=True, type=click.Choice(_PROVIDERS), help="Only this one. Repeatable."
)
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(_SOURCES),
    help="Ask only this one. Repeatable. Default: all, but a listing only where its provider has a key.",
)
@click.option("--litellm-wheel", type=click.Path(path_type=Path), help="A wheel of litellm, instead of the newest one.")
@click.option("--index-url", help="Package index to take litellm's wheel from. Default: https://pypi.org/simple/.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder of the files. Default: the checkout's registry/."
)
@click.option("--plugins", is_flag=True, help="Ask the installed plug-ins that know facts, too.")
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@json_option()
def refresh_command(
    providers: tuple[str, ...],
    sources: tuple[str, ...],
    litellm_wheel: Path | None,
    index_url: str | None,
    output: Path | None,
    plugins: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Ask the sources anew; show what changes and where they disagree; write.

    A fact whose source is not read stays. Exits with 3 where a source that was asked could not be read.
    """
    folder = _folder(output)
    today = datetime.fromtimestamp(SystemClock().now(), UTC).date().isoformat()
    names = providers or _PROVIDERS
    told = asyncio.run(
        _refresh(folder, names, sources, litellm_wheel, index_url, today, plugins=plugins, dry_run=dry_run)
    )
    unread = {key: str(error) for _, refreshed, _, _ in told for key, error in refreshed.unread.items()}
    if as_json:
        rows = [_refreshed_row(*one) for one in told]
        write_json({"folder": str(folder), "dry_run": dry_run, "unread": unread, "providers": rows})
    else:
        for name, refreshed, changes, written in told:
            _write_refreshed(name, refreshed, changes, written, dry_run)
        for key, why in unread.items():
            warn(f"{key} could not be read, its facts stay as they were: {why}")
    return UNDETERMINED if unread else FINE


_Told = tuple[str, "Refreshed", "list[Change]", bool]


async def _refresh(
    folder: Path,
    names: Iterable[str],
    wanted: tuple[str, ...],
    wheel: Path | None,
    index_url: str | None,
    today: str,
    *,
    plugins: bool,
    dry_run: bool,
) -> list[_Told]:
    from llmring.registry.diff import diff_registries
    from llmring.registry.parse import make_file
    from llmring.registry.refresh import read_file, refresh, write_file, write_index
    from llmring.registry.sources.plugged import load_sources

    found: list[tuple[str, Refreshed, list[Change]]] = []
    plugged = load_sources() if plugins else []
    async with AsyncExitStack() as stack:
        made = await _make_sources(stack, wheel, index_url)
        for name in dict.fromkeys(names):
            path = folder / f"{name}.json"
            old = read_file(path) if path.exists() else make_file(name, today, {}, {})
            refreshed = await refresh(old, [*made(name, wanted), *plugged], today)
            found.append((name, refreshed, diff_registries(old, refreshed.file)))
    # Written once all are there: a broken one among them must not leave an index of files that are no more.
    told: list[_Told] = []
    for name, refreshed, changes in found:
        written = not dry_run and bool(refreshed.file.models) and write_file(folder / f"{name}.json", refreshed.file)
        told.append((name, refreshed, changes, written))
    if not dry_run:
        write_index(folder)
    return told


async def _make_sources(stack: AsyncExitStack, wheel: Path | None, index_url: str | None) -> Any:
    from llmring.lockfile.store import BUNDLED_LOCK
    from llmring.registry.sources.genai_prices import GenaiPrices
    from llmring.registry.sources.listing import VendorListing
    from llmring.registry.sources.litellm_data import MAX_WHEEL_BYTES, LitellmData
    from llmring.registry.sources.package_index import PYPI, PackageIndex
    from llmring.service import LLMRing
    from llmring.transport.guard import Guard
    from llmring.transport.http import HTTPTransport

    ring = await stack.enter_async_context(LLMRing(origin="llmring-cli", lockfile_path=BUNDLED_LOCK))
    transport = HTTPTransport(clock=SystemClock(), guard=Guard(), max_stream_bytes=MAX_WHEEL_BYTES)
    stack.push_async_callback(transport.close)
    every: dict[str, Source] = {
        "listing": VendorListing(ring.get_provider),
        "genai-prices": GenaiPrices(),
        "litellm": LitellmData(wheel=wheel, index=PackageIndex(transport, index_url or PYPI)),
    }

    def made(name: str, wanted: tuple[str, ...]) -> list[Source]:
        if wanted:
            return [every[key] for key in wanted]
        # A provider without keys is a server on this machine: asked only by name, as it seldom runs.
        provider = ring.get_provider(name)
        listed = bool(provider.row.key_variables) and not provider.row.local and provider.has_credential()
        return [source for key, source in every.items() if key != "listing" or listed]

    return made


def _folder(output: Path | None) -> Path:
    if output is not None:
        folder = output.resolve()
        if folder == _PACKAGE or _PACKAGE in folder.parents:
            raise RegistryError(f"{output} lies in the installed package", hint="name another folder with --output")
        return folder
    checkout = _PACKAGE.parents[1]
    if not (checkout / "pyproject.toml").is_file() or not (checkout / "registry").is_dir():
        raise RegistryError("llmring is installed, not run from a checkout", hint="name a folder with --output")
    return checkout / "registry"


def _write_refreshed(name: str, refreshed: Refreshed, changes: list[Change], written: bool, dry_run: bool) -> None:
    done = "written" if written else "not written: a dry run" if dry_run else "nothing to write"
    write(f"{name}: {len(refreshed.file.models)} models, {len(changes)} changes, {done}\n")
    for change in changes:
        write(f"  {change}\n")
    for found in refreshed.disagreements:
        write(f"  sources disagree: {_disagreement(name, found)}\n")
    for model in refreshed.unnamed:
        write(f"  no source names it any more: {name}:{model}\n")


def _disagreement(name: str, found: Disagreement) -> str:
    from llmring.registry.diff import show

    against = ", ".join(f"{source} {show(value)}" for source, value in found.against)
    return f"{name}:{found.model} {found.fact}: {found.believed[0]} {show(found.believed[1])}, not {against}"


def _refreshed_row(name: str, refreshed: Refreshed, changes: list[Change], written: bool) -> dict[str, Any]:
    return {
        "provider": name,
        "models": len(refreshed.file.models),
        "written": written,
        "changes": [_change_row(change) for change in changes],
        "disagreements": [asdict(found) | {"model": f"{name}:{found.model}"} for found in refreshed.disagreements],
        "unnamed": [f"{name}:{model}" for model in refreshed.unnamed],
    }


def _change_row(change: Change) -> dict[str, Any]:
    return asdict(change) | {"percent": None if change.percent is None else float(change.percent)}


@command.command("freshness", short_help="Say how old the facts are, and what is past its date.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The day to judge by. Default: today.")
@click.option("--max-age", type=click.IntRange(min=0), default=MAX_AGE_DAYS, show_default=True, help="In days.")
@click.option(
    "--registry", "folder", type=click.Path(path_type=Path), help="Folder to look at. Default: the bundled one."
)
@click.option("--check", is_flag=True, help="Exit with 1 if anything is too old, or past its retirement date.")
@json_option()
def freshness_command(as_of: datetime | None, max_age: int, folder: Path | None, check: bool, as_json: bool) -> int:
    """How old the facts are, by source, and which models are past their retirement date."""
    from llmring.registry.freshness import check_freshness

    day = as_of.date() if as_of else datetime.fromtimestamp(SystemClock().now(), UTC).date()
    found = check_freshness(_read(folder).values(), day, max_age_days=max_age)
    if as_json:
        write_json(asdict(found))
    else:
        _write_freshness(found, day, max_age)
    acts = found.past_retirement or any(age.stale for age in found.sources)
    return ACT if check and acts else FINE


def _write_freshness(found: Freshness, day: date, max_age: int) -> None:
    head = ("PROVIDER", "AGE", "DATE", "FACTS", "SOURCE")
    rows = [
        (age.provider, f"{age.age_days} d{' (old)' if age.stale else ''}", age.date, str(age.facts), age.what)
        for age in found.sources
    ]
    write_table(head, rows)
    for model in found.past_retirement:
        kind = f"{model.kind} date" if model.kind else "date"
        after = f"; its vendor names {model.successor}" if model.successor else ""
        write(f"{model.model}: past its {kind} of retirement, {model.retires}{after}\n")
    stale = sum(age.stale for age in found.sources)
    if stale:
        note(f"more than {max_age} days old on {day}: {stale} of {len(found.sources)} sources")


@command.command("diff", short_help="Compare two sets of registry files.")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@json_option("Print one JSON array.")
def diff_command(before: Path, after: Path, as_json: bool) -> None:
    """What changed from BEFORE to AFTER: two folders of registry files, or two files."""
    from llmring.registry.diff import diff_registries
    from llmring.registry.parse import make_file

    old, new = _read(before), _read(after)
    changes: list[Change] = []
    for name in sorted(old.keys() | new.keys()):
        there = new.get(name) or make_file(name, old[name].as_of, {}, {})
        here = old.get(name) or make_file(name, there.as_of, {}, {})
        changes += diff_registries(here, there)
    if as_json:
        write_json([_change_row(change) for change in changes])
        return
    for change in changes:
        write(f"{change}\n")
    if not changes:
        note("no fact differs")


def _read(path: Path | None) -> Mapping[str, RegistryFile]:
    from llmring.registry.snapshot import bundled_folder, parse_snapshot, read_files

    path = path or bundled_folder()
    return parse_snapshot(read_files(path), str(path)).files
