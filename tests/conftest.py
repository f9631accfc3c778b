"""What every test room shares. From llmring's own pytest plugin come `fake_provider`, `fake_clock` and `no_live_requests`."""

from __future__ import annotations

import os
import platform
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from llmring import env

# The same examples at every run, and no test fails because the machine was slow.
settings.register_profile(
    "llmring", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("llmring")

pytest_plugins = ["pytester"]

# A shell without job control starts background jobs with SIGINT ignored, and so does everything that they start: tests that
# interrupt a process would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_OURS = {value for name, value in vars(env).items() if name.isupper()}


@pytest.fixture(autouse=True)
def _offline(no_live_requests: None) -> None:
    """No test leaves this machine."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No provider's key, base URL or proxy, none of our variables, an empty HOME and an empty current folder (returned)."""
    for name in list(os.environ):
        ours = name.upper() in _OURS or (name.startswith("LLMRING_") and not name.startswith("LLMRING_TEST_"))
        if ours or name.endswith(("_API_KEY", "_AUTH_TOKEN", "_BASE_URL")):
            monkeypatch.delenv(name)
    base = tmp_path_factory.mktemp("empty")
    home, folder = base / "home", base / "folder"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(folder)
    return folder


# Reliability runs: a tenth of each in `make test`, the whole of each in `make prove`, which writes a report of them.

_PROVE = bool(os.environ.get("LLMRING_PROVE"))
_REPORT = Path(__file__).parent.parent / "docs" / "reliability-report.md"


@pytest.fixture(scope="session")
def scale() -> float:
    """How much of a reliability run to do: 1.0 under `make prove`, else 0.1. Say what came out with `record_property`."""
    return 1.0 if _PROVE else 0.1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`make prove` runs the tests that can be run at full size, and no others."""
    if not _PROVE:
        return
    sized = [item for item in items if isinstance(item, pytest.Function) and "scale" in item.fixturenames]
    config.hook.pytest_deselected(items=[item for item in items if item not in sized])
    items[:] = sized
    for item in sized:
        rows = [str(row) for mark in item.iter_markers("spec") for row in mark.args]
        item.user_properties.append(("rows", ", ".join(row for row in rows if row.startswith(("RT", "V"))) or "–"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Writes docs/reliability-report.md: a line for each run, with what it recorded."""
    if not _PROVE:
        return
    reports: list[pytest.TestReport] = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    if not reports:
        return
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [
        "# Reliability report",
        "",
        f"Written by `make prove`, every run at its full size, on {datetime.now(UTC).date()}: {machine}.",
        "",
        "| row | test | what came out | seconds | result |",
        "|---|---|---|---|---|",
    ]
    for report in sorted(reports, key=lambda report: (str(dict(report.user_properties).get("rows")), report.nodeid)):
        found = dict(report.user_properties)
        rows = found.pop("rows", "–")
        figures = ", ".join(f"{name} {value}" for name, value in found.items()) or "–"
        test = report.nodeid.rpartition("::")[2]
        lines.append(f"| {rows} | `{test}` | {figures} | {report.duration:.1f} | {report.outcome} |")
    # What `make soak` wrote stays.
    _, mark, soak = _REPORT.read_text().partition("\n## Soak\n") if _REPORT.exists() else ("", "", "")
    _REPORT.write_text("\n".join(lines) + "\n" + mark + soak)
