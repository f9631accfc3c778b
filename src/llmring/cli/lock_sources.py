"""Whom the lock's commands ask for facts: the registry in use, and unless they are to stay offline the vendors' listings and prices."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmring import env
from llmring.cli.failures import CommandError
from llmring.clock import SystemClock
from llmring.exceptions import LLMRingError, ProviderNotFoundError

if TYPE_CHECKING:
    from llmring.lockfile.facts import Asked


def today() -> str:
    """The day by UTC, YYYY-MM-DD."""
    return datetime.fromtimestamp(SystemClock().now(), UTC).date().isoformat()


def is_offline(flag: bool) -> bool:
    """Whether nobody is to be asked: by the flag, or by LLMRING_OFFLINE."""
    return flag or env.is_set(env.LLMRING_OFFLINE, env.load())


def is_frozen() -> bool:
    """Whether LLMRING_FROZEN says that the lock is used as it is, and the manifest not read. Not from ./.env: `check` reads no keys, and
    no commit may turn off what it is checked by."""
    return env.is_set(env.LLMRING_FROZEN, os.environ)


def find_keeper() -> str | None:
    """The variable that says that the lock stays as it is: LLMRING_LOCKED or LLMRING_FROZEN."""
    environ = env.load()
    return next((name for name in (env.LLMRING_LOCKED, env.LLMRING_FROZEN) if env.is_set(name, environ)), None)


def check_may_write() -> None:
    """Raises CommandError where the lock is to stay as it is: what would be written must not pass for what was reviewed."""
    keeper = find_keeper()
    if keeper is not None:
        raise CommandError(
            f"{keeper} is set: the lock stays as it is", hint=f"unset {keeper}; `llmring lock check` checks"
        )


@asynccontextmanager
async def asking(*, offline: bool) -> AsyncGenerator[Asked]:
    """Inside it the sources can be asked. genai-prices is an installed package: it is asked offline, too."""
    from llmring.lockfile.facts import Asked
    from llmring.lockfile.store import BUNDLED_LOCK
    from llmring.registry.origin import RegistryOrigin
    from llmring.registry.sources.genai_prices import GenaiPrices
    from llmring.registry.sources.listing import LISTED_PROVIDERS, VendorListing
    from llmring.registry.sources.plugged import find_source

    environ = env.load()
    registry = RegistryOrigin(env.get(env.LLMRING_REGISTRY_URL, environ), environ=environ, clock=SystemClock())
    from llmring.service import LLMRing

    # Whatever lockfile lies here says nothing of the vendors.
    async with LLMRing(origin="llmring-cli", lockfile_path=BUNDLED_LOCK) as ring:

        def knows(provider: str) -> bool:
            try:
                ring.get_provider(provider)
            except ProviderNotFoundError:
                return False
            except LLMRingError:  # it wants a key, say
                return True
            return True

        if offline:
            yield Asked(registry.snapshot, prices=GenaiPrices(), listed=LISTED_PROVIDERS, knows=knows)
            return
        listing = VendorListing(ring.get_provider)
        yield Asked(registry.snapshot, listing, GenaiPrices(), LISTED_PROVIDERS, listing.resolve, find_source, knows)
