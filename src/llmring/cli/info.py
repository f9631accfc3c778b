"""`llmring info`: everything that is known of a model, each fact with who says so and when. Asks no network."""

from __future__ import annotations

import click

from llmring.cli.model_text import UNKNOWN, show_value
from llmring.cli.options import complete_model, json_option, lock_options
from llmring.cli.output import note, warn, write, write_json, write_table
from llmring.registry.model_info import CAPS, ModelInfo

# What anybody would ask of a model: shown as unknown where it is.
_EXPECTED = ("category", "max_input", "max_output", "lifecycle", "pin")


@click.command("info", short_help="Show what is known of a model, and who says so.")
@click.argument("model", shell_complete=complete_model)
@lock_options
@json_option()
def command(model: str, profile: str | None, lockfile: str | None, as_json: bool) -> None:
    """Show what is known of MODEL: a provider:model, a model's own name, or an alias (the first of its pool).

    Every fact comes with its source and date. What nobody knows is called unknown, which is neither yes nor no.
    """
    from llmring.cli.catalog import find_model, read_known_models
    from llmring.clock import SystemClock
    from llmring.registry.facts import describe_model, find_standing

    known = read_known_models(lockfile)
    info = find_model(known, model, profile)
    standing = find_standing(info, SystemClock().now())
    aliases = known.find_aliases(info.id)
    if as_json:
        told = describe_model(info) | {"sources": dict(sorted(info.sources.items())), "standing": standing.state}
        told["warnings"] = [] if standing.text is None else [standing.text]
        write_json(told | {"aliases": [{"profile": where, "alias": alias} for where, alias in aliases]})
        return
    if info.id != model:
        note(f"{model} is {info.id}")
    if standing.text is not None:
        warn(f"{info.id}: {standing.text}")
    _write(info)
    write(f"used by: {', '.join(f'{alias} ({where})' for where, alias in aliases) or 'no alias of this lockfile'}\n")


def _write(info: ModelInfo) -> None:
    from llmring.registry.facts import list_facts

    facts = list_facts(info)
    groups: dict[str, list[tuple[str, str, str]]] = {"": [], "caps": [], "price": []}
    for name, value in facts.items():
        group, dot, kind = name.partition(".")
        row = (kind if dot else name, show_value(value), info.sources.get(name, "not said"))
        groups[group if dot else ""].append(row)
    groups["caps"] += [(cap, UNKNOWN, "") for cap in CAPS if info.can(cap) is None]
    groups[""] += [(name, UNKNOWN, "") for name in _EXPECTED if name not in facts]
    write(f"{info.id}\n")
    for head, rows in zip(
        (("FACT", "VALUE"), ("CAN", "ANSWER"), ("PRICE", "USD PER MILLION TOKENS")), groups.values(), strict=True
    ):
        write("\n")
        write_table((*head, "SOURCE"), rows or [("", UNKNOWN, "")])
    write("\n")
