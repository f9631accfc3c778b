"""`shell` runs `llmring` in a folder with a lockfile; `online` has a key besides, and the fake provider to call."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.inside import Inside, Vendor
from tests.cli.shell import KEY, LOCKFILE, Shell

import llmring
from llmring.testing import FakeProvider


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with a lockfile, and an environment without any key."""
    (tmp_path / "llmring.lock").write_text(LOCKFILE)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "COLUMNS": "100"}
    # A checkout that is not the installed one is named there.
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = str(Path(llmring.__file__).parents[1])
    return Shell(tmp_path, environ | {"PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm"})


@pytest.fixture
def online(shell: Shell, fake_provider: FakeProvider) -> Shell:
    """The same, with a key, and with provider openai pointed at the fake one."""
    shell.environ |= {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": fake_provider.base_url}
    shell.hidden[f"127.0.0.1:{fake_provider.port}"] = "<provider>"
    return shell


@pytest.fixture
def inside(clean_environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    """`run` within this process, in an empty folder, without any key."""
    monkeypatch.setenv("COLUMNS", "100")
    return Inside(clean_environment, monkeypatch, capsys)


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """A server to look for, on this machine."""
    vendor = Vendor()
    with vendor.serving():
        yield vendor
