"""`llmring explain`: what a call of an alias would do here, and why. Asks no network, calls no model."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import click

from llmring.cli.lock_text import LOCK_NAMED_BY, PROFILE_NAMED_BY
from llmring.cli.model_text import show_caps, show_limits, show_price
from llmring.cli.options import complete_model, json_option, lock_options
from llmring.cli.output import note, write, write_json

_LAYERS: Final = {
    "alias": "pinned with the alias",
    "provider": "the provider's own default",
    "model name": "from the model's name",
}
_ON_DRIFT: Final = {"fail": "an answer by another model is refused", "ignore": "an answer by another model is taken"}


@click.command("explain", short_help="Say what a call of an alias would do here, and why.")
@click.argument("alias", shell_complete=complete_model)
@lock_options
@json_option()
def command(alias: str, profile: str | None, lockfile: str | None, as_json: bool) -> None:
    """Say what a call of ALIAS (or provider:model) would do here, and why.

    Which lockfile and profile count, which models would be tried in which order, who has a key, what each costs and can do, and
    whether it retires soon.
    """
    explained = asyncio.run(_explain(alias, profile, lockfile))
    if as_json:
        write_json(explained)
        return
    _write_head(explained, alias)
    for number, member in enumerate(explained["candidates"], 1):
        _write_member(number, member)
    if not any(member["credential"] for member in explained["candidates"]):
        note("no model of this pool can be called from here: no key for any of them")


async def _explain(alias: str, profile: str | None, lockfile: str | None) -> dict[str, Any]:
    from llmring.service import LLMRing

    async with LLMRing(origin="llmring-cli", lockfile_path=lockfile) as ring:
        return ring.explain(alias, profile)


def _write_head(explained: dict[str, Any], asked: str) -> None:
    alias = explained["alias"]
    package = None if alias is None else alias.rpartition(":")[0]
    lines = [
        ("model" if alias is None else "alias", asked if not package else f"{asked} (bound by package {package})"),
        ("lockfile", f"{explained['lock']} ({LOCK_NAMED_BY[explained['lock_origin']]})"),
        ("profile", f"{explained['profile']} ({PROFILE_NAMED_BY[explained['profile_layer']]})"),
        ("goes to", explained["resolves_to"]),
    ]
    successor = explained["successor"]
    if successor is not None:
        which, day = ("since", successor["until"]) if successor["serves"] else ("from", successor["until"])
        lines.append(("successor", f"{', '.join(successor['then'])} ({which} {day})"))
    if explained["weights"] is not None:
        lines.append(("weights", ", ".join(f"{weight:g}" for weight in explained["weights"])))
    if explained["on_drift"] not in (None, "warn"):
        lines.append(("on drift", _ON_DRIFT[explained["on_drift"]]))
    lines += _options(explained["options"])
    _write_lines(lines)


def _write_member(number: int, member: dict[str, Any]) -> None:
    facts: dict[str, Any] = member["facts"]
    write(f"\n{number}. {member['model']}: {member['role']}, {member['why']}\n")
    lines = [("warning", text) for text in member["warnings"]]
    lines += _options(member["options"])
    for name, text in (
        ("pin", f"{facts['pin'] or 'unknown'}{_points_to(facts)}{_pinned_from(member)}"),
        ("price", show_price(facts)),
        ("limits", show_limits(facts)),
        ("can", show_caps(facts, True)),
        ("cannot", show_caps(facts, False)),
        ("lifecycle", _lifecycle(facts)),
        ("facts", f"of {facts['facts_source']}" if facts["facts_source"] else ""),
    ):
        if text:
            lines.append((name, text))
    _write_lines(lines, indent="   ")


def _points_to(facts: dict[str, Any]) -> str:
    return f", pointed to {facts['points_to']} when it was looked up" if facts["points_to"] else ""


def _pinned_from(member: dict[str, Any]) -> str:
    asked = f", asked for as {member['requested']}" if member["requested"] else ""
    return asked + (f", verified as {member['digest'][:19]}… before its first use" if member["digest"] else "")


def _lifecycle(facts: dict[str, Any]) -> str:
    kind = "not before " if facts["retires_kind"] == "earliest" else ""
    shown = [facts["lifecycle"] or "", f"retires {kind}{facts['retires']}" if facts["retires"] else ""]
    return ", ".join(text for text in shown if text)


def _options(options: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("option", f"{name} = {json.dumps(option['value'])} ({_LAYERS.get(option['layer'], option['layer'])})")
        for name, option in options.items()
    ]


def _write_lines(lines: list[tuple[str, str]], indent: str = "") -> None:
    width = max((len(name) for name, _ in lines), default=0)
    for name, text in lines:
        write(f"{indent}{name.ljust(width)}  {text}\n")
