"""The pytest plugin that comes with llmring: fixtures `fake_provider`, `fake_clock` and `no_live_requests`.

Every pytest run of every user imports this module, so it imports nothing that is slow, and does nothing until asked.
`llmring_no_live_requests = true` in the ini file keeps every test off the network but those marked `allow_live_requests`;
the marker `no_live_requests` keeps one test off it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmring.testing.clock import FakeClock
    from llmring.testing.fake_provider import FakeProvider

_INI = "llmring_no_live_requests"
_GUARD = "no_live_requests"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _INI, "no test may leave this machine, but those marked allow_live_requests", type="bool", default=False
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_GUARD}: connections that leave this machine raise LiveRequestError")
    config.addinivalue_line("markers", f"allow_live_requests: the ini setting {_INI} leaves this test alone")
    config.pluginmanager.register(_async_fixtures(config), "llmring-async-fixtures")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    everywhere = bool(config.getini(_INI))
    for item in items:
        if not isinstance(item, pytest.Function) or _GUARD in item.fixturenames:
            continue
        wanted = everywhere and item.get_closest_marker("allow_live_requests") is None
        if wanted or item.get_closest_marker(_GUARD) is not None:
            # First, so that the test's other fixtures are guarded too. A new list: cases of one function share the old one.
            item.fixturenames = [_GUARD, *item.fixturenames]


@pytest.fixture
def no_live_requests() -> Iterator[None]:
    """Connections that would leave this machine raise LiveRequestError, naming the host. Loopback and UNIX sockets work."""
    from llmring.testing.offline import refuse_live_requests

    with refuse_live_requests():
        yield


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until the test moves it; pass it as `clock`."""
    from llmring.testing.clock import FakeClock

    return FakeClock()


async def _fake_provider() -> AsyncIterator[FakeProvider]:
    """A provider on this machine, on the test's own event loop. `base_url` is what to call, `script(…)` what it answers."""
    from llmring.testing.fake_provider import FakeProvider

    async with FakeProvider() as fake:
        yield fake


def _async_fixtures(config: pytest.Config) -> ModuleType:
    """The async fixtures, in the words of whichever async plugin runs here: pytest-asyncio (in any mode) or anyio."""
    mark: Any = pytest.fixture
    if config.pluginmanager.has_plugin("asyncio"):
        import pytest_asyncio  # loaded already, by pytest

        mark = pytest_asyncio.fixture
    # pytest looks for fixtures on whatever is registered as a plugin; on a module it takes functions as they are.
    fixtures = ModuleType(f"{__name__}.async_fixtures")
    setattr(fixtures, "fake_provider", mark(_fake_provider, name="fake_provider"))  # noqa: B010
    return fixtures
