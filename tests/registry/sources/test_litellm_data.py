"""litellm's data: from a wheel on disk or from a package index, as data that may be anybody's."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from llmring.exceptions import LLMRingError, ProviderResponseError, RegistryError, UnsafeURLError
from llmring.registry.sources.litellm_data import LitellmData, open_wheel
from llmring.registry.sources.package_index import PackageIndex
from llmring.testing import FakeClock
from llmring.testing.http_server import HTTPServer, Request, plain
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport

MEMBER = "litellm/model_prices_and_context_window_backup.json"
TODAY = "2026-11-21"
ROWS: dict[str, Any] = {
    "sample_spec": {"litellm_provider": "one of https://…", "mode": "one of: chat"},
    "gpt-tiny": {
        "litellm_provider": "openai",
        "mode": "chat",
        "max_input_tokens": 272000,
        "max_output_tokens": 128000,
        "deprecation_date": "2026-12-11",
        "supports_function_calling": True,
        "supports_audio_input": False,
        "supports_vision": "maybe",
        "input_cost_per_token": 1.25e-06,
        "output_cost_per_token": 0.0,
        "cache_read_input_token_cost_flex": 6.25e-08,
        "input_cost_per_token_above_272k_tokens_batches": 2.5e-06,
        "cache_creation_input_token_cost_above_12hr": 3e-06,
        "input_cost_per_token_priority": True,
    },
    "claude-tiny": {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "cache_creation_input_token_cost": 2.5e-06,
        "cache_creation_input_token_cost_above_1hr_above_100k_tokens": 4e-06,
    },
    "gemini/gemini-tiny": {"litellm_provider": "gemini", "mode": "embedding", "output_vector_size": 768},
    "gemini/gemini-tiny-tts": {"litellm_provider": "gemini", "mode": "chat"},
    "ft:gpt-tiny": {"litellm_provider": "openai", "mode": "chat"},
    "1024-x-1024/gpt-tiny": {"litellm_provider": "openai", "mode": "chat"},
    "gpt-tiny-tts": {"litellm_provider": "openai", "mode": "audio_speech"},
    "odd": {"litellm_provider": "openai", "mode": ["chat"]},
    "odder": "openai",
}


def wheel(rows: Any = ROWS, member: str = MEMBER) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, rows if isinstance(rows, bytes) else json.dumps(rows))
    return packed.getvalue()


def save(folder: Path, data: bytes, name: str = "litellm-1.2.3-py3-none-any.whl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.spec("P01")
async def test_a_row_gives_what_it_states_and_nothing_else(tmp_path: Path) -> None:
    reading = await LitellmData(wheel=save(tmp_path, wheel())).read("openai", TODAY)
    assert reading is not None
    assert (reading.said_by.what, reading.said_by.date) == ("litellm 1.2.3", TODAY)
    assert reading.models == {
        "gpt-tiny": {
            "category": "chat",
            "max_input": 272000,
            "max_output": 128000,
            "retires": "2026-12-11",
            "caps.tools": True,
            "caps.audio": False,
            "price.input": "1.25",
            "price.flex_cache_read": "0.0625",
            "price.batch_input_above_272000": "2.5",
        }
    }


async def test_each_vendors_rows_are_read_in_its_own_way(tmp_path: Path) -> None:
    source = LitellmData(wheel=save(tmp_path, wheel()))
    anthropic, google = await source.read("anthropic", TODAY), await source.read("google", TODAY)
    assert anthropic is not None
    assert google is not None
    assert anthropic.models == {
        "claude-tiny": {"category": "chat", "price.cache_write_5m": "2.5", "price.cache_write_1h_above_100000": "4"}
    }
    assert google.models == {"gemini-tiny": {"category": "embedding", "dimensions": 768}}
    assert await source.read("ollama", TODAY) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no zip", "no wheel with"),
        (wheel(member="litellm/other.json"), "no wheel with"),
        (wheel(rows=b"{"), "no JSON"),
        (wheel(rows=[]), "holds no table"),
        (wheel()[:-30], "no wheel with"),
        (wheel(rows=b"0" * (33 * 1024 * 1024)), "larger than"),
    ],
    ids=["no zip", "another", "no json", "a list", "cut", "a bomb"],
)
def test_what_is_no_such_wheel_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        open_wheel(data, "litellm-1-py3-none-any.whl")


def test_a_damaged_wheel_is_refused() -> None:
    whole = wheel()
    for place in range(0, len(whole), 7):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            open_wheel(damaged, "litellm-1-py3-none-any.whl")
        except RegistryError:
            continue


async def test_a_wheel_of_another_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no wheel of litellm"):
        await LitellmData(wheel=save(tmp_path, wheel(), "other-1.0-py3-none-any.whl")).read("openai", TODAY)
    with pytest.raises(RegistryError, match=r"litellm-9\.whl"):
        await LitellmData(wheel=tmp_path / "litellm-9.whl").read("openai", TODAY)


class Index:
    """A package index with wheels of litellm, in HTML or in JSON."""

    def __init__(self) -> None:
        self.wheels: dict[str, bytes] = {}
        self.sha256: dict[str, str] = {}
        self.yanked: set[str] = set()
        self.in_json = False
        self.asked: list[str] = []
        self.url = ""

    def answer(self, request: Request) -> list[bytes]:
        self.asked.append(request.target)
        if request.target == "/simple/litellm/":
            return [self._page()]
        name = request.target.rpartition("/")[2]
        return [plain(200, {}, self.wheels[name]) if name in self.wheels else plain(404, {}, b"")]

    def _page(self) -> bytes:
        hashes = {name: self.sha256.get(name, hashlib.sha256(data).hexdigest()) for name, data in self.wheels.items()}
        if self.in_json:
            files = [
                {"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": h}, "yanked": n in self.yanked}
                for n, h in hashes.items()
            ]
            return plain(
                200, {"Content-Type": "application/vnd.pypi.simple.v1+json"}, json.dumps({"files": files}).encode()
            )
        links = "".join(
            f'<a href="../../files/{n}#sha256={h}"{" data-yanked" if n in self.yanked else ""}>{n}</a><br/>'
            for n, h in hashes.items()
        )
        return plain(200, {"Content-Type": "text/html"}, f"<!DOCTYPE html><html><body>{links}</body></html>".encode())


@pytest.fixture
async def index() -> AsyncIterator[Index]:
    served = Index()
    async with AsyncExitStack() as stack:
        server = HTTPServer(served.answer)
        await server.start()
        stack.push_async_callback(server.close)
        served.url = f"http://127.0.0.1:{server.port}/simple"
        yield served


@pytest.fixture
async def source(index: Index) -> AsyncIterator[LitellmData]:
    transport = HTTPTransport(clock=FakeClock(), guard=Guard(allow_private=True, allow_http=True), environ={})
    yield LitellmData(index=PackageIndex(transport, index.url, clock=FakeClock()))
    await transport.close()


@pytest.mark.spec("P01")
@pytest.mark.parametrize("in_json", [False, True], ids=["html", "json"])
async def test_the_newest_wheel_of_an_index_is_read(index: Index, source: LitellmData, in_json: bool) -> None:
    index.in_json = in_json
    old = wheel({"gpt-old": {"litellm_provider": "openai", "mode": "chat"}})
    new = wheel({"gpt-new": {"litellm_provider": "openai", "mode": "chat"}})
    index.wheels = {f"litellm-{version}-py3-none-any.whl": old for version in ("1.9.0", "1.100.0", "1.99.9")}
    index.wheels |= {"litellm-1.101.0-cp310-abi3-linux.whl": new, "litellm-2.0.0rc1-py3-none-any.whl": old}
    index.wheels["litellm-3.0.0-py3-none-any.whl"] = old
    index.yanked = {"litellm-3.0.0-py3-none-any.whl"}
    reading = await source.read("openai", TODAY)
    assert reading is not None
    assert (reading.said_by.what, list(reading.models)) == ("litellm 1.101.0", ["gpt-new"])
    await source.read("anthropic", TODAY)
    assert index.asked == ["/simple/litellm/", "/files/litellm-1.101.0-cp310-abi3-linux.whl"], "fetched once"


async def test_a_wheel_that_is_not_what_the_index_says_is_not_read(index: Index, source: LitellmData) -> None:
    name = "litellm-1.0.0-py3-none-any.whl"
    index.wheels, index.sha256 = {name: wheel()}, {name: "0" * 64}
    with pytest.raises(RegistryError, match="has not the sha256"):
        await source.read("openai", TODAY)


async def test_a_wheel_without_a_hash_is_not_read(index: Index, source: LitellmData) -> None:
    name = "litellm-1.0.0-py3-none-any.whl"
    index.wheels, index.sha256 = {name: wheel()}, {name: "md5"}
    with pytest.raises(RegistryError, match="names no wheel of litellm with a sha256"):
        await source.read("openai", TODAY)


@pytest.mark.parametrize(
    ("page", "kind", "error"),
    [
        (plain(500, {}, b""), "status", ProviderResponseError),
        (plain(200, {"Content-Type": "application/json"}, b"{"), "json", RegistryError),
        (plain(200, {"Content-Type": "application/json"}, b"[]"), "list", RegistryError),
        (plain(200, {"Content-Type": "text/html"}, b"\xff\xfe<a"), "html", RegistryError),
        (plain(302, {"Location": "file:///etc/passwd"}, b""), "file", UnsafeURLError),
        (plain(302, {"Location": "http://169.254.169.254/"}, b""), "metadata", UnsafeURLError),
    ],
)
async def test_an_index_that_answers_otherwise_is_an_error_of_ours(
    index: Index,
    source: LitellmData,
    monkeypatch: pytest.MonkeyPatch,
    page: bytes,
    kind: str,
    error: type[LLMRingError],
) -> None:
    monkeypatch.setattr(index, "_page", lambda: page)
    with pytest.raises(error):
        await source.read("openai", TODAY)


async def test_an_index_may_not_send_us_into_the_private_network(index: Index) -> None:
    transport = HTTPTransport(clock=FakeClock(), guard=Guard(), environ={})
    try:
        with pytest.raises(UnsafeURLError):
            await LitellmData(index=PackageIndex(transport, index.url, clock=FakeClock())).read("openai", TODAY)
    finally:
        await transport.close()
    assert index.asked == []
