"""What git knows of a lockfile: its content at a commit, and the sides of a conflict. Runs `git` without a shell; changes no file of its own.

Objects are read with `cat-file`, which runs none of the filters and diff programs that a repository may name.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from llmring.exceptions import LockfileError
from llmring.lockfile.parse import MAX_LOCK_BYTES

_PATIENCE_S: Final = 60.0  # guess: an object of a partial clone may have to come over the network
_MAX_REF: Final = 256
_MAX_WORDS: Final = 200
BASE, OURS, THEIRS = 1, 2, 3


def run_git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """`git` in a directory. Raises LockfileError where it cannot run, and leaves its exit code to the caller."""
    try:
        # No shell, no words of a file, and the user's own git.
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(directory), *arguments],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        raise LockfileError("git is not installed, or not on PATH", hint="name two files instead") from None
    except subprocess.TimeoutExpired:
        raise LockfileError(f"git {arguments[0]} took longer than {_PATIENCE_S:.0f} s") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        raise LockfileError(f"git cannot run in {directory}: {error}") from None


def read_at(ref: str, path: Path) -> bytes | None:
    """The bytes of a file at a commit; None where the commit has no such file. Raises LockfileError where there is no such commit."""
    directory = path.parent
    if not ref or ref.startswith("-") or len(ref) > _MAX_REF or not ref.isprintable() or ":" in ref:
        raise LockfileError(f"{ref[:80]!r} is no commit", hint="name a branch, a tag, a commit, or a file")
    # Of the folder within the repository: `./NAME` would say the same, but not in a bare one.
    prefix = run_git(directory, "rev-parse", "--show-prefix")
    if prefix.returncode:
        raise no_repository(directory, prefix.stderr, hint="name two files to compare")
    found = run_git(directory, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if found.returncode:
        raise LockfileError(
            f"git knows no commit {ref!r} here, and there is no such file",
            hint="commit first, or name a file" if ref == "HEAD" else "git fetch, or name a file",
        )
    folder = os.fsdecode(prefix.stdout.removesuffix(b"\n"))
    return _read_object(directory, f"{found.stdout.decode().strip()}:{folder}{path.name}")


def no_repository(directory: Path, said: bytes, *, hint: str) -> LockfileError:
    """For a folder that git does not work in; in git's own words where they say more than that there is no repository."""
    words = said.decode(errors="replace").strip().partition("\n")[0].removeprefix("fatal: ")[:_MAX_WORDS]
    why = f" that git works with: {words}" if words and not words.startswith("not a git repository") else ""
    return LockfileError(f"{directory} lies in no git repository{why}", hint=hint)


def read_stage(path: Path, stage: int) -> bytes | None:
    """One side of a conflict as git's index keeps it: BASE, OURS or THEIRS; None where that side has no such file."""
    return _read_object(path.parent, f":{stage}:./{path.name}")


def _read_object(directory: Path, name: str) -> bytes | None:
    size = run_git(directory, "cat-file", "-s", name)
    if size.returncode:
        return None
    if int(size.stdout) > MAX_LOCK_BYTES:
        raise LockfileError(f"{name}: larger than {MAX_LOCK_BYTES} bytes")
    content = run_git(directory, "cat-file", "blob", name)
    if content.returncode:
        raise LockfileError(f"git cannot read {name}: {content.stderr.decode(errors='replace').strip()[:_MAX_WORDS]}")
    return content.stdout
