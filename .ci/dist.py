"""Builds sdist and wheel: the same bytes from the same commit, on any machine. `python .ci/dist.py OUT [SOURCE]`.

Only what git tracks or would add goes in; where that is not what was committed, a warning says so. The wheel is built from the
unpacked sdist, so the sdist is known to be enough. Asks no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(out: Path, source: Path = ROOT) -> list[Path]:
    """The files built into `out`, sdist first. Exits with what the build backend says where it fails."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_tracked(source, folder / "tree")
        epoch = _commit_time(source)
        _hatchling("sdist", folder / "tree", folder / "out", epoch)
        sdist = next((folder / "out").glob("*.tar.gz"))
        with tarfile.open(sdist) as archive:
            # Python 3.11 has filters from 3.11.4 on; the archive is our own.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)
        _hatchling("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder / "out", epoch)
        wheel = next((folder / "out").glob("*.whl"))
        return [Path(shutil.copy(built, out)) for built in (sdist, wheel)]


def copy_tracked(source: Path, to: Path) -> None:
    """Every file that git tracks or would add, as it lies in the work tree."""
    listed = _git(source, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, listed):
        if (source / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, to / name)
            # git keeps one bit of a file's mode; the rest is this machine's umask.
            (to / name).chmod(0o755 if os.access(source / name, os.X_OK) else 0o644)


def _commit_time(source: Path) -> str:
    return _git(source, "log", "-1", "--format=%ct").strip()


def _git(source: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=source, stdout=subprocess.PIPE, text=True, check=True).stdout


def _hatchling(target: str, folder: Path, out: Path, epoch: str) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"error: the {target} could not be built:\n{ran.stdout}{ran.stderr}")


def is_as_committed(source: Path) -> bool:
    """Whether nothing that goes in was changed, added or deleted since the commit."""
    return not _git(source, "status", "--porcelain")


def main(out: Path, source: Path = ROOT) -> None:
    if not is_as_committed(source):
        print("warning: the work tree is not what was committed: no other checkout gives these bytes", file=sys.stderr)
    for built in build(out, source):
        print(f"{hashlib.sha256(built.read_bytes()).hexdigest()}  {built.name}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
