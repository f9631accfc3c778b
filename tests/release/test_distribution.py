"""What a release holds: a list, the same bytes each time, and a wheel that works where no source is."""

import hashlib
import json
import os
import runpy
import subprocess
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from tests.release.conftest import ROOT, Distribution, build

PACKAGE = ROOT / "src" / "llmring"
# Every file of the wheel that is not a module. What is not here is not shipped.
DATA = {
    "llmring/llmring.lock",
    "llmring/lockfile/llmring.toml.schema.json",
    "llmring/py.typed",
    *(f"llmring/registry/data/{name}.json" for name in ("anthropic", "google", "ollama", "openai")),
}
INFO = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
SDIST_TOP = {
    ".ci", ".gitignore", "AGENTS.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "PKG-INFO", "README.md",
    "SECURITY.md", "benchmarks", "changelog.d", "docs", "llmring.lock", "llmring.toml", "pyproject.toml", "registry", "src", "tests", "uv.lock",
}  # fmt: skip


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def tracked(folder: str) -> set[str]:
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", folder)
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


@pytest.mark.spec("RT20", "U23")
def test_the_wheel_holds_its_modules_the_listed_data_and_nothing_else(distribution: Distribution) -> None:
    modules = {name.removeprefix("src/") for name in tracked("src/llmring") if name.endswith(".py")}
    info = f"llmring-{version()}.dist-info"
    with zipfile.ZipFile(distribution.wheel) as wheel:
        names = set(wheel.namelist())
        assert names == modules | DATA | {f"{info}/{name}" for name in INFO}
        for name in DATA:
            if "/data/" in name:
                assert wheel.read(name) == (ROOT / "registry" / Path(name).name).read_bytes()
    assert not [name for name in names if name.endswith((".pth", ".so", ".pyc"))]


def test_every_file_of_the_registry_is_in_the_wheel_s_list() -> None:
    assert {path.stem for path in (ROOT / "registry").glob("*.json")} - {"index"} == {
        Path(name).stem for name in DATA if "/data/" in name
    }


@pytest.mark.spec("RT20")
def test_the_sdist_holds_what_is_tracked_in_the_listed_folders(distribution: Distribution) -> None:
    with tarfile.open(distribution.sdist) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    assert {name.split("/")[0] for name in names} == SDIST_TOP
    assert {name for name in names if "/" in name} == {
        name for name in tracked(".") if "/" in name and name.split("/")[0] in SDIST_TOP
    }
    assert all(member.isfile() for member in members)
    # Stamped with the commit's time, and of a file's mode what git keeps of it.
    assert {member.mtime for member in members} == {int(git("log", "-1", "--format=%ct"))}
    runnable = {member.name.partition("/")[2] for member in members if member.mode & 0o111}
    assert ".ci/run" in runnable
    assert runnable == {name for name in names if (ROOT / name).is_file() and os.access(ROOT / name, os.X_OK)}


@pytest.mark.spec("RT20")
def test_another_checkout_on_another_day_gives_the_same_bytes(distribution: Distribution, tmp_path: Path) -> None:
    clone = tmp_path / "elsewhere"
    copy_tracked = runpy.run_path(str(ROOT / ".ci" / "dist.py"))["copy_tracked"]
    copy_tracked(ROOT, clone)
    subprocess.run(["cp", "-r", ROOT / ".git", clone], check=True)
    again = build(tmp_path / "out", clone, umask=0o077, TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="7")
    for one, other in ((distribution.sdist, again.sdist), (distribution.wheel, again.wheel)):
        assert one.name == other.name
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


@pytest.mark.spec("RT20")
def test_what_is_not_as_committed_is_said(tmp_path: Path) -> None:
    is_as_committed = runpy.run_path(str(ROOT / ".ci" / "dist.py"))["is_as_committed"]
    for command in (["init", "--quiet"], ["config", "user.email", "a@example.org"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text("dist/\n")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "--quiet", "--no-gpg-sign", "-m", "one"], cwd=tmp_path, check=True)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "ignored").touch()
    assert is_as_committed(tmp_path)
    (tmp_path / "new.py").touch()
    assert not is_as_committed(tmp_path)


@pytest.mark.spec("A34")
def test_the_metadata_say_which_python_and_which_extras(distribution: Distribution) -> None:
    with zipfile.ZipFile(distribution.wheel) as wheel:
        metadata = message_from_bytes(wheel.read(f"llmring-{version()}.dist-info/METADATA"))
    assert metadata["Requires-Python"] == ">=3.11"
    extras = metadata.get_all("Provides-Extra") or []
    assert {"anthropic", "all"} <= set(extras)
    required = metadata.get_all("Requires-Dist") or []
    by_extra = {
        extra: {line.split(";")[0].strip() for line in required if f"extra == '{extra}'" in line} for extra in extras
    }
    assert by_extra.pop("anthropic") == set()
    everything = by_extra.pop("all")
    assert everything == set().union(*by_extra.values())
    # The small model is for tests and the demo.
    assert not [line for line in required if "smollm2" in line or "llama-server" in line]


@pytest.mark.spec("A34")
def test_the_extras_install_by_name_and_find_what_they_need(distribution: Distribution, installed: Path) -> None:
    wanted = [f"{distribution.wheel}[{extra}]" for extra in ("anthropic", "all", "misspelt")]
    said = [pip(installed, "install", "--dry-run", "--no-index", name) for name in wanted]
    for ran in said[:2]:
        assert "does not provide the extra" not in ran
        assert "ERROR" not in ran
    assert "tiktoken" in said[1]
    assert "does not provide the extra 'misspelt'" in said[2]


PROBE = """\
import importlib, json, pkgutil, sys
import llmring
from llmring import ModelInfo

names = [module.name for module in pkgutil.walk_packages(llmring.__path__, "llmring.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps({
    "where": llmring.__file__,
    "modules": len(names),
    "version": llmring.__version__,
    "public": [name for name in llmring.__all__ if getattr(llmring, name, None) is None and "AVAILABLE" not in name],
    "fact": ModelInfo.get("openai:gpt-5").max_output,
    "from_here": [path for path in (getattr(m, "__file__", None) or "" for m in sys.modules.values()) if "/src/llmring/" in path],
}))
"""


@pytest.mark.spec("RT20", "U23")
def test_the_wheel_works_where_no_source_is(installed: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [installed, "-c", PROBE], cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    found = json.loads(ran.stdout)
    assert found["where"].startswith(str(installed.parents[1]))
    assert found["modules"] > 150
    assert found["version"] == version()
    assert found["fact"]
    assert (found["public"], found["from_here"]) == ([], [])


@pytest.mark.spec("RT20")
def test_the_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [installed.with_name("llmring"), "aliases", "--json"],
        cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout)["origin"] == "bundled"


def test_the_version_is_said_once() -> None:
    import llmring

    assert llmring.__version__ == version()


def version() -> str:
    import tomli

    return tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def pip(python: Path, *arguments: str) -> str:
    ran = subprocess.run([python, "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr
