"""The plugin as a user's test run sees it."""

from __future__ import annotations

import subprocess
import sys

import pytest

INI = "[pytest]\nasyncio_default_fixture_loop_scope = function"

GUARDED = """
    import socket, pytest
    from llmring.exceptions import LiveRequestError

    def is_guarded():
        with socket.socket() as sock:
            sock.settimeout(0)
            try:
                sock.connect(("203.0.113.7", 9))
            except LiveRequestError:
                return True
            except OSError:
                return False
"""


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes our own guard off the socket module, so that only the inner run's one is seen; nothing is connected to."""

    def unreachable(self: object, address: object) -> None:
        raise OSError("a stand-in for the network")

    monkeypatch.setattr("socket.socket.connect", unreachable)


def test_no_live_requests_works_by_fixture_marker_and_ini(pytester: pytest.Pytester, unguarded: None) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(
        GUARDED
        + """
    def test_plain():
        assert not is_guarded()

    def test_fixture(no_live_requests):
        assert is_guarded()

    @pytest.mark.no_live_requests
    def test_marker():
        assert is_guarded()

    @pytest.mark.no_live_requests
    class TestClass:
        def test_marker_on_the_class(self):
            assert is_guarded()
    """
    )
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=4)


def test_the_ini_setting_guards_every_test_but_those_that_are_let_go(
    pytester: pytest.Pytester, unguarded: None
) -> None:
    pytester.makeini(f"{INI}\nllmring_no_live_requests = true\naddopts = --strict-markers")
    pytester.makepyfile(
        GUARDED
        + """
    @pytest.fixture
    def early():
        return is_guarded()

    def test_plain(early):
        assert early and is_guarded()

    @pytest.mark.allow_live_requests
    def test_let_go():
        assert not is_guarded()

    @pytest.mark.parametrize("guarded", [True, pytest.param(False, marks=pytest.mark.allow_live_requests)])
    def test_one_case_let_go(guarded):
        assert is_guarded() is guarded
    """
    )
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=4)


ASYNC_TEST = """
    import asyncio

    async def test_it(fake_provider):
        reader, writer = await asyncio.open_connection("127.0.0.1", fake_provider.port)
        writer.write(b"GET /v1/x HTTP/1.1\\r\\nConnection: close\\r\\n\\r\\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
        await writer.wait_closed()
        assert len(fake_provider.received) == 1
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_fake_provider_works_under_pytest_asyncio_in_both_modes(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makeini(INI)
    mark = "" if mode == "auto" else "\n    import pytest\n    pytestmark = pytest.mark.asyncio"
    pytester.makepyfile(mark + ASYNC_TEST)
    pytester.runpytest_inprocess(f"--asyncio-mode={mode}").assert_outcomes(passed=1)


def test_fake_provider_works_under_anyio_where_there_is_no_pytest_asyncio(pytester: pytest.Pytester) -> None:
    anyio = """
    import pytest
    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
    """
    pytester.makepyfile(anyio + ASYNC_TEST)
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=1)


def test_fake_clock_is_a_new_clock_for_every_test(pytester: pytest.Pytester) -> None:
    pytester.makeini(INI)
    pytester.makepyfile(
        """
    import pytest

    @pytest.mark.parametrize("n", [1, 2])
    def test_it(fake_clock, n):
        before = fake_clock.now()
        fake_clock.advance(5)
        assert fake_clock.now() == before + 5 == 1893456005.0
    """
    )
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_loading_the_plugin_loads_nothing_heavy() -> None:
    code = """
import sys, pytest
before = set(sys.modules)
import llmring.testing.pytest_plugin
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"llmring", "llmring.lazy", "llmring.testing", "llmring.testing.pytest_plugin"}
