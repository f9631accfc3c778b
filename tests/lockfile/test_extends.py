"""The locks of installed packages: found by metadata, held to what was recorded, never imported."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from llmring.cli.failures import exit_code
from llmring.exceptions import LockfileError, PackageLockError
from llmring.lockfile.extends import find_package_lock, read_package_lock
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.model import ExtendedPackage

SHIPPED = b"""\
version = "1.1"
default_profile = "main"
[[profiles.main.bindings]]
alias = "fast"
models = ["openai:of-the-package"]
"""


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Site:
    """A folder of installed distributions."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def install(self, name: str, files: dict[str, bytes], *, record: list[str] | None = None) -> None:
        info = self.root / f"{name}-2.3.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.3.1\n")
        for path, data in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        rows = [*(files if record is None else record), f"{info.name}/METADATA"]
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in rows))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    root = tmp_path / "site-packages"
    root.mkdir()
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    return Site(root)


def row(data: bytes = SHIPPED, package: str = "libA") -> ExtendedPackage:
    return ExtendedPackage(package, f"{package} 2.3.1", digest_of(data))


def test_a_package_lock_is_read_without_importing_the_package(site: Site) -> None:
    site.install("libA", {"liba/__init__.py": b"raise SystemExit('imported')", "liba/llmring.lock": SHIPPED})
    lock = read_package_lock(row(), "mine")
    assert lock.profiles["main"].bindings["fast"].models == ("openai:of-the-package",)
    assert lock.source == "libA:llmring.lock"
    assert "liba" not in sys.modules


def test_of_several_lockfiles_the_one_nearest_to_the_top_is_the_packages_own(site: Site) -> None:
    site.install("libA", {"liba/tests/llmring.lock": b"other", "liba/llmring.lock": SHIPPED})
    assert read_package_lock(row(), "mine").default_profile == "main"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"liba/__init__.py": b""}, r"libA.*ships no llmring\.lock"),
        ({"liba/llmring.lock": SHIPPED + b"# changed\n"}, r"libA.*another lockfile.*record the new digest"),
        ({"liba/llmring.lock": SHIPPED, "libb/llmring.lock": SHIPPED}, "more than one"),
        ({"liba/llmring.lock": b"#" * (1024 * 1024 + 1)}, "larger than 1048576"),
    ],
)
def test_what_was_not_recorded_is_refused(site: Site, files: dict[str, bytes], words: str) -> None:
    site.install("libA", files)
    with pytest.raises(LockfileError, match=words):
        read_package_lock(row(), "mine")


def test_a_recorded_lock_that_is_broken_is_still_an_error(site: Site) -> None:
    site.install("libA", {"liba/llmring.lock": b"nonsense"})
    with pytest.raises(LockfileError, match=r"libA:llmring\.lock: broken TOML"):
        read_package_lock(row(b"nonsense"), "mine")


def test_a_package_that_is_not_installed_is_named_with_the_lock_that_wants_it() -> None:
    with pytest.raises(LockfileError, match=r"mine: extended package 'no-such-dist' is not installed"):
        read_package_lock(row(package="no-such-dist"), "mine")


@pytest.mark.parametrize("how", ["link", "path"])
def test_a_lockfile_outside_of_the_installation_is_refused(site: Site, tmp_path: Path, how: str) -> None:
    outside = tmp_path / "llmring.lock"
    outside.write_bytes(SHIPPED)
    if how == "link":
        site.install("libA", {"liba/__init__.py": b""}, record=["liba/llmring.lock"])
        (site.root / "liba" / "llmring.lock").symlink_to(outside)
    else:
        site.install("libA", {}, record=["../llmring.lock"])
    with pytest.raises(LockfileError, match="lies outside"):
        read_package_lock(row(), "mine")


def test_another_lock_than_the_recorded_one_is_a_refusal(site: Site) -> None:
    site.install("libA", {"liba/llmring.lock": SHIPPED + b"# changed\n"})
    with pytest.raises(PackageLockError):
        read_package_lock(row(), "mine")
    assert exit_code(PackageLockError) == 4


@pytest.mark.parametrize(
    ("manifest", "refused"),
    [
        ({}, None),
        ({"defaults": {"providers": ["openai", "google"]}}, None),
        ({"defaults": {"providers": ["google"]}}, "profile 'default' allows no provider openai"),
        ({"profile": {"dev": {"providers": ["ollama"]}}}, "profile 'dev' allows no provider openai"),
    ],
)
def test_a_package_binds_no_provider_that_the_manifest_does_not_allow(
    site: Site, manifest: dict[str, object], refused: str | None
) -> None:
    site.install("libA", {"liba/llmring.lock": SHIPPED})
    profiles = parse_manifest(manifest, "m").profiles.values()
    if refused is None:
        assert find_package_lock("libA", "m", profiles) == row()
    else:
        with pytest.raises(PackageLockError, match=rf"binds 'fast' to openai:of-the-package.*{refused}"):
            find_package_lock("libA", "m", profiles)
