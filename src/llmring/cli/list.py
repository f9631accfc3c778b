"""`llmring list`: the models that are known here, by what they can do and cost. Asks no network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, get_args

import click

from llmring.cli.options import json_option, lockfile_option
from llmring.cli.output import note, write_json, write_table
from llmring.registry.model_info import CAPS, Category, Lifecycle, ModelInfo, Sort

if TYPE_CHECKING:
    from llmring.cli.catalog import KnownModels

_UNKNOWN = "?"


@click.command("list", short_help="List the models that are known here, those that fit.")
@click.option("--provider", help="Only this provider's.")
@click.option("--category", type=click.Choice(get_args(Category)), help="Only models of this kind.")
@click.option("--needs", metavar="CAP[,CAP…]", help=f"Only models that have all of these: {', '.join(CAPS)}.")
@click.option("--max-price", metavar="KIND=USD", multiple=True, help="At most so much per million tokens: input=3.")
@click.option("--min-input", type=click.IntRange(min=1), help="Only models that take prompts of so many tokens.")
@click.option("--available", is_flag=True, help="Only models whose provider has a key here, or needs none.")
@click.option("--locked", is_flag=True, help="Only models that the lockfile names.")
@click.option("--unknown", is_flag=True, help="Also models of which nobody knows whether they fit.")
@click.option(
    "--lifecycle",
    type=click.Choice(get_args(Lifecycle)),
    help="Only models that stand there; retired ones otherwise not.",
)
@click.option("--sort", type=click.Choice(get_args(Sort)), default="name", help="What comes first.", show_default=True)
@lockfile_option
@json_option("Print one JSON array, with every fact.")
def command(
    provider: str | None,
    category: Category | None,
    needs: str | None,
    max_price: tuple[str, ...],
    min_input: int | None,
    available: bool,
    locked: bool,
    unknown: bool,
    lifecycle: Lifecycle | None,
    sort: Sort,
    lockfile: str | None,
    as_json: bool,
) -> None:
    """List the models of the registry and of the lockfile, those that fit. What is not known is shown as `?`."""
    from llmring.cli.catalog import read_known_models

    known = read_known_models(lockfile)
    found = known.catalog.find(
        provider=provider,
        category=category,
        needs=[cap.strip() for cap in needs.split(",") if cap.strip()] if needs else (),
        max_price=_read_prices(max_price),
        min_input=min_input,
        lifecycle=lifecycle,
        allow_unknown=unknown,
        sort=sort,
    )
    if locked:
        found = [info for info in found if info.id in known.in_lock]
    if available:
        keys = asyncio.run(_find_keys())
        found = [info for info in found if keys.get(info.provider)]
    _write(found, known, as_json)


def _write(found: list[ModelInfo], known: KnownModels, as_json: bool) -> None:
    if as_json:
        from llmring.registry.facts import describe_model

        write_json([describe_model(info) | {"locked": info.id in known.in_lock} for info in found])
        return
    head = ("MODEL", "KIND", "INPUT", "OUTPUT", "$ IN", "$ OUT", "STANDING", "CAN")
    write_table(head, [_row(info) for info in found])
    if not found:
        note("no model fits; --unknown takes in those of which nobody knows")


def _row(info: ModelInfo) -> tuple[str, ...]:
    from llmring.clock import SystemClock
    from llmring.registry.facts import find_standing

    prices = [str(info.price[kind]) if kind in info.price else _UNKNOWN for kind in ("input", "output")]
    standing = find_standing(info, SystemClock().now())
    state = standing.state if standing.state != "fine" else info.lifecycle or _UNKNOWN
    caps = [cap for cap in CAPS if info.can(cap)] if info.caps is not None else [_UNKNOWN]
    return (
        info.id,
        info.category or _UNKNOWN,
        _tokens(info.max_input or info.context_window),
        _tokens(info.max_output),
        *prices,
        f"{state} {info.retires}" if standing.state in ("retiring", "retired") and info.retires else state,
        ", ".join(caps),
    )


def _tokens(count: int | None) -> str:
    return _UNKNOWN if count is None else f"{count:,}"


def _read_prices(given: tuple[str, ...]) -> dict[str, str]:
    prices: dict[str, str] = {}
    for text in given:
        kind, equals, most = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not written KIND=USD, as in input=3", param_hint="--max-price")
        prices[kind.strip()] = most.strip()
    return prices


async def _find_keys() -> dict[str, bool]:
    from llmring.lockfile.store import BUNDLED_LOCK
    from llmring.service import LLMRing

    async with LLMRing(origin="llmring-cli", lockfile_path=BUNDLED_LOCK) as ring:
        return {told["name"]: told["credential"] for told in ring.list_providers()}
