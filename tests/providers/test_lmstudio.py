"""What LM Studio can do beside chat, over real connections; and that none of it can stop a call.

The stub says what the vendor's pages say it says (https://lmstudio.ai/docs/developer/rest/list and …/unload, 2026-11-21); its
websocket side is judged by the vendor's own package, which speaks to it.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import WSMsgType, web

from llmring import LLMRequest, LLMRing, LMStudioOptions, LMStudioProvider
from llmring.exceptions import ConfigurationError

QWEN, GEMMA, NOMIC = "qwen/qwen3-4b", "gemma-3-270m-it-qat", "text-embedding-nomic-embed-text-v1.5"
LISTED: dict[str, Any] = {
    "models": [
        {
            "type": "llm",
            "publisher": "lmstudio-community",
            "key": GEMMA,
            "display_name": "Gemma 3 270m Instruct Qat",
            "architecture": "gemma3",
            "quantization": {"name": "Q4_0", "bits_per_weight": 4},
            "size_bytes": 241410208,
            "params_string": "270M",
            "loaded_instances": [
                {"id": GEMMA, "config": {"context_length": 8192}},
                {"id": f"{GEMMA}:2", "config": {"context_length": 4096}},
            ],
            "max_context_length": 32768,
            "format": "gguf",
            "capabilities": {"vision": False, "trained_for_tool_use": False},
            "description": None,
        },
        {
            "type": "llm",
            "key": QWEN,
            "loaded_instances": [{"id": "mine", "config": {"context_length": 1024}}],
            "max_context_length": 262144,
        },
        {"type": "llm", "key": "on-disk", "loaded_instances": [], "max_context_length": 131072},
        {
            "type": "embedding",
            "key": NOMIC,
            "loaded_instances": [{"id": NOMIC, "config": {"context_length": 2048}}],
            "max_context_length": 2048,
        },
    ]
}
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": QWEN,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
}


class Studio:
    """A stub of LM Studio. calls: what came in, in order. listed: what it has. status: of its REST API."""

    def __init__(self) -> None:
        self.listed = copy.deepcopy(LISTED)
        self.listing: bytes | None = None
        self.status = 200
        self.calls: list[tuple[str, Any]] = []
        self.url = ""

    async def list(self, request: web.Request) -> web.Response:
        self.calls.append(("list", request.headers.get("Authorization")))
        body = json.dumps(self.listed).encode() if self.listing is None else self.listing
        return web.Response(body=body, status=self.status, content_type="application/json")

    async def unload(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.calls.append(("unload", body["instance_id"]))
        return web.json_response(body)

    async def chat(self, request: web.Request) -> web.Response:
        self.calls.append(("chat", await request.json()))
        return web.json_response(CHAT)

    async def greet(self, request: web.Request) -> web.Response:
        return web.json_response({"lmstudio": True})

    async def talk(self, request: web.Request) -> web.WebSocketResponse:
        """The protocol of the package lmstudio 1.5.0: an introduction, then calls and results."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_json()
        await socket.send_json({"success": True})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            call = cast("dict[str, Any]", message.json())
            if call["type"] != "rpcCall":
                continue
            self.calls.append((call["endpoint"], call.get("parameter")))
            if call["endpoint"] == "listLoaded":
                result: Any = [{"identifier": GEMMA}, {"identifier": QWEN}]
            else:
                result = {"tokenCount": len(call["parameter"]["inputString"].split())}
            await socket.send_json({"type": "rpcResult", "callId": call["callId"], "result": result})
        return socket

    @property
    def unloaded(self) -> list[str]:
        return [what for kind, what in self.calls if kind == "unload"]


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    stub = Studio()
    app = web.Application()
    app.router.add_get("/api/v1/models", stub.list)
    app.router.add_post("/api/v1/models/unload", stub.unload)
    app.router.add_post("/v1/chat/completions", stub.chat)
    app.router.add_get("/lmstudio-greeting", stub.greet)
    for name in ("llm", "embedding", "system", "files", "repository"):
        app.router.add_get(f"/{name}", stub.talk)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    stub.url = f"http://{host}:{port}"
    yield stub
    await runner.cleanup()


@pytest.fixture
async def ring(studio: Studio) -> AsyncIterator[LLMRing]:
    async with LLMRing(providers={"lmstudio": {"base_url": studio.url}}) as ring:
        yield ring


@pytest.fixture
def provider(ring: LLMRing) -> LMStudioProvider:
    provider = ring.get_provider("lmstudio")
    assert isinstance(provider, LMStudioProvider)
    return provider


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.spec("P10")
@pytest.mark.parametrize(
    ("model", "length"),
    [(None, 4096), (GEMMA, 4096), (QWEN, 1024), ("mine", 1024), ("on-disk", 131072), (NOMIC, 2048)],
)
async def test_the_context_is_as_long_as_the_model_was_loaded_with(
    provider: LMStudioProvider, model: str | None, length: int
) -> None:
    assert await provider.get_context_length(model) == length


@pytest.mark.spec("P10")
@pytest.mark.parametrize(
    ("keep", "unloaded"),
    [
        (QWEN, [GEMMA, f"{GEMMA}:2"]),
        ("mine", [GEMMA, f"{GEMMA}:2"]),
        (GEMMA, ["mine"]),
        (f"{GEMMA}:2", [GEMMA, "mine"]),
        ("on-disk", [GEMMA, f"{GEMMA}:2", "mine"]),
    ],
)
async def test_others_are_unloaded_and_embedding_models_stay(
    provider: LMStudioProvider, studio: Studio, keep: str, unloaded: list[str]
) -> None:
    assert await provider.unload_other_models(keep) == unloaded
    assert studio.unloaded == unloaded


@pytest.mark.spec("P10")
async def test_a_misspelt_name_unloads_nothing(
    provider: LMStudioProvider, studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    assert await provider.unload_other_models("qwen/qwen3-5b") is None
    assert studio.unloaded == []
    assert warnings(caplog) == ["provider lmstudio: finding a model: the server has no 'qwen/qwen3-5b'"]


@pytest.mark.spec("P10")
async def test_tokens_are_counted_by_a_loaded_model(provider: LMStudioProvider, studio: Studio) -> None:
    assert await provider.count_tokens("one two three") == 3
    assert await provider.count_tokens("one two", QWEN) == 2
    counted = [call for call in studio.calls if call[0] == "countTokens"]
    assert [call[1]["specifier"]["query"]["identifier"] for call in counted] == [GEMMA, QWEN]


@pytest.mark.spec("P10")
async def test_a_model_is_not_loaded_to_count(
    provider: LMStudioProvider, studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    assert await provider.count_tokens("one two three", "on-disk") is None
    assert [kind for kind, _ in studio.calls] == ["listLoaded"]
    assert warnings(caplog) == ["provider lmstudio: counting tokens: on-disk is not loaded"]


@pytest.mark.spec("P10")
async def test_without_the_package_counting_is_a_warning_and_the_rest_works(
    provider: LMStudioProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lmstudio", None)
    assert await provider.count_tokens("one two three") is None
    assert "pip install lmstudio" in warnings(caplog)[0]
    assert await provider.get_context_length() == 4096


@pytest.mark.spec("P10")
async def test_nobody_there_is_a_warning(caplog: pytest.LogCaptureFixture, unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with LLMRing(providers={"studio": {"like": "lmstudio", "base_url": url}}) as ring:
        provider = ring.get_provider("studio")
        assert isinstance(provider, LMStudioProvider)
        assert await provider.get_context_length() is None
        assert await provider.unload_other_models(QWEN) is None
        assert await provider.count_tokens("a secret text") is None
    assert len(warnings(caplog)) == 3
    assert all(said.startswith("provider studio: ") for said in warnings(caplog))
    assert "secret text" not in caplog.text


@pytest.mark.spec("P10")
@pytest.mark.parametrize(
    "listing",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"models": 5}',
        b'{"models": [5, {}, {"key": 5}, {"key": "qwen/qwen3-4b"}, {"key": "a", "loaded_instances": 5}]}',
        b'{"models": [{"key": "a", "type": "llm", "loaded_instances": [5, {"id": 5}, {"id": "a", "config": 5}]}]}',
        b"[" * 100_000,
    ],
)
async def test_a_list_that_is_none_is_a_warning(
    provider: LMStudioProvider, studio: Studio, listing: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    studio.listing = listing
    assert await provider.get_context_length(QWEN) is None
    assert await provider.unload_other_models(QWEN) is None
    assert studio.unloaded == []
    assert len(warnings(caplog)) == 2


@pytest.mark.spec("P10")
async def test_a_call_can_make_room_first(ring: LLMRing, studio: Studio) -> None:
    request = LLMRequest(
        model=f"lmstudio:{QWEN}", messages="Hi", provider_options=LMStudioOptions(unload_others=True, ttl=300)
    )
    response = await ring.chat(request)
    assert (response.content, response.warnings) == ("Hello.", [])
    assert [kind for kind, _ in studio.calls] == ["list", "unload", "unload", "chat"]
    body = studio.calls[-1][1]
    assert body["ttl"] == 300
    assert "unload_others" not in body


@pytest.mark.spec("P10")
async def test_a_call_without_the_switch_asks_for_nothing_else(ring: LLMRing, studio: Studio) -> None:
    await ring.chat(f"lmstudio:{QWEN}", "Hi")
    request = LLMRequest(model=f"lmstudio:{QWEN}", messages="Hi", provider_options=LMStudioOptions(ttl=5))
    await ring.chat(request)
    assert [kind for kind, _ in studio.calls] == ["chat", "chat"]


@pytest.mark.spec("P10")
async def test_a_call_goes_on_where_no_room_can_be_made(
    ring: LLMRing, studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    studio.status = 404  # as an older LM Studio answers
    request = LLMRequest(model=f"lmstudio:{QWEN}", messages="Hi", provider_options=LMStudioOptions(unload_others=True))
    response = await ring.chat(request)
    assert response.content == "Hello."
    assert response.warnings == ["unload_others: provider lmstudio did not unload other models; the log says why"]
    assert "unloading other models" in warnings(caplog)[0]


@pytest.mark.spec("P10")
async def test_the_options_are_for_lm_studio_alone() -> None:
    request = LLMRequest(model="ollama:llama3.2", messages="Hi", provider_options=LMStudioOptions(unload_others=True))
    async with LLMRing() as ring:
        with pytest.raises(ConfigurationError, match="LMStudioOptions is for lmstudio"):
            await ring.chat(request)


@pytest.mark.spec("P10")
async def test_a_key_goes_along(studio: Studio) -> None:
    async with LLMRing(providers={"lmstudio": {"base_url": f"{studio.url}/v1", "api_key": "lm-0123456789"}}) as ring:
        provider = ring.get_provider("lmstudio")
        assert isinstance(provider, LMStudioProvider)
        assert await provider.get_context_length() == 4096
    assert studio.calls == [("list", "Bearer lm-0123456789")]
