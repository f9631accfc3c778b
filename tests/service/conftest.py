"""A ring over a fake provider: a lock that names models of three made-up providers, all of them the same loopback server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRing, RetryPolicy
from llmring.testing import FakeProvider

LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "fast"
models = ["one:m1"]

[[profiles.default.bindings]]
alias = "pool"
models = ["one:m1", "two:m2", "three:m3"]

[[profiles.default.bindings]]
alias = "free"
models = ["one:unpriced"]

[profiles.dev]
name = "dev"

[[profiles.dev.bindings]]
alias = "fast"
models = ["two:m2"]

[[locked]]
id = "one:m1"
price = { input = "2", output = "10", cache_read = "0.2" }
price_as_of = "2026-11-20"
price_source = "test"
"""

MakeRing = Callable[..., LLMRing]

# These rooms are about what one attempt does, and what the next model of a pool makes of it; tests/resilience is about attempts and waits.
ONE_ATTEMPT = RetryPolicy(attempts=1, max_rate_limit_wait_s=0)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "llmring.lock"
    path.write_text(LOCK)
    return path


@pytest.fixture
def keys() -> dict[str, str]:
    """The key of each provider: long enough to be scrubbed, and unlike any word of an answer."""
    return {name: f"sk-{name}-0123456789abcdef" for name in ("one", "two", "three")}


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, lock: Path, keys: dict[str, str]) -> AsyncIterator[MakeRing]:
    """Makes rings over the fake provider, which ask no model twice unless told to; every ring is closed at the end."""
    async with AsyncExitStack() as stack:

        def make(**given: Any) -> LLMRing:
            providers = {name: {"base_url": fake_provider.base_url, "api_key": key} for name, key in keys.items()}
            providers |= given.pop("providers", {})
            settings: dict[str, Any] = {"lockfile_path": lock, "providers": providers, "retry": ONE_ATTEMPT, **given}
            ring = LLMRing(**settings)
            stack.push_async_callback(ring.close)
            return ring

        yield make


@pytest.fixture
def ring(make_ring: MakeRing) -> LLMRing:
    return make_ring()
