"""What a ring knows of models: asked of the lock and the registry, never of a network."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmring import (
    AliasNotFoundError,
    ConfigurationError,
    LLMRequest,
    LLMRing,
    ModelInfo,
    OpenAIProvider,
    ProviderNotFoundError,
    RegistryRollbackError,
    RequestOptions,
    ServiceClosedError,
)
from llmring.clock import SystemClock
from llmring.registry.catalog import shared_catalog
from llmring.registry.fetch import render_index
from llmring.testing import Answer, FakeProvider
from llmring.testing.http_server import HTTPServer, Request, plain
from llmring.transport.guard import Guard
from llmring.transport.http import HTTPTransport

MakeRing = Callable[..., LLMRing]


def fact(value: object) -> dict[str, object]:
    return {"value": value, "source": "page"}


def registry_file(provider: str, models: dict[str, Any], as_of: str = "2026-11-01") -> bytes:
    source = {"what": "a page", "url": "https://example.org/models", "date": as_of}
    file = {"schema": "1", "provider": provider, "as_of": as_of, "sources": {"page": source}, "models": models}
    return json.dumps(file).encode()


ONE = {
    "m1": {
        "category": fact("chat"),
        "max_input": fact(1_000),
        "max_output": fact(100),
        "caps": {"tools": fact(True), "audio": fact(False)},
        "price": {"input": fact("99"), "batch_input": fact("9")},
    },
    "reasoner": {"context_window": fact(500), "lifecycle": fact("active")},
    "gone": {"lifecycle": fact("retired")},
    "ended": {"retires": fact("2020-01-01"), "retires_kind": fact("firm")},
    "perhaps": {"retires": fact("2020-01-01"), "retires_kind": fact("earliest")},
    "exact-high": {"category": fact("chat")},
    "exact": {"category": fact("chat")},
}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    (folder / "one.json").write_bytes(registry_file("one", ONE))
    (folder / "openai.json").write_bytes(registry_file("openai", {"gpt": {"category": fact("chat")}}))
    return folder


@pytest.fixture
def ring(make_ring: MakeRing, registry: Path) -> LLMRing:
    return make_ring(registry_url=str(registry))


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing connects, not even to this machine, and nothing is looked up."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a socket was used: {args}")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


# One model -------------------------------------------------------------------------------------------------------------


@pytest.mark.spec("U26", "P01")
@pytest.mark.parametrize("name", ["fast", "one:m1"])
def test_a_model_is_known_by_its_name_or_alias_the_lock_before_the_registry(ring: LLMRing, name: str) -> None:
    info = ring.get_model_info(name)
    assert (info.id, info.category, info.max_input) == ("one:m1", "chat", 1_000)
    assert (info.can("tools"), info.can("audio"), info.can("vision")) == (True, False, None)
    # Prices are the lock's, all of them: what a call costs is what this says.
    assert info.price == {"input": Decimal(2), "output": Decimal(10), "cache_read": Decimal("0.2")}
    assert info.sources["price.input"] == "the lockfile (test), 2026-11-20"
    assert info.sources["max_input"] == info.sources["caps.tools"] == "a page, 2026-11-01"
    assert "price.batch_input" not in info.sources


@pytest.mark.spec("U26")
def test_of_a_pool_it_is_the_model_that_would_be_asked_first(make_ring: MakeRing, registry: Path) -> None:
    keyless = {"base_url": "http://localhost:1", "key_variable": "MISSING_API_KEY", "auth": "bearer"}
    ring = make_ring(registry_url=str(registry), providers={"one": keyless})
    assert ring.get_model_info("pool").id == ring.resolve_alias("pool") == "two:m2"
    assert ring.get_model_info("fast", profile="dev").id == "two:m2"


@pytest.mark.spec("U26", "P03")
def test_a_model_that_nobody_knows_has_no_facts_and_is_no_error(ring: LLMRing) -> None:
    assert ring.get_model_info("one:never-heard-of") == ModelInfo("one:never-heard-of")
    with pytest.raises(AliasNotFoundError):
        ring.get_model_info("fats")
    with pytest.raises(ProviderNotFoundError):
        ring.get_model_info("uno:m1")


@pytest.mark.spec("P03")
async def test_any_model_of_a_known_address_can_be_called_and_its_cost_is_unknown(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Answer("Hi"))
    response = await ring.chat("one:some/Model-of.mine:7b", "Hello")
    assert fake_provider.received[0].body["model"] == "some/Model-of.mine:7b"
    assert (response.content, response.usage.cost) == ("Hi", None)
    assert "no price is known" in ring.calculate_cost(response)["reason"]


# Those that can be called ----------------------------------------------------------------------------------------------


@pytest.mark.spec("U26")
def test_available_are_the_models_of_providers_with_a_key_without_the_retired(
    ring: LLMRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ring.get_available_models()
    assert found["one"] == [f"one:{name}" for name in ("exact", "exact-high", "m1", "perhaps", "reasoner", "unpriced")]
    assert (found["two"], found["three"]) == (["two:m2"], ["three:m3"])
    assert "openai" not in found
    ring.register_model(ModelInfo("two:own"))
    assert ring.get_available_models("two") == {"two": ["two:m2", "two:own"]}
    assert ring.get_available_models("openai") == {"openai": []}
    with pytest.raises(ProviderNotFoundError, match="openai"):
        ring.get_available_models("opnai")


@pytest.mark.spec("U26")
def test_a_key_makes_a_providers_models_available(
    make_ring: MakeRing, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    assert make_ring(registry_url=str(registry)).get_available_models("openai") == {"openai": ["openai:gpt"]}


# Whether a request fits ------------------------------------------------------------------------------------------------


@pytest.mark.spec("U26")
@pytest.mark.parametrize(
    ("model", "size", "max_tokens", "fits", "limit", "reason"),
    [
        ("fast", 400, None, True, 1_000, r"about 1\d\d tokens; one:m1 takes 1,000 \(max_input\)"),
        ("one:m1", 400, 100, True, 1_000, "max_input"),
        ("one:m1", 8_000, None, False, 1_000, r"about 2,0\d\d tokens"),
        ("one:m1", 400, 101, False, 1_000, r"max_tokens is 101, and one:m1 writes at most 100 \(max_output\)"),
        ("one:reasoner", 400, None, True, 500, r"holds 500 \(context_window\)"),
        ("one:reasoner", 400, 400, False, 100, "of which max_tokens keeps 400"),
        ("one:reasoner", 400, 4_000, False, 0, "of which max_tokens keeps 4,000"),
        ("one:gone", 400, 4_000, None, None, "no limit of one:gone is known"),
    ],
)
async def test_a_request_fits_its_model_or_not_or_nobody_knows(
    ring: LLMRing, model: str, size: int, max_tokens: int | None, fits: bool | None, limit: int | None, reason: str
) -> None:
    request = LLMRequest(model=model, messages="x" * size, max_tokens=max_tokens)
    check = await ring.validate_context_limit(request)
    assert (check.fits, check.limit, check.max_tokens, check.exact) == (fits, limit, max_tokens, False)
    assert size / 4 <= check.tokens <= size / 4 + 10
    assert re.search(reason, check.reason)


@pytest.mark.spec("U26")
async def test_the_rings_defaults_count_as_they_would_in_a_call(make_ring: MakeRing, registry: Path) -> None:
    ring = make_ring(registry_url=str(registry), defaults=RequestOptions(max_tokens=450))
    check = await ring.validate_context_limit(LLMRequest(model="one:reasoner", messages="x" * 400))
    assert (check.max_tokens, check.limit, check.fits) == (450, 50, False)


@pytest.mark.spec("U26", "U23")
async def test_no_question_uses_a_socket(make_ring: MakeRing, no_sockets: None) -> None:
    ring = make_ring(registry_url="https://registry.example/facts")
    request = LLMRequest(model="openai:gpt-4o", messages="How many?")
    assert (await ring.validate_context_limit(request)).tokens > 0
    assert ring.get_model_info("fast").id == "one:m1"
    assert ring.get_available_models()["one"] == ["one:m1", "one:unpriced"]
    assert ModelInfo("openai:gpt-4o").count_tokens("How many?") > 0
    assert ring.explain("fast")["resolves_to"] == "one:m1"


# Registered by the program ---------------------------------------------------------------------------------------------


@pytest.mark.spec("P04")
async def test_a_registered_models_price_is_what_its_calls_cost(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Hi"), Answer("Hi"))
    before = await ring.chat("one:unpriced", "Hello")
    ring.register_model(ModelInfo("one:unpriced", price={"input": Decimal(1_000_000), "output": Decimal(0)}))
    after = await ring.chat("free", "Hello")
    assert (before.usage.cost, after.usage.cost) == (None, after.usage.prompt_tokens)


@pytest.mark.spec("P04")
async def test_the_locks_price_goes_before_a_registered_one_and_the_rings_own_before_the_process(
    ring: LLMRing, make_ring: MakeRing
) -> None:
    ModelInfo.register(ModelInfo("one:shared", max_input=1))
    try:
        ring.register_model(ModelInfo("one:m1", price={"input": Decimal(77)}, max_output=7), replace=True)
        info = ring.get_model_info("one:m1")
        assert (info.price["input"], info.max_output, info.max_input) == (Decimal(2), 7, None)
        told = (info.sources["price.input"], info.sources["max_output"])
        assert told == ("the lockfile (test), 2026-11-20", "this program")
        ring.register_model(ModelInfo("one:shared", max_input=2), replace=True)
        assert ring.get_model_info("one:shared").max_input == 2
        assert make_ring().get_model_info("one:shared").max_input == 1
        assert ModelInfo.get("one:shared").max_input == 1
    finally:
        shared_catalog().unregister("one:shared")


@pytest.mark.spec("P01")
async def test_a_model_info_goes_where_its_name_goes(
    ring: LLMRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = ring.get_model_info("fast")
    fake_provider.script(*[Answer("Hi")] * 4)
    await ring.chat(info, "Hello")
    async for _ in ring.chat_stream(info, "Hello"):
        pass
    await ring.chat(LLMRequest(model=info.id, messages="Hello"))
    async with OpenAIProvider(ModelInfo("openai:gpt"), api_key="k" * 20, base_url=fake_provider.base_url) as provider:
        await provider.chat("Hello")
    assert [received.body["model"] for received in fake_provider.received] == ["m1", "m1", "m1", "gpt"]
    with pytest.raises(ConfigurationError, match="no messages"):
        await ring.chat(info)  # pyright: ignore[reportArgumentType]


# A suffix that says how hard to think ----------------------------------------------------------------------------------


@pytest.mark.spec("D05")
@pytest.mark.parametrize(
    ("model", "sent", "effort"),
    [
        ("one:reasoner-high", "reasoner", "high"),  # the registry knows `reasoner`
        ("one:exact-high", "exact-high", None),  # it knows this very name
        ("one:exact-low", "exact", "low"),
        ("one:nobody-high", "nobody-high", None),
        ("one:reasoner-max", "reasoner-max", None),
    ],
)
async def test_the_registry_tells_a_suffix_from_a_name(
    ring: LLMRing, fake_provider: FakeProvider, model: str, sent: str, effort: str | None
) -> None:
    fake_provider.script(Answer("Hi"))
    await ring.chat(model, "Hello")
    body = fake_provider.received[0].body
    assert (body["model"], body.get("reasoning_effort")) == (sent, effort)


@pytest.mark.spec("D05")
async def test_a_registered_name_is_no_suffix(ring: LLMRing, fake_provider: FakeProvider) -> None:
    ring.register_model(ModelInfo("one:reasoner-high"))
    fake_provider.script(Answer("Hi"))
    await ring.chat("one:reasoner-high", "Hello")
    assert fake_provider.received[0].body["model"] == "reasoner-high"


# Refreshing ------------------------------------------------------------------------------------------------------------


class Served:
    """A registry on a loopback server."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def answer(self, request: Request) -> list[bytes]:
        name = request.target.rpartition("/")[2]
        self.asked.append(name)
        return [plain(200, {}, render_index(self.files) if name == "index.json" else self.files[name])]


@pytest.fixture
async def served() -> AsyncIterator[tuple[Served, str]]:
    found = Served()
    found.files["one.json"] = registry_file("one", {"m1": {"max_output": fact(64)}})
    async with AsyncExitStack() as stack:
        server = HTTPServer(found.answer)
        await server.start()
        stack.push_async_callback(server.close)
        yield found, f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def transport() -> AsyncIterator[HTTPTransport]:
    transport = HTTPTransport(clock=SystemClock(), guard=Guard(allow_private=True, allow_http=True), environ={})
    yield transport
    await transport.close()


@pytest.mark.spec("U23")
async def test_a_ring_asks_its_registry_only_when_it_is_told_to_and_then_goes_by_it(
    make_ring: MakeRing, served: tuple[Served, str], transport: HTTPTransport, fake_provider: FakeProvider
) -> None:
    server, url = served
    ring = make_ring(registry_url=url, transport=transport)
    assert ring.registry_url == url
    fake_provider.script(Answer("Hi"))
    await ring.chat("one:unpriced-high", "Hello")
    assert ring.get_model_info("one:m1").max_output is None
    assert server.asked == []
    state = await ring.refresh_registry()
    assert (state.origin, state.models, state.changed) == (url, 1, True)
    assert server.asked == ["index.json", "one.json"]
    assert ring.get_model_info("one:m1").max_output == 64
    assert make_ring(registry_url=url, transport=transport).get_model_info("one:m1").max_output == 64
    server.files["one.json"] = registry_file("one", {"m1": {"max_output": fact(1)}}, "2026-10-01")
    with pytest.raises(RegistryRollbackError, match="allow_rollback"):
        await ring.refresh_registry()
    assert ring.get_model_info("one:m1").max_output == 64
    await ring.refresh_registry(allow_rollback=True)
    assert ring.get_model_info("one:m1").max_output == 1


@pytest.mark.spec("U23")
async def test_a_closed_ring_and_one_without_an_address_refresh_nothing(make_ring: MakeRing) -> None:
    ring = make_ring()
    with pytest.raises(ConfigurationError, match="LLMRING_REGISTRY_URL"):
        await ring.refresh_registry()
    await ring.close()
    with pytest.raises(ServiceClosedError):
        await ring.refresh_registry()


@pytest.mark.spec("U23")
def test_a_plain_http_address_is_refused_but_through_a_transport_that_allows_it(make_ring: MakeRing) -> None:
    with pytest.raises(ConfigurationError, match="registry_url"):
        make_ring(registry_url="http://127.0.0.1:1")


@pytest.mark.spec("U23")
def test_the_registry_is_named_by_the_environment_too_but_the_cache_not_by_a_repositorys_file(
    make_ring: MakeRing, registry: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: Path, caplog: Any
) -> None:
    monkeypatch.setenv("LLMRING_REGISTRY_URL", str(registry))
    assert make_ring().get_model_info("one:m1").max_output == 100
    (clean_environment / ".env").write_text("LLMRING_CACHE_DIR=poisoned\nXDG_CACHE_HOME=poisoned\n")
    make_ring()
    assert "LLMRING_CACHE_DIR is not taken from ./.env" in caplog.text
    assert "XDG_CACHE_HOME is not taken from ./.env" in caplog.text
