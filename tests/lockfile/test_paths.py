"""RT17 for paths: whatever a package, a registry or a repository calls a file, nothing outside of its place is opened."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.lockfile.test_extends import SHIPPED, Site

from llmring.exceptions import LLMRingError, LockfileError
from llmring.lockfile.extends import find_package_lock, read_package_lock
from llmring.lockfile.merging import install_driver
from llmring.lockfile.model import ExtendedPackage
from llmring.lockfile.store import LOCK_NAME
from llmring.media.local import look_at
from llmring.registry.snapshot import parse_snapshot, read_files

Record = Callable[[str, object], None]
LOCK = LOCK_NAME

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], (str, bytes)):
        _opened.append(os.fsdecode(arguments[0]))


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """Every path that the process opens."""
    global _opened
    if not getattr(sys, "llmring_test_audit", False):  # a hook stays for as long as the process runs
        sys.addaudithook(_note)
        sys.llmring_test_audit = True  # type: ignore[attr-defined]
    _opened = []
    yield _opened
    _opened = None


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    root = tmp_path / "site-packages"
    root.mkdir()
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    return Site(root)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside that of the installed packages, with a lock that would do."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / LOCK).write_bytes(SHIPPED)
    return folder


# What a distribution's RECORD may call its lock. {outside}, {site}: absolute paths.
RECORDED = [
    f"../outside/{LOCK}",
    f"../../{{tail}}/outside/{LOCK}",
    f"liba/../../outside/{LOCK}",
    f"liba/./../../outside/{LOCK}",
    f"liba//..//..//outside//{LOCK}",
    f"{{outside}}/{LOCK}",
    f"/{{outside}}/{LOCK}",
    f"/{'../' * 30}{{outside}}/{LOCK}",
    f"/etc/{LOCK}",
    f"/proc/self/cwd/{LOCK}",
    f"/proc/self/root/{{outside}}/{LOCK}",
    f"/dev/fd/0/{LOCK}",
    f"~/{LOCK}",
    f"$HOME/{LOCK}",
    f"liba/\0/{LOCK}",
    f"..\\outside\\{LOCK}",
    f"..%2Foutside%2F{LOCK}",
    f"‥/outside/{LOCK}",
    f"．．/outside/{LOCK}",
    f"..∕outside∕{LOCK}",
    f"..／outside／{LOCK}",
    f"LIBA/../../OUTSIDE/{LOCK}",
    "../outside/LLMRING.LOCK",
    "../outside/llmrıng.lock",
    f"{'x' * 5000}/{LOCK}",
    f"{'x/' * 3000}{LOCK}",
    f"file://{{outside}}/{LOCK}",
]

# What may lie in the place of the lock itself.


def _link(place: Path, outside: Path) -> None:
    place.symlink_to(outside / LOCK)


def _relative_link(place: Path, outside: Path) -> None:
    place.symlink_to(f"../../outside/{LOCK}")


def _chain(place: Path, outside: Path) -> None:
    (place.parent / "second").symlink_to(outside / LOCK)
    (place.parent / "first").symlink_to("second")
    place.symlink_to("first")


def _linked_folder(place: Path, outside: Path) -> None:
    place.parent.rmdir()
    place.parent.symlink_to(outside, target_is_directory=True)


def _linked_above(place: Path, outside: Path) -> None:
    place.parent.rmdir()
    (place.parent.parent / "up").symlink_to("..", target_is_directory=True)
    place.parent.symlink_to("up/outside", target_is_directory=True)


def _loop(place: Path, outside: Path) -> None:
    (place.parent / "other").symlink_to(place.name)
    place.symlink_to("other")


def _to(target: str) -> Callable[[Path, Path], None]:
    return lambda place, outside: place.symlink_to(target)


def _fifo(place: Path, outside: Path) -> None:
    os.mkfifo(place)


def _folder(place: Path, outside: Path) -> None:
    place.mkdir()


PLANTED: dict[str, Callable[[Path, Path], None]] = {
    "link": _link,
    "relative link": _relative_link,
    "chain of links": _chain,
    "linked folder": _linked_folder,
    "folder linked over another": _linked_above,
    "loop": _loop,
    "device": _to("/dev/zero"),
    "terminal": _to("/dev/tty"),
    "environment": _to("/proc/self/environ"),
    "memory": _to("/proc/self/mem"),
    "password file": _to("/etc/passwd"),
    "standard input": _to("/dev/stdin"),
    "nothing": _to("/nowhere/at/all"),
    "pipe": _fifo,
    "folder": _folder,
}
PACKAGES = [
    "../outside",
    "/etc",
    "..",
    ".",
    "",
    "libA/../../outside",
    "lib\0A",
    "x" * 5000,
    "ｌｉｂＡ",
    "~",
    "libA\n",
    "file:///etc",
]


def leaks(opened: list[str], site: Site) -> list[str]:
    """What was opened outside of the packages' folder, but for Python's own: those are none of what was planted."""
    suspects = ("/etc/", "/proc/", "/dev/", str(site.root.parent / "outside"), "/nowhere")
    return [path for path in opened if os.path.realpath(path).startswith(suspects) or path.startswith(suspects)]


def row(package: str = "libA") -> ExtendedPackage:
    return ExtendedPackage(package, f"{package} 2.3.1", f"sha256:{hashlib.sha256(SHIPPED).hexdigest()}")


@pytest.mark.spec("RT17")
def test_no_name_of_an_installed_lock_leads_outside(
    site: Site, outside: Path, opened: list[str], scale: float, record_property: Record
) -> None:
    tail = os.path.relpath(outside.parent, outside.parent.parent)
    site.install("libA", {"liba/__init__.py": b""})
    record = site.root / "libA-2.3.1.dist-info" / "RECORD"
    for name in RECORDED:
        given = name.replace("{outside}", str(outside)).replace("{tail}", tail)
        record.write_text(f'"{given}",,\n', encoding="utf-8")
        opened.clear()
        for read in (lambda: read_package_lock(row(), "mine"), lambda: find_package_lock("libA", "mine")):
            with pytest.raises(LockfileError):
                read()
        assert leaks(opened, site) == [], name
    record_property("names of locks", f"{len(RECORDED)}, reads outside 0")


@pytest.mark.spec("RT17")
def test_nothing_in_the_place_of_an_installed_lock_leads_outside(
    site: Site, outside: Path, opened: list[str], scale: float, record_property: Record
) -> None:
    for number, (what, plant) in enumerate(PLANTED.items()):
        name = f"lib{number}"
        site.install(name, {}, record=[f"{name}/{LOCK}"])
        (site.root / name).mkdir()
        plant(site.root / name / LOCK, outside)
        opened.clear()
        with pytest.raises(LockfileError):
            read_package_lock(row(name), "mine")
        assert leaks(opened, site) == [], what
    record_property("links and devices", f"{len(PLANTED)}, reads outside 0")


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_of_a_package_leads_outside(site: Site, outside: Path, opened: list[str], package: str) -> None:
    with pytest.raises(LockfileError):
        read_package_lock(row(package), "mine")
    assert leaks(opened, site) == []


@pytest.mark.spec("RT17")
@pytest.mark.parametrize(
    "name",
    [
        "../openai.json",
        "/etc/passwd",
        "openai.json\0",
        "OPENAI.json",
        "ｏpenai.json",
        "a/b.json",
        ".json",
        "con:x.json",
    ],
)
def test_no_name_in_a_registry_is_a_path(name: str) -> None:
    with pytest.raises(LLMRingError, match="no name of a registry file"):
        parse_snapshot({name: b"{}"}, "a registry")


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("target", ["/dev/zero", "/proc/self/mem", "/dev/tty"])
def test_a_registry_folder_with_a_device_in_it_is_refused_at_once(tmp_path: Path, target: str) -> None:
    (tmp_path / "openai.json").symlink_to(target)
    with pytest.raises(LLMRingError, match="cannot be read"):
        read_files(tmp_path)


@pytest.mark.spec("RT17")
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "/dev/tty", "/proc/self/mem", "/proc/self/fd/0", "/"])
def test_an_attachment_that_is_no_regular_file_is_refused_at_once(tmp_path: Path, target: str) -> None:
    link = tmp_path / "picture.png"
    link.symlink_to(target)
    with pytest.raises(LLMRingError):
        look_at(link, is_image=True)


@pytest.mark.spec("RT17")
def test_git_attributes_that_lead_elsewhere_are_not_written_to(tmp_path: Path) -> None:
    repository, elsewhere = tmp_path / "repository", tmp_path / "profile"
    (repository / ".git" / "objects").mkdir(parents=True)
    (repository / ".git" / "refs").mkdir()
    (repository / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    elsewhere.write_text("mine\n")
    (repository / ".gitattributes").symlink_to(elsewhere)
    with pytest.raises(LockfileError, match="is a link"):
        install_driver(repository, "llmring")
    assert elsewhere.read_text() == "mine\n"
