"""A lockfile is written whole or not at all, and by one llmring at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import llmring
from llmring.exceptions import LockfileError, LockfileVersionError
from llmring.lockfile.facts import Asked
from llmring.lockfile.relock import relock
from llmring.lockfile.writing import alone_in, write_whole

MANIFEST = '[alias.fast]\nmodels = ["llamacpp:one"]\n'
# Writes a large file, and dies of SIGKILL after the temporary one is written and before it takes the other's place.
DIES = """
import os, signal, sys
from pathlib import Path
from llmring.lockfile import writing
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
path = Path(sys.argv[1])
writing.write_whole(path, b"new" * 100_000, expected=path.read_bytes())
"""


def nobody() -> Asked:
    from llmring.registry.snapshot import Snapshot

    return Asked(lambda: Snapshot("nowhere", {}))


@pytest.mark.spec("V15")
def test_killed_during_a_write_the_old_file_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "llmring.lock"
    path.write_bytes(b"old")
    source = str(Path(llmring.__file__).parents[1])
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(path)], check=False, timeout=50, env=os.environ | {"PYTHONPATH": source}
    )
    assert died.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert write_whole(path, b"new", expected=b"old")


@pytest.mark.spec("V15")
async def test_of_two_at_once_one_says_so_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(MANIFEST)
    with alone_in(tmp_path), pytest.raises(LockfileError, match="another llmring is making a lock"):
        await relock(tmp_path, nobody(), "2026-11-21")
    assert not (tmp_path / "llmring.lock").exists()
    assert (await relock(tmp_path, nobody(), "2026-11-21")).written


@pytest.mark.spec("V15")
def test_what_changed_since_it_was_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "llmring.lock"
    path.write_bytes(b"somebody else's")
    with pytest.raises(LockfileError, match="changed meanwhile"):
        write_whole(path, b"new", expected=b"old")
    with pytest.raises(LockfileError, match="changed meanwhile"):
        write_whole(path, b"new", expected=None)
    assert path.read_bytes() == b"somebody else's"
    assert os.listdir(tmp_path) == ["llmring.lock"]


@pytest.mark.spec("V01")
async def test_a_second_lock_writes_nothing_and_an_equivalent_one_is_not_reformatted(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(MANIFEST)
    path = tmp_path / "llmring.lock"
    assert (await relock(tmp_path, nobody(), "2026-11-21")).written
    written = path.stat().st_mtime_ns, path.stat().st_ino
    again = await relock(tmp_path, nobody(), "2030-01-01")
    assert (again.written, again.stale, again.changes) == (False, False, ())
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written
    text = "# a word of ours\n" + path.read_text().replace('"llamacpp:one",\n]', '"llamacpp:one" ]')
    path.write_text(text)
    assert not (await relock(tmp_path, nobody(), "2026-11-21")).written
    assert path.read_text() == text


async def test_a_dry_run_says_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(MANIFEST)
    would = await relock(tmp_path, nobody(), "2026-11-21", dry_run=True)
    assert (would.stale, would.written) == (True, False)
    assert [str(change) for change in would.changes] == [
        "+ default/fast: llamacpp:one",
        "+ llamacpp:one: pin unknown",
    ]
    assert os.listdir(tmp_path) == ["llmring.toml"]


async def test_a_lock_of_a_newer_minor_version_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(MANIFEST)
    (tmp_path / "llmring.lock").write_text('version = "1.2"\n')
    with pytest.raises(LockfileVersionError, match="newer than what this llmring writes"):
        await relock(tmp_path, nobody(), "2026-11-21")
    assert (tmp_path / "llmring.lock").read_text() == 'version = "1.2"\n'


async def test_a_folder_without_a_manifest_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(LockfileError, match="lock init"):
        await relock(tmp_path, nobody(), "2026-11-21")


def test_a_link_out_of_the_folder_is_refused_and_the_mode_of_a_file_stays(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside.lock"
    inside.mkdir()
    outside.write_bytes(b"theirs")
    (inside / "llmring.lock").symlink_to(outside)
    with pytest.raises(LockfileError, match="leads out of its folder"):
        write_whole(inside / "llmring.lock", b"new", expected=b"theirs")
    assert outside.read_bytes() == b"theirs"
    outside.chmod(0o600)
    write_whole(outside, b"new", expected=b"theirs")
    assert outside.stat().st_mode & 0o777 == 0o600
