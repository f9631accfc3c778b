"""Which lockfile is used, and when a change on disk is seen."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from llmring.exceptions import LockfileError
from llmring.lockfile.store import BUNDLED_LOCK, LockOrigin, LockStore, find_lock
from llmring.testing.clock import FakeClock


def write_lock(path: Path, model: str) -> Path:
    path.write_text(
        f'version = "1.1"\n[profiles.default]\n[[profiles.default.bindings]]\nalias = "fast"\nmodels = ["{model}"]\n'
    )
    return path


def model_of(store: LockStore) -> str:
    return store.current().profiles["default"].bindings["fast"].models[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_lock(tmp_path / "llmring.lock", "openai:one")


# Which file


@pytest.mark.spec("U02")
@pytest.mark.parametrize(
    ("explicit", "variables", "local", "expected"),
    [
        ("a.lock", {}, False, ("a.lock", LockOrigin.EXPLICIT)),
        ("a.lock", {"LLMRING_LOCKFILE_PATH": "b.lock"}, True, ("a.lock", LockOrigin.EXPLICIT)),
        (None, {"LLMRING_LOCKFILE_PATH": "b.lock"}, True, ("b.lock", LockOrigin.ENVIRONMENT)),
        (None, {"LLMRING_LOCKFILE_PATH": "  "}, True, ("llmring.lock", LockOrigin.DIRECTORY)),
        (None, {}, True, ("llmring.lock", LockOrigin.DIRECTORY)),
        (None, {"LLMRING_LOCKED": "1"}, True, ("llmring.lock", LockOrigin.DIRECTORY)),
        (None, {}, False, (BUNDLED_LOCK, LockOrigin.BUNDLED)),
        (None, {"LLMRING_LOCKED": "0"}, False, (BUNDLED_LOCK, LockOrigin.BUNDLED)),
        ("missing.lock", {"LLMRING_LOCKFILE_PATH": "b.lock"}, True, "lockfile_path names 'missing.lock'"),
        (None, {"LLMRING_LOCKFILE_PATH": "missing.lock"}, True, "LLMRING_LOCKFILE_PATH names 'missing.lock'"),
        (None, {"LLMRING_LOCKED": "true"}, False, "LLMRING_LOCKED refuses"),
        (None, {"LLMRING_FROZEN": "1"}, False, "LLMRING_FROZEN refuses"),
    ],
)
def test_the_lockfile_is_the_first_that_is_named(
    tmp_path: Path,
    explicit: str | None,
    variables: dict[str, str],
    local: bool,
    expected: tuple[str | Path, LockOrigin] | str,
) -> None:
    for name in ("a.lock", "b.lock", *(["llmring.lock"] if local else [])):
        write_lock(tmp_path / name, "openai:x")
    before = sorted(tmp_path.iterdir())
    if isinstance(expected, str):
        with pytest.raises(LockfileError, match=expected) as raised:
            find_lock(explicit, variables, tmp_path)
        assert raised.value.hint
    else:
        found = find_lock(explicit, variables, tmp_path)
        assert (found.path, found.origin) == (tmp_path / expected[0], expected[1])
    assert sorted(tmp_path.iterdir()) == before  # never created implicitly


@pytest.mark.spec("U02")
def test_a_lockfile_here_that_leads_nowhere_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "llmring.lock").symlink_to(tmp_path / "gone")
    found = find_lock(None, {}, tmp_path)
    assert found.origin is LockOrigin.DIRECTORY
    with pytest.raises(LockfileError, match="cannot be read"):
        LockStore(found.path, FakeClock()).current()


def test_a_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_lock(tmp_path / "mine.lock", "openai:x")
    assert find_lock("~/mine.lock", {}, Path("/")).path == tmp_path / "mine.lock"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_folder_or_a_pipe_is_no_lockfile(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "llmring.lock"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(LockfileError, match="no regular file"):
        LockStore(find_lock(None, {}, tmp_path).path, FakeClock()).current()


def test_a_lockfile_of_another_shape_is_an_error_on_each_use(tmp_path: Path) -> None:
    path = tmp_path / "llmring.lock"
    path.write_text("nonsense")
    store = LockStore(path, FakeClock())
    for _ in range(2):
        with pytest.raises(LockfileError, match="broken TOML"):
            store.current()
    write_lock(path, "openai:mended")
    assert model_of(store) == "openai:mended"


# What it says now


@pytest.mark.spec("U08")
def test_a_change_on_disk_is_seen_within_a_second_and_not_before(path: Path) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    assert (store.generation, model_of(store), store.generation) == (0, "openai:one", 1)

    write_lock(path, "openai:second")
    clock.advance(0.99)
    assert (model_of(store), store.generation) == ("openai:one", 1)
    clock.advance(0.01)
    assert (model_of(store), store.generation) == ("openai:second", 2)


@pytest.mark.spec("U08")
def test_the_disk_is_looked_at_once_a_second_at_most(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    real_stat = os.stat

    def counting_stat(target: Any, *args: Any, **options: Any) -> os.stat_result:
        if target == path:
            looks.append(target)
        return real_stat(target, *args, **options)

    clock = FakeClock()
    store = LockStore(path, clock)
    store.current()
    monkeypatch.setattr("llmring.lockfile.store.os.stat", counting_stat)
    for _ in range(40):
        store.current()
        clock.advance(0.25)
    store.current()
    assert len(looks) == 10


def test_the_lock_stays_the_same_object_until_its_content_changes(path: Path) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    first = store.current()
    os.utime(path, ns=(1, 1))
    clock.advance(1)
    assert store.current() is first
    assert store.generation == 1


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_seen(path: Path) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    store.current()
    times = path.stat()
    other = write_lock(path.with_name("other"), "openai:two")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, path)
    assert path.stat().st_size == times.st_size
    clock.advance(1)
    assert model_of(store) == "openai:two"


@pytest.mark.spec("U08")
def test_a_write_within_one_tick_of_the_file_systems_clock_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status of a file that is written over, as a coarse clock shows it: the same as before."""
    as_read = path.stat()

    def look(_: object) -> object:
        return as_read.st_mtime_ns, as_read.st_size

    monkeypatch.setattr("llmring.lockfile.store._Look.of", look)
    clock = FakeClock()
    store = LockStore(path, clock)
    store.current()
    write_lock(path, "openai:two")
    clock.advance(1)
    assert model_of(store) == "openai:two"


@pytest.mark.spec("U08")
def test_a_link_that_is_turned_to_another_lock_is_seen(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    clock = FakeClock()
    store = LockStore(link, clock)
    store.current()
    other = path.with_name("new")
    other.symlink_to(write_lock(path.with_name("other"), "openai:two"))
    os.replace(other, link)
    clock.advance(1)
    assert model_of(store) == "openai:two"


@pytest.mark.spec("U08")
def test_a_file_that_may_be_read_again_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    clock = FakeClock()
    store = LockStore(path, clock)
    store.current()
    write_lock(path, "openai:two").chmod(0)
    with monkeypatch.context() as patched:
        patched.setattr("llmring.lockfile.store.read_regular_file", refuse)  # root may read whatever the mode says
        for _ in range(4):
            clock.advance(1)
            assert model_of(store) == "openai:one"
    assert caplog.text.count("stays in use") == 1
    path.chmod(0o600)
    clock.advance(1)
    assert model_of(store) == "openai:two"


def test_a_file_that_is_only_touched_is_not_parsed_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    first = store.current()
    monkeypatch.delattr("llmring.lockfile.store.parse_lock")
    os.utime(path)
    clock.advance(1)
    assert store.current() is first


def test_who_asks_for_a_look_gets_it_at_once(path: Path) -> None:
    store = LockStore(path, FakeClock())
    store.current()
    write_lock(path, "openai:second")
    store.expire()
    assert model_of(store) == "openai:second"


def test_a_broken_edit_keeps_the_old_lock_and_warns_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    store.current()
    path.write_text("<<<<<<< HEAD\n")
    for _ in range(3):
        clock.advance(1)
        assert model_of(store) == "openai:one"
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "conflict marker" in record.getMessage()
    assert str(path) in record.getMessage()
    assert store.generation == 1

    write_lock(path, "openai:mended")
    clock.advance(1)
    assert model_of(store) == "openai:mended"


def test_a_file_that_goes_away_keeps_the_old_lock_and_warns_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    store.current()
    path.unlink()
    for _ in range(3):
        clock.advance(1)
        assert model_of(store) == "openai:one"
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "stays in use" in caplog.text

    write_lock(path, "openai:back")
    clock.advance(1)
    assert model_of(store) == "openai:back"


@pytest.mark.spec("U08")
def test_32_threads_see_one_lock_and_then_the_next(path: Path) -> None:
    clock = FakeClock()
    store = LockStore(path, clock)
    together = threading.Barrier(32)
    seen: list[set[int]] = [set(), set()]

    def look() -> None:
        together.wait()
        seen[0].add(id(store.current()))
        if together.wait() == 0:
            write_lock(path, "openai:second")
            clock.advance(1)
            store.current()
        together.wait()
        seen[1].add(id(store.current()))

    threads = [threading.Thread(target=look) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(ids) for ids in seen] == [1, 1]
    assert (store.generation, model_of(store)) == (2, "openai:second")
