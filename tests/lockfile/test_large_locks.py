"""Locks of large projects: `make prove` prints what they cost. No test waits on a clock: how fast is a figure, that it is right a test."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lockfile.locked import lock_of, read, row

from llmring.clock import SystemClock
from llmring.lockfile.checking import check_file
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.store import LockStore
from llmring.resolver import Resolver

PROFILES = 60
MODELS = 40
CAPS = ("json_schema", "tools", "vision")


def lay_out(folder: Path, aliases: int) -> Path:
    """A manifest whose profiles all inherit its aliases, pools of two of 80 models, and the lock of it."""
    lines = ['schema = "1"']
    for number in range(aliases):
        models = f'"openai:model-{number % MODELS}", "groq:model-{number % MODELS}"'
        lines.append(
            f'[alias.alias-{number:03}]\nmodels = [{models}]\nneeds = ["tools", "vision"]\nmin-input = 100_000'
        )
        lines.append('max-price = { input = "3", output = "15" }')
    lines += [f"[profile.profile-{number:02}]" for number in range(PROFILES - 1)]
    text = "\n".join(lines)
    folder.mkdir()
    (folder / "llmring.toml").write_text(text)
    rows = [
        row(f"{provider}:model-{number}", caps=CAPS)
        for provider in ("openai", "groq")
        for number in range(min(MODELS, aliases))
    ]
    path = folder / "llmring.lock"
    path.write_bytes(lock_of(read(text), rows))
    return path


@pytest.mark.spec("V16")
def test_what_large_locks_cost(tmp_path: Path, scale: float, record_property: Callable[[str, object], None]) -> None:
    for aliases in (round(50 * scale), round(500 * scale)):
        path = lay_out(tmp_path / str(aliases), aliases)
        data = path.read_bytes()
        started = time.process_time()
        lock = parse_lock(data, path.name)
        loaded = time.process_time()
        checked = check_file(path)
        done = time.process_time()
        assert len(lock.profiles) == PROFILES
        assert checked.findings == []
        size = f"{PROFILES} × {aliases} ({len(data) / 1e6:.1f} MB):"
        spent = f"load {(loaded - started) * 1000:.0f} ms CPU, check {(done - loaded) * 1000:.0f} ms CPU"
        store = LockStore(path, SystemClock())
        cached, cold = (time_resolve(store, cache_size, round(10_000 * scale)) for cache_size in (1000, 0))
        record_property(size, f"{spent}; resolve cached {cached:.2f} µs, cold {cold:.1f} µs")


def time_resolve(store: LockStore, cache_size: int, times: int) -> float:
    """CPU µs a look-up, without loading the lock."""
    resolver = Resolver(
        store,
        clock=SystemClock(),
        has_credential=lambda name: True,
        known_provider=lambda name: True,
        cache_size=cache_size,
    )
    assert resolver.resolve("alias-001", "profile-30").candidates
    started = time.process_time()
    for _ in range(times):
        resolver.resolve("alias-001", "profile-30")
    return (time.process_time() - started) / times * 1e6
