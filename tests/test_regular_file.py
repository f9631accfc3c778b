"""Files written whole or not at all; how they are read is tested where each is read."""

import os
import stat
from pathlib import Path

import pytest

from llmring.regular_file import replace_file


def test_a_file_is_replaced_whole_and_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "kept.json"
    replace_file(path, b"first")
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]
    assert os.listdir(path.parent) == ["kept.json"]


def test_a_file_for_everybody_is_readable_for_everybody(tmp_path: Path) -> None:
    replace_file(tmp_path / "openai.json", b"{}", mode=0o644)
    assert stat.S_IMODE((tmp_path / "openai.json").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.json"
    replace_file(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["kept.json"]


def test_a_file_keeps_its_own_mode_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "llmring.lock"
    replace_file(path, b"first", mode=0o644, keep_mode=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.chmod(0o640)
    replace_file(path, b"second", mode=0o644, keep_mode=True)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"second", 0o640)


def test_the_file_then_its_folder_are_written_out_and_a_folder_that_cannot_be_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, written = tmp_path / "kept.json", list[bool]()

    def fsync(descriptor: int) -> None:
        written.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        if written[-1]:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert written == ([False, True] if os.name == "posix" else [False])
