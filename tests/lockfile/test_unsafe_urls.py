"""URLs that a repository's files or the environment name: whatever way an inside address is written, nothing connects to it.

The spellings and the listener are those of the guard's own tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.transport.test_guard import INSIDE, listener

from llmring import LLMRing
from llmring.exceptions import ConfigurationError, LLMRingError, UnsafeURLError
from llmring.transport.guard import Guard

__all__ = ["listener"]  # the fixture

Listener = tuple[int, list[str]]
HTTPS = [url for url in INSIDE if url.startswith("https://")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a lock and without what this machine's environment says."""
    for name in ("LLMRING_REGISTRY_URL", "LLMRING_CONFIG", "LLMRING_FROZEN", "LLMRING_LOCKFILE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LLMRING_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "llmring.lock").write_text(
        'version = "1.1"\n[profiles.default]\n[[profiles.default.bindings]]\nalias = "fast"\nmodels = ["mine:m"]\n'
    )
    return tmp_path


@pytest.mark.spec("V14", "RT17")
@pytest.mark.parametrize("url", INSIDE)
async def test_a_registry_url_that_leads_inside_is_not_connected_to(folder: Path, listener: Listener, url: str) -> None:
    port, connected = listener
    with pytest.raises(ConfigurationError):
        async with LLMRing(registry_url=url.replace("{port}", str(port)), dotenv=False) as ring:
            await ring.refresh_registry()
    assert connected == []


@pytest.mark.spec("V14", "RT17")
@pytest.mark.parametrize("url", HTTPS)
async def test_a_provider_that_a_manifest_declares_inside_is_not_connected_to(
    folder: Path, listener: Listener, url: str
) -> None:
    port, connected = listener
    address = url.replace("{port}", str(port))
    (folder / "llmring.toml").write_text(f"[providers.mine]\nbase_url = '{address}'\n")
    with pytest.raises(LLMRingError):
        async with LLMRing(dotenv=False) as ring:
            await ring.chat("fast", "Hi")
    assert connected == []


@pytest.mark.spec("V14")
@pytest.mark.parametrize("key", ["registry_url", "base_url", "url", "sources", "providers"])
async def test_a_url_in_a_lock_is_nobodys(
    folder: Path, listener: Listener, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock has no word for an address: what looks like one is named once and used by nobody."""
    port, connected = listener
    path = folder / "llmring.lock"
    row = f'[[locked]]\nid = "mine:m"\n{key} = "https://127.0.0.1:{port}/"\n'
    path.write_text(f'{key} = "https://127.0.0.1:{port}/"\n{path.read_text()}{row}')
    with pytest.raises(LLMRingError):
        async with LLMRing(dotenv=False) as ring:
            await ring.chat("fast", "Hi")
    assert connected == []
    assert caplog.text.count("does not know are ignored") == 1


@pytest.mark.spec("V14")
@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:127.0.0.1"], ["fd00::1"]])
async def test_a_registry_whose_name_leads_inside_is_not_connected_to(
    folder: Path, listener: Listener, answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    port, connected = listener

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        return [
            {
                "hostname": host,
                "host": answer,
                "port": port,
                "family": socket.AF_INET6 if ":" in answer else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for answer in answers
        ]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", resolve)
    with pytest.raises(LLMRingError):
        async with LLMRing(registry_url=f"https://registry.example:{port}/", dotenv=False) as ring:
            await ring.refresh_registry()
    assert connected == []


def test_the_guard_of_a_registry_lets_nothing_private_through() -> None:
    with pytest.raises(UnsafeURLError):
        Guard().check_url("https://169.254.169.254/latest")
