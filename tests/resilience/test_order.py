"""Which model of a pool is asked first, and which comes after a failure: weights, a preferred model, and the pool's own order."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, Message, OpenAIOptions
from llmring.exceptions import (
    ConfigurationError,
    InvalidRequestError,
    ProviderAuthenticationError,
    ProviderResponseError,
)
from llmring.resilience.policy import RetryPolicy
from llmring.testing import Answer, FakeClock, FakeProvider, Fault

LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "pool"
models = ["one:a", "two:b", "three:c"]

[[profiles.default.bindings]]
alias = "pair"
models = ["one:a", "two:b"]

[[profiles.default.bindings]]
alias = "alone"
models = ["one:a"]
"""
MakeRing = Callable[..., LLMRing]


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, fake_clock: FakeClock, tmp_path: Path) -> AsyncIterator[MakeRing]:
    """Makes rings of a seeded random; the model's name is its answer. Every ring is closed at the end."""
    lock = tmp_path / "llmring.lock"
    lock.write_text(LOCK)
    fake_provider.script(lambda received: Answer(received.model or ""))
    async with AsyncExitStack() as stack:

        def make(**given: Any) -> LLMRing:
            declared: dict[str, Any] = {
                name: {"base_url": fake_provider.base_url, "api_key": f"sk-{name}-0123456789"}
                for name in ("one", "two", "three")
            }
            declared |= given.pop("providers", {})
            settings: dict[str, Any] = {"lockfile_path": lock, "clock": fake_clock, "random": Random("order"), **given}
            ring = LLMRing(providers=declared, **settings)
            stack.push_async_callback(ring.close)
            return ring

        yield make


async def ask(ring: LLMRing, request: LLMRequest | str = "pool", times: int = 1) -> str:
    """Who answered each call, a letter each."""
    if isinstance(request, str):
        request = LLMRequest(model=request, messages="Hi")
    return "".join([(await ring.chat(request)).content for _ in range(times)])


@pytest.mark.spec("A06")
async def test_weights_draw_which_model_is_asked_first(make_ring: MakeRing) -> None:
    shares = Counter(await ask(make_ring(weights={"pool": (3, 1, 0)}), times=400))
    # Three standard deviations of 400 draws are 26.
    assert abs(shares["a"] - 300) <= 26
    assert shares["a"] + shares["b"] == 400
    assert await ask(make_ring(weights={"pool": (3, 1, 0)}), "pair", times=5) == "aaaaa"


@pytest.mark.spec("A06")
async def test_the_same_seed_draws_the_same(make_ring: MakeRing) -> None:
    weights = {"pool": (1, 1, 1)}
    assert await ask(make_ring(weights=weights), times=20) == await ask(make_ring(weights=weights), times=20)


@pytest.mark.spec("A06")
async def test_a_model_that_is_refused_is_left_out_for_a_while_and_then_probed(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    """401 once on A, then OK: later calls reach A again after the cool-off."""
    ring = make_ring(weights={"pair": (1, 1)})
    fake_provider.script(Fault.status(401), Answer("a"), model="a")
    assert await ask(ring, "pair", times=30) == "b" * 30
    assert [received.model for received in fake_provider.received].count("a") == 1
    fake_clock.advance(59)
    assert await ask(ring, "pair", times=10) == "b" * 10
    fake_clock.advance(1)
    later = Counter(await ask(ring, "pair", times=40))
    assert later["a"] >= 10
    assert later["b"] >= 10


@pytest.mark.spec("A06")
@pytest.mark.parametrize("status", [403, 404, 500])
async def test_what_fails_at_one_model_goes_to_another(
    status: int, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(status), model="a")
    assert await ask(make_ring(weights={"pair": (1, 1)}), "pair", times=20) == "b" * 20


@pytest.mark.spec("A06")
async def test_the_callers_own_mistake_goes_to_nobody_else(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.status(400))
    with pytest.raises(InvalidRequestError):
        await ask(make_ring(weights={"pool": (1, 1, 1)}))
    assert len(fake_provider.received) == 1


@pytest.mark.spec("A06")
async def test_whoever_is_drawn_the_lock_says_who_is_meant(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    """Options of the vendor of the pool's first model: whoever else is drawn has to do without them."""
    anthropic = {"dialect": "anthropic_messages", "base_url": fake_provider.base_url_of("anthropic_messages")}
    providers = {"one": {"like": "openai", "base_url": fake_provider.base_url, "api_key": "sk-one-0123456789"}}
    providers["two"] = {"like": "anthropic", **anthropic, "api_key": "sk-two-0123456789"}
    ring = make_ring(weights={"pair": (0, 1)}, providers=providers)
    response = await ring.chat(
        LLMRequest(model="pair", messages="Hi", max_tokens=9, provider_options=OpenAIOptions(store=False))
    )
    assert response.content == "b"
    assert any("provider_options was left out" in warning for warning in response.warnings)


@pytest.mark.parametrize("weights", [(), (0, 0), (1, -1), (1, float("inf")), (True, 1), "31", ("3", 1)])
def test_weights_that_are_none_are_refused_where_they_are_given(weights: Any, make_ring: MakeRing) -> None:
    with pytest.raises(ConfigurationError, match="weights of alias 'pool'"):
        make_ring(weights={"pool": weights})


@pytest.mark.spec("A06")
async def test_weights_that_do_not_fit_the_pool_are_an_error_before_anything_is_sent(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(weights={"pool": (3, 1), "alone": (3, 1)})
    with pytest.raises(ConfigurationError, match="has 3 models"):
        await ask(ring)
    assert not fake_provider.received
    assert await ask(ring, "alone") == "a"  # nothing to choose from
    assert await ask(ring, "two:b") == "b"


# Preferring ---------------------------------------------------------------------------------------------------------


@pytest.mark.spec("B14")
async def test_a_preferred_model_is_asked_first_and_the_others_stand_by_in_their_order(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring()
    request = LLMRequest(model="pool", messages="Hi", prefer_model="three:c")
    assert await ask(ring, request) == "c"
    fake_provider.script(Fault.status(404), model="c")
    fake_provider.script(Fault.status(404), model="a")
    response = await ring.chat(request)
    assert (response.content, [attempt["model"] for attempt in response.attempts]) == ("b", ["c", "a"])
    assert [received.model for received in fake_provider.received] == ["c", "c", "a", "b"]


@pytest.mark.spec("B14")
async def test_a_conversation_stays_with_the_model_that_answered_last(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    ring = make_ring()
    said: list[Message | str] = ["Hi"]
    assert await ask(ring, LLMRequest(model="pool", messages=said, prefer_model="last")) == "a"
    fake_provider.script(Fault.status(404), Answer("a"), model="a")
    for expected in "bbb":
        response = await ring.chat(LLMRequest(model="pool", messages=said, prefer_model="last"))
        assert response.content == expected
        # As it would come back from wherever conversations are kept.
        said += [Message.from_dict(response.to_message().to_dict()), "And?"]
        fake_clock.advance(61)  # `a` might be asked again
    assert await ask(ring, LLMRequest(model="pool", messages=said)) == "a"
    assert "model" not in fake_provider.received[-1].body["messages"][1]
    assert [message["content"] for message in fake_provider.received[-1].body["messages"][:2]] == ["Hi", "b"]


@pytest.mark.spec("B14")
async def test_a_preferred_model_that_rests_is_passed_over(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    ring = make_ring()
    ring.isolate("two:b")
    request = LLMRequest(model="pool", messages=["Hi", Message(role="assistant", content="b", model="two:b"), "?"])
    assert await ask(ring, request.model_copy(update={"prefer_model": "last"})) == "a"
    ring.restore("two:b")
    assert await ask(ring, request.model_copy(update={"prefer_model": "last"})) == "b"


@pytest.mark.spec("B14")
@pytest.mark.parametrize("last", [None, "four:d", "nonsense"])
async def test_a_last_model_that_is_not_known_or_not_in_the_pool_changes_nothing(
    last: str | None, make_ring: MakeRing
) -> None:
    said = ["Hi", Message(role="assistant", content="x", model=last), "?"]
    assert await ask(make_ring(), LLMRequest(model="pool", messages=said, prefer_model="last")) == "a"


@pytest.mark.spec("B14")
async def test_a_preferred_model_that_is_not_in_the_pool_is_an_error(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring()
    for name in ("four:d", "a"):
        with pytest.raises(ConfigurationError, match=r"not in the pool of 'pool'.*one:a, two:b, three:c"):
            await ask(ring, LLMRequest(model="pool", messages="Hi", prefer_model=name))
    assert not fake_provider.received


@pytest.mark.spec("B14", "A06")
async def test_a_preference_wins_over_weights_and_explain_shows_the_order(make_ring: MakeRing) -> None:
    ring = make_ring(weights={"pool": (3, 1, 0)})
    request = LLMRequest(model="pool", messages="Hi", prefer_model="three:c")
    assert await ask(ring, request, times=5) == "ccccc"
    told = ring.explain("pool")
    assert (told["weights"], told["preferred"]) == ([3, 1, 0], None)
    assert [member["role"] for member in told["candidates"]] == [
        "tried first in 75% of calls",
        "tried first in 25% of calls",
        "stands by",
    ]
    told = ring.explain(request)
    assert told["preferred"] == "three:c"
    assert [member["role"] for member in told["candidates"]] == ["stands by", "stands by", "tried first"]


# After a failure ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("B13")
async def test_an_error_goes_to_the_other_model_and_the_response_says_so(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(500), model="a")
    response = await make_ring().chat("pair", "Hi")
    assert (response.content, response.called_model) == ("b", "two:b")
    ((attempt),) = response.attempts
    assert (attempt["provider"], attempt["model"], attempt["status"]) == ("one", "a", 500)
    assert attempt["error"] == "ProviderResponseError"
    assert [received.model for received in fake_provider.received] == ["a", "b"]


@pytest.mark.spec("B13")
async def test_where_there_is_no_other_model_the_same_is_asked_again_or_nobody(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(retry=RetryPolicy(attempts=2, backoff_s=0))
    fake_provider.script(Fault.status(500), Answer("a"), model="a")
    assert await ask(ring, "alone") == "a"
    fake_provider.script(Fault.status(500), model="a")
    with pytest.raises(ProviderResponseError) as caught:
        await ask(ring, "alone")
    assert [attempt.model for attempt in caught.value.attempts] == ["a", "a"]
    fake_provider.script(Fault.status(401), model="a")
    with pytest.raises(ProviderAuthenticationError) as refused:
        await ask(ring, "alone")
    assert len(refused.value.attempts) == 1
    assert len(fake_provider.received) == 5
