"""`llmring doctor`: is everything here that calls need? Changes nothing, calls no model, and shows no key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from llmring import env, plugins
from llmring.cli.checks.base import Check
from llmring.cli.failures import BAD_INPUT, worst
from llmring.cli.options import json_option, lock_options
from llmring.cli.output import say, write_json, write_table
from llmring.clock import SystemClock
from llmring.exceptions import ConfigurationError, RegistryError

if TYPE_CHECKING:
    from llmring.cli.checks.lock import Pools
    from llmring.service import LLMRing


@click.command("doctor", short_help="Look whether everything is here that calls need.")
@lock_options
@click.option("--offline", is_flag=True, help="Ask nobody: no endpoint, no clock.")
@click.option("--keys", is_flag=True, help="Also ask each provider whether it takes the key, by its listing of models.")
@json_option("Print one JSON object: exit_code, and every check with its id.")
def command(profile: str | None, lockfile: str | None, offline: bool, keys: bool, as_json: bool) -> int:
    """Look whether everything is here that calls need, and say what is not.

    Versions, ./.env and config files, proxies, the lockfile and every model of its pools, keys (whether they are there, never what
    they are), endpoints, the clock, the age of model facts, plug-ins. Exit code: 0 fine, or only warnings; 1 something to act on;
    2 a lockfile or setting that cannot be used; 3 something could not be found out; 4 refused for safety.
    """
    if offline and keys:
        raise click.UsageError("--keys asks the providers, and --offline asks nobody")
    checks = asyncio.run(_run(profile, lockfile, offline=offline, keys=keys))
    code = worst([check.exit_code for check in checks])
    if as_json:
        write_json({"exit_code": code, "checks": [check.to_dict() for check in checks]})
        return code
    rows = [(check.status, check.id, f"{check.text} ({check.hint})" if check.hint else check.text) for check in checks]
    write_table(("STATUS", "CHECK", "FOUND"), rows)
    # What is fine is not counted: how many extras there are is nobody's concern.
    counts = {status: sum(check.status == status for check in checks) for status in ("fail", "warn", "unknown")}
    say(", ".join(f"{count} {status}" for status, count in counts.items() if count) or "all is well")
    return code


async def _run(profile: str | None, lockfile: str | None, *, offline: bool, keys: bool) -> list[Check]:
    from llmring.cli.checks.lock import check_lockfile
    from llmring.cli.checks.surroundings import check_environment, check_files, check_plugins, check_versions

    clock = SystemClock()
    environ, problem = _load_environment()
    checks = [*check_versions(), *check_environment(environ, problem), *check_files(environ)]
    checks.append(_check_registry(environ, clock))
    checks += check_plugins(_own_names())
    checks += check_lockfile(lockfile, environ, clock)
    if any(check.status == "fail" and check.id in _NEEDED for check in checks):
        checks.append(Check("lock.profile", "skipped", "see above: without these nothing else can be looked at"))
        return checks
    from llmring.service import LLMRing

    try:
        ring = LLMRing(origin="llmring-cli", lockfile_path=lockfile)
    except ConfigurationError as error:
        return [*checks, Check("ring", "fail", error.message, error.hint, BAD_INPUT)]
    async with ring:
        checks += await _check_pools(ring, profile, environ, offline=offline, keys=keys)
    return checks


# What a ring cannot be made without.
_NEEDED = ("env.dotenv", "env.config", "env.manifest", "env.proxy", "lock.found", "lock.valid")


def _load_environment() -> tuple[Mapping[str, str], str | None]:
    try:
        return env.load(), None
    except ConfigurationError as error:
        return os.environ, str(error)


def _own_names() -> dict[str, frozenset[str]]:
    from llmring.cli.main import COMMANDS
    from llmring.providers.table import PROVIDERS

    return {plugins.COMMANDS: frozenset(COMMANDS), plugins.PROVIDERS: frozenset(PROVIDERS)}


def _check_registry(environ: Mapping[str, str], clock: SystemClock) -> Check:
    from llmring.cli.checks.surroundings import check_registry
    from llmring.registry.origin import RegistryOrigin

    url = env.get(env.LLMRING_REGISTRY_URL, environ)
    try:
        snapshot = RegistryOrigin(url, environ=environ, clock=clock).snapshot()
    except (ConfigurationError, RegistryError) as error:
        return Check("registry.age", "fail", error.message, error.hint)
    return check_registry(snapshot.as_of, snapshot.origin, clock.now())


async def _check_pools(
    ring: LLMRing, profile: str | None, environ: Mapping[str, str], *, offline: bool, keys: bool
) -> list[Check]:
    from llmring.cli.checks.endpoints import find_addresses, find_broken_keys
    from llmring.cli.checks.lock import check_aliases, check_keys, check_models, read_pools

    pools, told = read_pools(ring, profile)
    called = [name for name in pools.providers if pools.has_key(name)]
    broken_keys = find_broken_keys(ring, called)
    urls, broken_urls = find_addresses(ring, called)
    # What cannot answer, by name, with the reason.
    unusable = {name: error.message for name, error in [*broken_keys.items(), *broken_urls.items()]}
    checks = [told, *check_models(pools), *check_keys(pools, broken_keys)]
    checks += [Check(f"endpoint.{name}", "fail", error.message, error.hint, BAD_INPUT) for name, error in broken_urls.items()]  # fmt: skip
    if offline:
        checks.append(Check("endpoint", "skipped", "--offline: nobody was asked"))
    else:
        urls = {name: url for name, url in urls.items() if name not in broken_keys}
        checks += await _check_endpoints(ring, pools, urls, environ, unusable, keys=keys)
    return [*checks, *check_aliases(pools, unusable)]


async def _check_endpoints(
    ring: LLMRing,
    pools: Pools,
    urls: Mapping[str, str],
    environ: Mapping[str, str],
    unusable: dict[str, str],
    *,
    keys: bool,
) -> list[Check]:
    """Asks those at `urls`, by name. What it finds that cannot answer goes into `unusable`."""
    from llmring.cli.checks.endpoints import Endpoints, tell_clock, tell_reach
    from llmring.transport.guard import Guard
    from llmring.transport.http import HTTPTransport

    clock = SystemClock()
    plain = HTTPTransport(clock=clock, environ=environ)
    guarded = HTTPTransport(clock=clock, environ=environ, guard=Guard())
    try:
        endpoints = Endpoints(ring, plain=plain, guarded=guarded, clock=clock)
        answers = await endpoints.reach(list(urls))
        unusable |= {name: answer.problem or "" for name, answer in answers.items() if answer.status is None}
        checks = [
            tell_reach(name, url, answers[name], is_needed=pools.is_alone(name, unusable)) for name, url in urls.items()
        ]
        checks.append(tell_clock(answers.values()))
        if keys:
            found = await endpoints.check_keys([name for name in urls if name not in unusable])
            unusable |= {check.id.removeprefix("auth."): check.text for check in found if check.status == "fail"}
            checks += found
    finally:
        await plain.close()
        await guarded.close()
    return checks
