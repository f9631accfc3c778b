"""Where facts come from: a path, an address that is asked only when somebody says so, what was kept of it, what ships."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from llmring import ConfigurationError, RegistryError, RegistryRollbackError, UnsafeURLError
from llmring.registry import snapshot
from llmring.registry.fetch import FETCH_S, parse_index, render_index
from llmring.registry.origin import RegistryOrigin, cache_folder
from llmring.testing import FakeClock
from llmring.testing.http_server import HTTPServer, Request, Signal, head, plain
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport

NOW = 1_795_219_200.0  # 2026-11-21
SOURCES = {"page": {"what": "a page", "url": "https://example.org/models", "date": "2026-11-01"}}


def registry_file(provider: str, as_of: str = "2026-11-01", **max_input: int) -> bytes:
    models = {name: {"max_input": {"value": most, "source": "page"}} for name, most in max_input.items()}
    return json.dumps(
        {"schema": "1", "provider": provider, "as_of": as_of, "sources": SOURCES, "models": models}
    ).encode()


class Served:
    """A registry on a loopback server. files: what is there; index: its own unless a test says otherwise."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.index: bytes | None = None
        self.asked: list[Request] = []
        self.reply: bytes | None = None

    def put(self, **files: bytes) -> None:
        self.files = {f"{name}.json": data for name, data in files.items()}

    def answer(self, request: Request) -> list[bytes]:
        self.asked.append(request)
        if self.reply is not None:
            return [self.reply]
        name = request.target.rpartition("/")[2]
        if name == "index.json":
            return [plain(200, {}, render_index(self.files) if self.index is None else self.index)]
        return [plain(200, {}, self.files[name]) if name in self.files else plain(404, {}, b"")]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=NOW)


@pytest.fixture
def served() -> Served:
    found = Served()
    found.put(openai=registry_file("openai", m=7), other=registry_file("other", n=8))
    return found


@pytest.fixture
async def url(served: Served) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        server = HTTPServer(served.answer)
        await server.start()
        stack.push_async_callback(server.close)
        yield f"http://127.0.0.1:{server.port}/registry"


@pytest.fixture
async def fetcher(clock: FakeClock) -> AsyncIterator[Callable[[], HTTPTransport]]:
    transport = HTTPTransport(clock=clock, guard=Guard(allow_private=True, allow_http=True), environ={})
    yield lambda: transport
    await transport.close()


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"LLMRING_CACHE_DIR": str(tmp_path / "cache")}


@pytest.fixture
def make(clock: FakeClock, environ: dict[str, str]) -> Callable[[str | None], RegistryOrigin]:
    return lambda url: RegistryOrigin(url, environ=environ, clock=clock, allow_http=True)


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry that ships, with one model."""
    folder = tmp_path / "bundled"
    folder.mkdir()
    (folder / "openai.json").write_bytes(registry_file("openai", bundled=1))
    monkeypatch.setattr(snapshot, "_PACKAGED", folder)
    return folder


Make = Callable[[str | None], RegistryOrigin]


def limits(origin: RegistryOrigin) -> dict[str, int | None]:
    return {name: info.max_input for name, info in origin.load().items()}


BUNDLED = {"openai:bundled": 1}
FETCHED = {"openai:m": 7, "other:n": 8}


# What ships ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("U23")
def test_without_an_address_it_is_what_ships(make: Make, bundled: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert limits(make(None)) == BUNDLED
    assert caplog.records == []


@pytest.mark.spec("U23")
def test_a_broken_file_among_those_that_ship_takes_no_other_with_it(
    make: Make, bundled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (bundled / "broken.json").write_bytes(b"{")
    (bundled / "index.json").write_bytes(b"{}")
    (bundled / "README.md").write_text("not one of them")
    assert limits(make(None)) == BUNDLED
    (record,) = caplog.records
    assert "broken.json" in record.getMessage()


# A path ------------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    "spelling", ["{}", "file://{}", "file://localhost{}", "folder", "./folder", "~/folder", "{}/own.json"]
)
def test_a_path_is_read_when_it_is_first_asked(
    make: Make, clean_environment: Path, monkeypatch: pytest.MonkeyPatch, bundled: Path, spelling: str
) -> None:
    folder = clean_environment / "folder"
    monkeypatch.setenv("HOME", str(clean_environment))
    origin = make(spelling.format(folder))
    monkeypatch.chdir("/")
    folder.mkdir()
    (folder / "own.json").write_bytes(registry_file("own", m=5))
    assert limits(origin) == {"own:m": 5}


@pytest.mark.spec("U23")
def test_a_file_url_may_hold_escaped_characters(make: Make, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "own.json").write_bytes(registry_file("own", m=5))
    assert limits(make(f"file://{tmp_path}/a%20b")) == {"own:m": 5}


@pytest.mark.spec("U23")
async def test_a_path_is_read_again_when_it_is_refreshed_and_not_before(
    make: Make, tmp_path: Path, fetcher: Callable[[], HTTPTransport]
) -> None:
    file = tmp_path / "own.json"
    file.write_bytes(registry_file("own", m=5))
    origin = make(str(file))
    first = await origin.refresh(fetcher)
    assert (first.origin, first.as_of, first.models, first.changed) == (str(file), "2026-11-01", 1, True)
    file.write_bytes(registry_file("own", "2026-11-02", m=6, k=1))
    assert limits(origin) == {"own:m": 5}
    second = await origin.refresh(fetcher)
    assert (second.as_of, second.models, second.changed) == ("2026-11-02", 2, True)
    assert limits(origin) == {"own:m": 6, "own:k": 1}
    assert (await origin.refresh(fetcher)).changed is False


@pytest.mark.spec("U23")
async def test_a_path_that_says_what_it_said_when_it_was_first_asked_has_not_changed(
    make: Make, tmp_path: Path, fetcher: Callable[[], HTTPTransport]
) -> None:
    file = tmp_path / "own.json"
    file.write_bytes(registry_file("own", m=5))
    origin = make(str(file))
    assert limits(origin) == {"own:m": 5}
    assert (await origin.refresh(fetcher)).changed is False


@pytest.mark.spec("U23")
def test_how_https_is_spelt_does_not_matter(make: Make, bundled: Path) -> None:
    assert limits(make("HTTPS://example.com/registry")) == BUNDLED


def break_nothing_there(path: Path) -> None:
    pass


def break_empty(path: Path) -> None:
    path.mkdir()


def break_no_json(path: Path) -> None:
    path.mkdir()
    (path / "own.json").write_bytes(b"\xff" * 50)


def break_other_provider(path: Path) -> None:
    path.mkdir()
    (path / "own.json").write_bytes(registry_file("other", m=1))


def break_pipe(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "own.json")


def break_too_many(path: Path) -> None:
    path.mkdir()
    for number in range(65):
        (path / f"p{number}.json").write_bytes(b"{}")


def break_too_large(path: Path) -> None:
    path.mkdir()
    with (path / "own.json").open("wb") as file:
        file.truncate(8 * 1024 * 1024 + 1)


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    "spoil",
    [
        break_nothing_there,
        break_empty,
        break_no_json,
        break_other_provider,
        break_pipe,
        break_too_many,
        break_too_large,
    ],
)
async def test_a_path_that_cannot_be_used_leaves_what_ships_and_says_so_once(
    make: Make,
    tmp_path: Path,
    bundled: Path,
    caplog: pytest.LogCaptureFixture,
    fetcher: Callable[[], HTTPTransport],
    spoil: Callable[[Path], None],
) -> None:
    path = tmp_path / "spoilt"
    spoil(path)
    origin = make(str(path))
    assert limits(origin) == limits(origin) == BUNDLED
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    with pytest.raises(RegistryError, match="spoilt"):
        await origin.refresh(fetcher)


# An address --------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("U23")
async def test_an_address_is_asked_only_when_somebody_refreshes_and_then_kept_for_later_rings_offline(
    make: Make, url: str, served: Served, fetcher: Callable[[], HTTPTransport], bundled: Path
) -> None:
    origin = make(url)
    assert limits(origin) == BUNDLED
    assert served.asked == []
    state = await origin.refresh(fetcher)
    assert (state.origin, state.models, state.as_of, state.changed) == (url, 2, "2026-11-01", True)
    assert limits(origin) == FETCHED
    assert [request.target for request in served.asked] == [
        f"/registry/{name}.json" for name in ("index", "openai", "other")
    ]
    # Another ring of this user, and nothing moves by itself.
    served.put(openai=registry_file("openai", "2026-11-20", m=9))
    later = make(f"{url}/")
    assert limits(later) == FETCHED
    assert len(served.asked) == 3
    assert (await later.refresh(fetcher)).changed is True
    assert limits(later) == limits(make(url)) == {"openai:m": 9}
    assert limits(origin) == FETCHED
    assert (await later.refresh(fetcher)).changed is False


@pytest.mark.spec("U23")
async def test_no_key_is_sent_to_an_address(
    make: Make, url: str, served: Served, fetcher: Callable[[], HTTPTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    await make(url).refresh(fetcher)
    for request in served.asked:
        assert set(request.headers) <= {"host", "accept", "accept-encoding", "user-agent", "connection"}
        assert "sk-0123456789" not in repr(request)


@pytest.mark.spec("U23")
async def test_what_is_older_than_what_was_kept_is_refused_unless_it_is_meant(
    make: Make, url: str, served: Served, fetcher: Callable[[], HTTPTransport], bundled: Path
) -> None:
    origin = make(url)
    await origin.refresh(fetcher)
    served.put(openai=registry_file("openai", "2026-10-31", m=1), other=registry_file("other", "2026-11-20", n=1))
    with pytest.raises(
        RegistryError, match=r"openai are of 2026-10-31, older than those of 2026-11-01.*allow_rollback"
    ):
        await origin.refresh(fetcher)
    assert limits(origin) == limits(make(url)) == FETCHED
    served.put(new=registry_file("new", "2026-10-31", m=1))
    with pytest.raises(RegistryRollbackError, match=r"is of 2026-10-31, older than what was kept, of 2026-11-01"):
        await make(url).refresh(fetcher)
    await origin.refresh(fetcher, allow_rollback=True)
    assert limits(origin) == limits(make(url)) == {"new:m": 1}


@pytest.mark.spec("U23")
async def test_what_another_program_kept_meanwhile_counts_too(
    make: Make, url: str, served: Served, fetcher: Callable[[], HTTPTransport], bundled: Path
) -> None:
    origin, other = make(url), make(url)
    await origin.refresh(fetcher)
    served.put(openai=registry_file("openai", "2026-11-20", m=1))
    await other.refresh(fetcher)
    served.put(openai=registry_file("openai", "2026-11-10", m=2))
    with pytest.raises(RegistryRollbackError, match="2026-11-20"):
        await origin.refresh(fetcher)


@pytest.mark.spec("U23")
async def test_facts_of_days_to_come_would_shut_out_every_later_registry_and_are_refused(
    make: Make, url: str, served: Served, fetcher: Callable[[], HTTPTransport], bundled: Path
) -> None:
    served.put(openai=registry_file("openai", "2026-11-23", m=1))
    origin = make(url)
    with pytest.raises(RegistryError, match="yet to come"):
        await origin.refresh(fetcher)
    assert limits(origin) == BUNDLED
    served.put(openai=registry_file("openai", "2026-11-22", m=1))  # it is tomorrow already in Kiribati
    await origin.refresh(fetcher)


def index_of(**digests: str) -> bytes:
    return json.dumps({"schema": "1", "files": {f"{k}.json": {"sha256": v} for k, v in digests.items()}}).encode()


GOOD = "0" * 64


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "no JSON"),
        (b"[" * 100, "JSON"),
        (b"[]", "no index"),
        (b'{"schema": "1"}', "no index"),
        (b'{"schema": "1", "files": []}', "no index"),
        (b'{"schema": "1", "files": {}}', "no registry files"),
        (b'{"schema": "2", "files": {"a.json": {}}}', "schema"),
        (b'{"files": {"a.json": {}}}', "schema"),
        (b'{"schema": "1", "files": {"a.json": {}}}', "no sha256"),
        (b'{"schema": "1", "files": {"a.json": "x"}}', "no sha256"),
        (index_of(a="0" * 63), "no sha256"),
        (index_of(openai=GOOD), "sha256 differs"),
        (index_of(absent=GOOD), "status 404"),
        (index_of(index=GOOD), "no name of a registry file"),
        (index_of(**{"../../secret": GOOD}), "no name of a registry file"),
        (index_of(**{"//evil.example/a": GOOD}), "no name of a registry file"),
        (index_of(**{"%2e%2e/a": GOOD}), "no name of a registry file"),
        (index_of(а=GOOD), "no name of a registry file"),  # Cyrillic
        (index_of(**{f"p{number}": GOOD for number in range(65)}), "more than 64 files"),
        (b" " * 70_000, "larger than"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_index_that_is_none_or_not_true_is_refused(
    make: Make,
    url: str,
    served: Served,
    fetcher: Callable[[], HTTPTransport],
    bundled: Path,
    index: bytes,
    message: str,
) -> None:
    served.index = index
    origin = make(url)
    with pytest.raises(RegistryError, match=message):
        await origin.refresh(fetcher)
    assert limits(origin) == BUNDLED
    assert {request.target for request in served.asked} <= {
        f"/registry/{name}.json" for name in ("index", "openai", "absent")
    }


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"openai": b"{"}, "openai.json: no JSON"),
        ({"openai": registry_file("other", m=1)}, "holds the models of 'other'"),
        ({"a": b" " * 5_000_000, "b": b" " * 5_000_000}, "larger than"),
    ],
    ids=["no JSON", "another's", "too large together"],
)
async def test_files_that_are_no_registry_are_refused(
    make: Make,
    url: str,
    served: Served,
    fetcher: Callable[[], HTTPTransport],
    bundled: Path,
    files: Mapping[str, bytes],
    message: str,
) -> None:
    served.put(**files)
    origin = make(url)
    with pytest.raises(RegistryError, match=message):
        await origin.refresh(fetcher)
    assert limits(origin) == BUNDLED


@pytest.mark.spec("U23")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(
    make: Make, url: str, served: Served, fetcher: Callable[[], HTTPTransport], status: int
) -> None:
    served.reply = plain(status, {"location": "/elsewhere/index.json"}, b"")
    with pytest.raises(UnsafeURLError, match="redirects"):
        await make(url).refresh(fetcher)
    assert len(served.asked) == 1


@pytest.mark.spec("U23")
async def test_who_does_not_answer_is_given_up_after_five_seconds(
    make: Make, clock: FakeClock, fetcher: Callable[[], HTTPTransport], bundled: Path
) -> None:
    def hold(request: Request) -> list[bytes | Signal]:
        clock.advance(FETCH_S + 1)
        return [head(200, {"content-length": "10"}), Signal.HOLD]

    server = HTTPServer(hold)
    await server.start()
    try:
        origin = make(f"http://127.0.0.1:{server.port}/")
        with pytest.raises(RegistryError, match="did not answer within 5 seconds"):
            await origin.refresh(fetcher)
        assert limits(origin) == BUNDLED
    finally:
        await server.close()
    with pytest.raises(RegistryError, match="cannot be fetched"):
        await origin.refresh(fetcher)


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/registry",
        "https://169.254.169.254/latest",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://user:secret-word@example.com/",
    ],
)
async def test_an_address_that_is_not_public_is_not_connected_to(
    clock: FakeClock, environ: dict[str, str], address: str
) -> None:
    transport = HTTPTransport(clock=clock, guard=Guard(), environ={})
    try:
        with pytest.raises(UnsafeURLError) as caught:
            await RegistryOrigin(address, environ=environ, clock=clock).refresh(lambda: transport)
    finally:
        await transport.close()
    assert "secret-word" not in str(caught.value)


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file://elsewhere/registry",
        "file:",
        "https://example.com/?token=secret-word",
        "https://example.com/#secret-word",
    ],
)
def test_what_could_be_read_on_the_way_or_lies_elsewhere_is_no_address(
    clock: FakeClock, environ: dict[str, str], address: str
) -> None:
    with pytest.raises(ConfigurationError, match="registry_url") as caught:
        RegistryOrigin(address, environ=environ, clock=clock)
    assert "secret-word" not in str(caught.value)


@pytest.mark.spec("U23")
async def test_without_an_address_there_is_nothing_to_refresh(make: Make, fetcher: Callable[[], HTTPTransport]) -> None:
    with pytest.raises(ConfigurationError, match="LLMRING_REGISTRY_URL"):
        await make(None).refresh(fetcher)


def test_an_index_is_read_as_it_is_written() -> None:
    files = {"b.json": b"2", "a.json": b"1"}
    written = render_index(files)
    assert written == render_index(dict(reversed(files.items())))
    assert parse_index(written, "here") == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    with pytest.raises(RegistryError):
        render_index({"../a.json": b""})


# What is kept ------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("U23")
@pytest.mark.parametrize(
    "spoil",
    [
        (b".+", b""),
        (b"(?<=.{100}).+", b""),
        (b".+", b"[]"),
        (b".+", b'{"files": {"../x.json": "{}"}}'),
        (b".+", b'{"files": {"openai.json": 3}}'),
        (b"max_input", b"max_imput"),
        (b"^", b" " * (16 * 1024 * 1024 + 1)),
    ],
    ids=["empty", "cut", "list", "name", "number", "fact", "large"],
)
async def test_what_was_kept_and_is_broken_leaves_what_ships_until_it_is_refreshed(
    make: Make,
    url: str,
    fetcher: Callable[[], HTTPTransport],
    tmp_path: Path,
    bundled: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: tuple[bytes, bytes],
) -> None:
    await make(url).refresh(fetcher)
    (kept,) = (tmp_path / "cache" / "registry").iterdir()
    kept.write_bytes(re.sub(*spoil, kept.read_bytes(), count=1))
    origin = make(url)
    assert limits(origin) == limits(origin) == BUNDLED
    assert len(caplog.records) == 1
    await origin.refresh(fetcher)
    assert limits(origin) == limits(make(url)) == FETCHED


@pytest.mark.spec("U23")
async def test_a_folder_where_the_kept_file_should_be_is_named_as_what_it_is(
    make: Make,
    url: str,
    fetcher: Callable[[], HTTPTransport],
    tmp_path: Path,
    bundled: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await make(url).refresh(fetcher)
    (kept,) = (tmp_path / "cache" / "registry").iterdir()
    kept.unlink()
    kept.mkdir()
    assert limits(make(url)) == BUNDLED
    assert "cannot be read: no regular file" in caplog.text


@pytest.mark.spec("U23")
async def test_a_write_that_fails_keeps_what_was_there_and_the_ring_goes_on(
    make: Make,
    url: str,
    served: Served,
    fetcher: Callable[[], HTTPTransport],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    await make(url).refresh(fetcher)
    served.put(openai=registry_file("openai", "2026-11-20", m=9))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        origin = make(url)
        await origin.refresh(fetcher)
    assert limits(origin) == {"openai:m": 9}
    assert "No space left" in caplog.text
    assert limits(make(url)) == FETCHED
    assert len(list((tmp_path / "cache" / "registry").iterdir())) == 1


@pytest.mark.spec("U23")
async def test_without_a_folder_to_keep_it_in_it_is_used_until_the_program_ends(
    clock: FakeClock, url: str, fetcher: Callable[[], HTTPTransport], bundled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = RegistryOrigin(url, environ={}, clock=clock, allow_http=True)
    await origin.refresh(fetcher)
    assert limits(origin) == FETCHED
    assert "until this program ends" in caplog.text
    assert limits(RegistryOrigin(url, environ={}, clock=clock, allow_http=True)) == BUNDLED


@pytest.mark.skipif(sys.platform == "win32", reason="paths of POSIX")
@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"LLMRING_CACHE_DIR": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home"}, "/xdg/llmring"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home"}, "/home/.cache/llmring"),
        ({"HOME": "/home"}, "/home/.cache/llmring"),
        ({}, None),
    ],
)
def test_what_is_kept_lies_in_the_users_own_cache(environ: dict[str, Any], folder: str | None) -> None:
    assert cache_folder(environ) == (None if folder is None else Path(folder))
