"""What a call by an extended package's alias costs: the package's lock may be the only one that knows the price."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmring import LLMRing

PACKAGE_LOCK = """\
version = "1.1"
[profiles.default]
name = "default"
[[profiles.default.bindings]]
alias = "fast"
models = ["one:of-the-package", "two:m2"]
[[locked]]
id = "one:of-the-package"
price = { input = "2", output = "10" }
"""


@pytest.mark.spec("U07", "U39")
async def test_calculate_cost_agrees_with_the_usage_for_an_alias_of_a_package(
    make_ring: Callable[..., LLMRing], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "site" / "toolkit-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toolkit\nVersion: 1.0\n")
    (info / "RECORD").write_text("toolkit/llmring.lock,,\n")
    shipped = tmp_path / "site" / "toolkit" / "llmring.lock"
    shipped.parent.mkdir()
    shipped.write_text(PACKAGE_LOCK)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    lock = tmp_path / "own.lock"
    digest = hashlib.sha256(PACKAGE_LOCK.encode()).hexdigest()
    lock.write_text(f'version = "1.1"\n[[extended]]\npackage = "toolkit"\nlock = "sha256:{digest}"\n')
    lock.write_text(lock.read_text() + '[profiles.default]\nname = "default"\n')

    ring = make_ring(lockfile_path=lock)
    response = await ring.chat("toolkit:fast", "Hi there")
    cost = ring.calculate_cost(response)
    assert response.called_model == "one:of-the-package"
    assert response.cost
    assert cost["total_cost"] == response.cost
    assert cost["reason"] is None
