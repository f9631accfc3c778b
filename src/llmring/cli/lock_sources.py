"""Whom the lock's commands ask for facts: the registry in use, and unless they are to stay offline the vendors' listings and prices."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmring import env
from llmring.clock import SystemClock
from llmring.exceptions import ConfigurationError

if TYPE_CHECKING:
    from llmring.lockfile.facts import Asked


def today() -> str:
    """The day by UTC, YYYY-MM-DD."""
    return datetime.fromtimestamp(SystemClock().now(), UTC).date().isoformat()


def is_offline(flag: bool) -> bool:
    """Whether nobody is to be asked: by the flag, or by LLMRING_OFFLINE."""
    try:
        return flag or env.is_set(env.LLMRING_OFFLINE, env.load())
    except env.DotenvError as error:
        raise ConfigurationError(str(error)) from None


@asynccontextmanager
async def asking(*, offline: bool) -> AsyncGenerator[Asked]:
    """Inside it the sources can be asked. genai-prices is an installed package: it is asked offline, too."""
    from llmring.lockfile.facts import Asked
    from llmring.lockfile.store import BUNDLED_LOCK
    from llmring.registry.origin import RegistryOrigin
    from llmring.registry.sources.genai_prices import GenaiPrices
    from llmring.registry.sources.listing import LISTED_PROVIDERS, VendorListing

    environ = env.load()
    registry = RegistryOrigin(env.get(env.LLMRING_REGISTRY_URL, environ), environ=environ, clock=SystemClock())
    if offline:
        yield Asked(registry.snapshot, prices=GenaiPrices(), listed=LISTED_PROVIDERS)
        return
    from llmring.service import LLMRing

    # Whatever lockfile lies here says nothing of the vendors.
    async with LLMRing(origin="llmring-cli", lockfile_path=BUNDLED_LOCK) as ring:
        yield Asked(registry.snapshot, VendorListing(ring.get_provider), GenaiPrices(), LISTED_PROVIDERS)
