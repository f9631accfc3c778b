"""The key by which a gateway knows a call again: the same over all its attempts, another one for another call, and sent where asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from llmring import LLMRequest, LLMRing, ProviderOptions
from llmring.exceptions import ConfigurationError, InvalidRequestError
from llmring.providers.declared import Trust, declare
from llmring.resilience.policy import RetryPolicy
from llmring.schemas.request import RequestOptions
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
HEADER = "Idempotency-Key"
EAGER = RetryPolicy(backoff_s=0.0)


def gateway(fake: FakeProvider, **given: Any) -> dict[str, Any]:
    return {"base_url": fake.base_url, "api_key": "k" * 20, "idempotency_header": HEADER, **given}


def sent(fake: FakeProvider) -> list[str | None]:
    return [received.headers.get(HEADER.lower()) for received in fake.received]


async def ask(ring: LLMRing, stream: bool, request: LLMRequest) -> None:
    if not stream:
        await ring.chat(request)
        return
    async for _ in ring.chat_stream(request):
        pass


both = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])


@pytest.mark.spec("B10")
@both
@pytest.mark.parametrize("own", [None, "order 7"])
async def test_every_attempt_of_a_call_has_one_key_and_another_call_another(
    make_ring: MakeRing, fake_provider: FakeProvider, own: str | None, stream: bool
) -> None:
    ring = make_ring(providers={"one": gateway(fake_provider)}, retry=EAGER)
    request = LLMRequest(model="one:m1", messages="Hi", idempotency_key=own)
    for _ in range(2):
        fake_provider.script(Fault.status(500), Fault.reset(), Answer("At last."))
        await ask(ring, stream, request)
    keys = sent(fake_provider)
    first, second = set(keys[:3]), set(keys[3:])
    assert (len(keys), len(first), len(second)) == (6, 1, 1)
    if own is not None:
        assert first == second == {own}
        return
    assert first != second
    assert UUID(keys[0]).version == 4
    assert request.idempotency_key is None, "the caller's request is not changed"


async def test_no_provider_gets_a_key_unasked(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(providers={"two": gateway(fake_provider)})
    fake_provider.script(Fault.status(500), Answer())
    await ring.chat(LLMRequest(model="pool", messages="Hi", idempotency_key="order-7"))
    assert [received.model for received in fake_provider.received] == ["m1", "m2"]
    assert sent(fake_provider) == [None, "order-7:m2"]
    assert not any("order-7" in received.raw.decode() for received in fake_provider.received)


async def test_another_key_of_the_provider_gets_the_same_and_another_model_its_own(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_A", "sk-aaaa-0123456789abcdef")
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    one = {"base_url": fake_provider.base_url, "keys": ["KEY_A", "KEY_B"], "idempotency_header": HEADER}
    two = gateway(fake_provider, idempotency_header="X-Request-Key")
    ring = make_ring(providers={"one": one, "two": two})
    fake_provider.script(Fault.status(401), Fault.status(500), Answer())
    await ring.chat("pool", "Hi")
    first, second, third = fake_provider.received
    assert first.headers["authorization"] != second.headers["authorization"]
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    # Another body: a server that holds a key to one body would refuse it.
    assert third.headers["x-request-key"] == first.headers["idempotency-key"] + ":m2"
    assert "idempotency-key" not in third.headers


async def test_a_hedge_has_the_key_of_the_call(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    providers = {"one": gateway(fake_provider), "two": gateway(fake_provider)}
    ring = make_ring(providers=providers, clock=fake_clock, retry=RetryPolicy(hedge=True))
    fake_provider.script(Fault.hang(Answer("known")))
    tasks = [asyncio.create_task(ring.chat("pool", "Hi")) for _ in range(40)]
    await fake_provider.wait_held(40)
    fake_clock.advance(1)
    fake_provider.release()
    await asyncio.gather(*tasks)
    assert len(set(sent(fake_provider))) == 40, "each call has a key of its own"
    fake_provider.received.clear()
    fake_provider.script(Fault.hang(), model="m1")
    fake_provider.script(Answer("from the sibling"), model="m2")
    asked = asyncio.create_task(ring.chat("pool", "Hi"))
    await fake_provider.wait_held()
    fake_clock.advance(1.1)
    assert (await asked).content == "from the sibling"
    first, second = sent(fake_provider)
    assert second == f"{first}:m2"


async def test_a_stream_that_is_begun_anew_is_the_same_call(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring(providers={"one": gateway(fake_provider), "two": gateway(fake_provider)})
    fake_provider.script(Fault.cut(4, answer=Answer("one two three four five")), model="m1")
    async for _ in ring.chat_stream("pool", "Hi", on_interrupt="restart"):
        pass
    first, second = sent(fake_provider)
    assert second == f"{first}:m2"


@pytest.mark.parametrize("own", ["k" * 255, "k" * 253])
async def test_a_key_that_grows_too_long_is_a_hash_of_itself(
    make_ring: MakeRing, fake_provider: FakeProvider, own: str
) -> None:
    ring = make_ring(providers={"one": gateway(fake_provider), "two": gateway(fake_provider)}, retry=EAGER)
    for _ in range(2):
        fake_provider.script(Fault.status(500), model="m1")
        await ring.chat(LLMRequest(model="pool", messages="Hi", idempotency_key=own))
    keys = sent(fake_provider)
    assert keys == [own, keys[1]] * 2
    assert len(keys[1] or "") == 64


@pytest.mark.parametrize("where", ["request", "ring"])
async def test_a_header_that_the_caller_sets_wins(make_ring: MakeRing, fake_provider: FakeProvider, where: str) -> None:
    headers = {"idempotency-KEY": "mine"}
    defaults = RequestOptions(extra_headers=headers) if where == "ring" else None
    ring = make_ring(providers={"one": gateway(fake_provider)}, defaults=defaults)
    request = LLMRequest(
        model="one:m1",
        messages="Hi",
        idempotency_key="order-7",
        extra_headers=headers if where == "request" else None,
    )
    await ring.chat(request)
    assert sent(fake_provider) == ["mine"]


async def test_a_provider_that_is_called_by_itself_gets_it_too(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(providers={"one": gateway(fake_provider)})
    await ring.get_provider("one").chat(LLMRequest(model="m1", messages="Hi", idempotency_key="order-7"))
    assert sent(fake_provider) == ["order-7"]


@pytest.mark.parametrize(
    "dialect", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "ollama_chat"]
)
async def test_each_dialect_sends_it_beside_its_own_headers(fake_provider: FakeProvider, dialect: str) -> None:
    base_url = fake_provider.base_url_of(dialect)
    providers = {"mine": gateway(fake_provider, base_url=base_url, dialect=dialect)}
    async with LLMRing(providers=providers) as ring:
        for key in ("first", "second"):  # nothing of the first call's may stay in a dialect
            await ring.chat(LLMRequest(model="mine:m", messages="Hi", idempotency_key=key))
    assert sent(fake_provider) == ["first", "second"]


async def test_embeddings_have_a_key_of_the_call_and_a_count_never_has_the_chats(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    one = gateway(fake_provider, dialect="anthropic_messages", base_url=fake_provider.base_url_of("anthropic_messages"))
    ring = make_ring(providers={"two": gateway(fake_provider), "one": one}, retry=EAGER)
    fake_provider.script(Fault.status(500), Answer())
    await ring.embed("two:m2", "Hi")
    await ring.embed("two:m2", "Hi")
    first, again, other = sent(fake_provider)
    assert first == again != other
    assert UUID(first).version == 4
    fake_provider.received.clear()
    request = LLMRequest(model="one:m1", messages="Hi", idempotency_key="order-7")
    await ring.count_tokens(request)
    await ring.chat(request)
    count, chat = sent(fake_provider)
    assert chat == "order-7"
    assert count not in (None, "order-7"), (
        "another body under the same key: a gateway refuses it, or answers the chat with the count"
    )


async def test_a_key_that_is_refused_as_used_is_the_callers_mistake(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(providers={"one": gateway(fake_provider)}, retry=EAGER)
    fake_provider.script(Fault.status(422, "Idempotency key reused with a different payload."))
    with pytest.raises(InvalidRequestError, match="reused"):
        await ring.chat(LLMRequest(model="one:m1", messages="Hi", idempotency_key="order-7"))
    assert len(fake_provider.received) == 1


def test_explain_tells_the_requests_own(fake_provider: FakeProvider) -> None:
    ring = LLMRing(providers={"one": gateway(fake_provider)})
    told = ring.explain(LLMRequest(model="one:m1", messages="Hi", idempotency_key="order-7"))
    assert told["options"]["idempotency_key"] == {"value": "order-7", "layer": "request"}


@pytest.mark.spec("Z02")
@pytest.mark.parametrize("trust", list(Trust), ids=lambda trust: trust.name)
def test_code_plugins_and_files_may_name_the_header(trust: Trust) -> None:
    assert declare("acme", {"base_url": "https://a.example"}, trust).row.idempotency_header is None
    given = {"base_url": "https://a.example", "idempotency_header": HEADER}
    assert declare("acme", given, trust).row.idempotency_header == HEADER


@pytest.mark.spec("Z02")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"idempotency_header": ""}, "no name of a header"),
        ({"idempotency_header": "A B"}, "no name of a header"),
        ({"idempotency_header": "A:"}, "no name of a header"),
        ({"idempotency_header": "A\n"}, "no name of a header"),
        ({"idempotency_header": 5}, "idempotency_header has the wrong type"),
        ({"idempotency_header": "authorization"}, "says something else"),
        ({"idempotency_header": "X-Api-Key"}, "says something else"),
        ({"idempotency_header": "Host"}, "says something else"),
        ({"idempotency_header": "content-type"}, "says something else"),
        ({"idempotency_header": "User-Agent"}, "says something else"),
        ({"idempotency_header": "anthropic-version"}, "says something else"),
        ({"idempotency_header": "x-key", "auth": "header:X-Key"}, "says something else"),
        ({"idempotency_header": "x-team", "extra_headers": {"X-Team": "a"}}, "says something else"),
        ({"idempotency_header": "OpenAI-organization", "organization": "a"}, "says something else"),
    ],
)
def test_what_is_no_header_of_its_own_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        declare("acme", {"base_url": "https://a.example", **options}, Trust.CODE)


def test_headers_of_a_known_provider_are_refused_as_well() -> None:
    for name, header in (("google", "x-goog-api-key"), ("azure", "api-key"), ("openai", "OpenAI-Project")):
        with pytest.raises(ConfigurationError, match="says something else"):
            declare(name, ProviderOptions(idempotency_header=header), Trust.CODE)
