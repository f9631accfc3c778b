"""`llmring lock init`: a manifest to begin with, and its lock. Chooses nothing by the keys of this shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmring.cli.failures import BAD_INPUT, CommandError
from llmring.cli.lock_check import find_lock_here
from llmring.cli.lock_sources import check_may_write
from llmring.cli.options import json_option
from llmring.cli.output import note, warn
from llmring.clock import SystemClock

if TYPE_CHECKING:
    from llmring.lockfile.model import Lock
    from llmring.lockfile.starting import Start


@click.command("init", short_help="Write a manifest, and its lock.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="A lockfile (1.0 or 1.1), or a LiteLLM configuration."
)
@click.option("--profiles", metavar="A,B", default="", help="Profiles to have besides, such as prod,dev.")
@click.option("--suggest", "suggested", is_flag=True, help="Name the cheapest fitting models that the registry knows.")
@click.option(
    "--git", "with_git", is_flag=True, help="Merge lockfiles by alias in this repository: `merge-driver install`."
)
@click.option("--force", is_flag=True, help="Overwrite the llmring.toml that is here.")
@click.option("--offline", is_flag=True, help="Ask nobody: go by the registry that ships with llmring.")
@json_option()
def command(
    source: Path | None,
    profiles: str,
    suggested: bool,
    with_git: bool,
    force: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Write llmring.toml, and lock it.

    Begins with --from, else with the llmring.lock of this folder, else with the aliases that llmring brings along.
    """
    from llmring.cli.lock_make import run, show
    from llmring.lockfile.intents import parse_manifest
    from llmring.lockfile.locking import NOTHING, Accepted
    from llmring.lockfile.manifest import MANIFEST_NAME
    from llmring.lockfile.starting import start
    from llmring.lockfile.writing import write_whole

    if source is not None and suggested:
        raise click.UsageError("--from and --suggest are two ways to begin: give one")
    check_may_write()
    lock_path = find_lock_here(None)
    here = lock_path.parent
    path = here / MANIFEST_NAME
    _check_free(here, path, force)
    begun, old = _begin(source, suggested, lock_path)
    text = start(begun, [name.strip() for name in profiles.split(",") if name.strip()])
    import tomli

    parse_manifest(tomli.loads(text), str(path))  # whatever is wrong with it shows before it is written
    write_whole(path, text.encode(), expected=path.read_bytes() if path.exists() else None)
    note(f"{MANIFEST_NAME} written")
    for what in begun.left:
        warn(what)
    if with_git:
        from llmring.lockfile.merging import install_driver

        attributes, _ = install_driver(here, "llmring")
        note(f"git merges llmring.lock row by row in this clone; commit {attributes.name}")
    relocked = run(NOTHING, Accepted(), offline=offline, old=old)
    show("llmring lock init", relocked, as_json=as_json, more={"manifest": str(path), "left": begun.left})
    if relocked.exit_code == 0:
        note("commit both; `llmring lock check` holds one against the other, `llmring aliases` lists what is bound")
    return relocked.exit_code


def _check_free(here: Path, path: Path, force: bool) -> None:
    from llmring.lockfile.manifest import MANIFEST_NAME, read_manifest

    if path.exists() or path.is_symlink():
        if not force:
            raise CommandError(
                f"{MANIFEST_NAME} is here already",
                exit_code=BAD_INPUT,
                hint="`llmring lock` locks it; --force overwrites it",
            )
    elif read_manifest(here) is not None:
        raise CommandError(
            "pyproject.toml holds the manifest already, in [tool.llmring]",
            exit_code=BAD_INPUT,
            hint="`llmring lock` locks it",
        )


def _begin(source: Path | None, suggested: bool, lock_path: Path) -> tuple[Start, Lock | None]:
    """What to begin with, and the lock whose pins are kept."""
    from llmring.lockfile.parse import MAX_LOCK_BYTES, parse_lock
    from llmring.lockfile.starting import start_from_litellm, start_from_lock, suggest
    from llmring.lockfile.store import BUNDLED_LOCK, read_lock_bytes
    from llmring.registry.catalog import shared_catalog

    if suggested:
        from llmring.lockfile.checking import make_speaker_of

        return suggest(shared_catalog(), SystemClock().now(), make_speaker_of(None)), None
    if source is None:
        source = lock_path if lock_path.exists() else BUNDLED_LOCK
    data = read_lock_bytes(source, MAX_LOCK_BYTES)
    if b"model_list" in data:
        return start_from_litellm(data, str(source), shared_catalog()), None
    lock = parse_lock(data, str(source))
    return start_from_lock(lock), lock
