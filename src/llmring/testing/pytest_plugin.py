"""The pytest plugin that comes with llmring: fixtures `fake_provider`, `fake_clock`, `cassette` and `no_live_requests`.

Every pytest run of every user imports this module, so it imports nothing that is slow, and does nothing until asked.
`llmring_no_live_requests = true` in the ini file keeps every test off the network but those marked `allow_live_requests`;
the marker `no_live_requests` keeps one test off it. `--llmring-record` has cassettes recorded, and lets their tests onto it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmring.testing.cassette import Cassette
    from llmring.testing.clock import FakeClock
    from llmring.testing.fake_provider import FakeProvider

_INI = "llmring_no_live_requests"
_GUARD = "no_live_requests"
_RECORD = "--llmring-record"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _INI, "no test may leave this machine, but those marked allow_live_requests", type="bool", default=False
    )
    parser.getgroup("llmring").addoption(
        _RECORD,
        choices=("none", "missing", "all"),
        default="none",
        help="record the cassettes of these tests from the providers themselves: those that are missing, or all",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_GUARD}: connections that leave this machine raise LiveRequestError")
    config.addinivalue_line("markers", f"allow_live_requests: the ini setting {_INI} leaves this test alone")
    config.addinivalue_line(
        "markers", "cassette(name): the file of the fixture `cassette`, in the folder cassettes beside the test"
    )
    config.pluginmanager.register(_async_fixtures(config), "llmring-async-fixtures")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    everywhere = bool(config.getini(_INI))
    records = config.getoption(_RECORD) != "none"
    for item in items:
        if not isinstance(item, pytest.Function) or _GUARD in item.fixturenames:
            continue
        is_let_go = item.get_closest_marker("allow_live_requests") is not None
        wanted = everywhere and not is_let_go and not (records and "cassette" in item.fixturenames)
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


async def _cassette(request: pytest.FixtureRequest) -> AsyncIterator[Cassette]:
    """What providers answered when this test was recorded (`pytest --llmring-record=missing`); `transport` is what `LLMRing` takes.

    In cassettes/MODULE/TEST.json beside the test, or cassettes/NAME.json by the marker `cassette("NAME")`. Make rings after asking for
    this fixture: while it plays, key variables hold stand-ins for the keys that there were.
    """
    from llmring.testing.cassette import Cassette

    record: Any = request.config.getoption(_RECORD)
    cassette = Cassette(_cassette_path(request), record=record)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cassette.stand_ins().items():
            patch.setenv(name, value)
        async with cassette:
            yield cassette


def _cassette_path(request: pytest.FixtureRequest) -> Path:
    mark = request.node.get_closest_marker("cassette")
    folder = request.path.parent / "cassettes"
    if mark is not None:
        return folder / f"{mark.args[0]}.json"
    # Parameters stand in brackets, and may hold anything.
    return folder / request.path.stem / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', request.node.name).strip('-')}.json"


def _async_fixtures(config: pytest.Config) -> ModuleType:
    """The async fixtures, in the words of whichever async plugin runs here: pytest-asyncio (in any mode) or anyio."""
    mark: Any = pytest.fixture
    if config.pluginmanager.has_plugin("asyncio"):
        import pytest_asyncio  # loaded already, by pytest

        mark = pytest_asyncio.fixture
    # pytest looks for fixtures on whatever is registered as a plugin; on a module it takes functions as they are.
    fixtures = ModuleType(f"{__name__}.async_fixtures")
    setattr(fixtures, "fake_provider", mark(_fake_provider, name="fake_provider"))  # noqa: B010
    setattr(fixtures, "cassette", mark(_cassette, name="cassette"))  # noqa: B010
    return fixtures
