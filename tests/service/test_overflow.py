"""A prompt that does not fit: the caller's to know, unless the policy goes on to a model of the pool that holds more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.service.asking import ask

from llmring import LLMRing
from llmring.exceptions import (
    ConfigurationError,
    ContextLengthError,
    InvalidRequestError,
    ProviderError,
    ProviderResponseError,
)
from llmring.resilience.policy import RetryPolicy
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]
GROWS = RetryPolicy(attempts=1, max_rate_limit_wait_s=0, on_overflow="larger_window")
TOO_LONG = Fault.status(400, "Too long.", code="context_length_exceeded")
TOO_LARGE = Fault.status(413, "Too large.", code="context_length_exceeded")
BODY = b'{"error": {"message": "Too long.", "code": "context_length_exceeded"}}'
LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "pool"
models = ["one:m1", "two:m2", "three:m3"]
"""

both = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "plain"])


@pytest.fixture
def sized(make_ring: MakeRing, tmp_path: Path) -> MakeRing:
    """Rings over a pool of three whose windows are given, each as the keys of its row in the lock."""

    def make(*windows: str, **given: Any) -> LLMRing:
        path = tmp_path / "sized.lock"
        names = ("one:m1", "two:m2", "three:m3")
        rows = [f'\n[[locked]]\nid = "{name}"\n{window}\n' for name, window in zip(names, windows, strict=True)]
        path.write_text(LOCK + "".join(rows))
        return make_ring(lockfile_path=path, **{"retry": GROWS, **given})

    return make


def asked(fake: FakeProvider) -> list[str | None]:
    return [received.model for received in fake.received]


@pytest.mark.parametrize("fault", [TOO_LONG, TOO_LARGE], ids=["400", "413"])
@both
async def test_the_next_model_that_is_known_to_hold_more_is_asked(
    sized: MakeRing, fake_provider: FakeProvider, stream: bool, fault: Fault
) -> None:
    ring = sized("max_input = 1000", "max_input = 1000", "max_input = 2000")
    fake_provider.script(fault, model="m1")
    response = await ask(ring, stream)
    assert (response.called_model, asked(fake_provider)) == ("three:m3", ["m1", "m3"])
    (attempt,) = response.attempts
    assert (attempt["model"], attempt["error"], attempt["status"]) == ("m1", "ContextLengthError", fault.http_status)


@both
async def test_an_overflow_inside_a_200_is_one_until_the_first_content(
    sized: MakeRing, fake_provider: FakeProvider, stream: bool
) -> None:
    ring = sized("max_input = 1000", "max_input = 2000", "")
    fake_provider.script(Fault.error_in_stream(0, "Too long.", code="context_length_exceeded"), model="m1")
    assert (await ask(ring, stream)).called_model == "two:m2"
    if not stream:
        return
    fake_provider.received.clear()
    fake_provider.script(Fault.error_in_stream(3, "Too long.", code="context_length_exceeded"), model="m1")
    with pytest.raises(ProviderError):
        await ask(ring, stream)
    assert asked(fake_provider) == ["m1"], "what the caller has seen is not begun anew unasked"


async def test_it_counts_against_nobody(sized: MakeRing, fake_provider: FakeProvider) -> None:
    ring = sized("max_input = 1000", "max_input = 2000", "max_input = 3000")
    fake_provider.script(TOO_LONG, model="m1")
    for _ in range(30):
        await ask(ring)
    assert asked(fake_provider) == ["m1", "m2"] * 30
    assert all(gate.state == "closed" for target in ring.health().targets for gate in target.gates)
    assert all(target.available and not target.in_flight for target in ring.health().targets)


@pytest.mark.parametrize(
    ("windows", "models"),
    [
        (("max_input = 1000", "context_window = 1500", "max_input = 3000"), ["m1", "m2"]),
        (("max_input = 1000", "", "max_input = 3000"), ["m1", "m3"]),
        (
            ("context_window = 5000\nmax_input = 1000", "max_input = 900\ncontext_window = 9000", "max_input = 1001"),
            ["m1", "m3"],
        ),
    ],
    ids=["either fact", "unknown is passed over", "the smaller of both"],
)
async def test_which_window_is_larger(
    sized: MakeRing, fake_provider: FakeProvider, windows: tuple[str, ...], models: list[str]
) -> None:
    ring = sized(*windows)
    fake_provider.script(TOO_LONG, model="m1")
    await ask(ring)
    assert asked(fake_provider) == models


async def test_it_goes_on_as_long_as_there_is_a_larger_one_and_then_raises(
    sized: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = sized("max_input = 1000", "max_input = 2000", "max_input = 3000")
    fake_provider.script(TOO_LONG)
    with pytest.raises(ContextLengthError) as caught:
        await ask(ring)
    error = caught.value
    assert asked(fake_provider) == ["m1", "m2", "m3"]
    assert [(attempt.model, attempt.error) for attempt in error.attempts] == [
        (model, "ContextLengthError") for model in ("m1", "m2", "m3")
    ]
    assert error.model == "m3"
    assert "no model of the pool is known to hold more: one:m1 (1,000 tokens), two:m2 (2,000 tokens)" in str(error)


@both
async def test_unasked_it_ends_the_call_and_names_the_setting_that_would_have_helped(
    sized: MakeRing, fake_provider: FakeProvider, stream: bool
) -> None:
    ring = sized("max_input = 1000", "", "max_input = 2000", retry=RetryPolicy())
    fake_provider.script(TOO_LONG, model="m1")
    with pytest.raises(ContextLengthError, match="shorten the messages") as caught:
        await ask(ring, stream)
    assert asked(fake_provider) == ["m1"]
    hint = "RetryPolicy(on_overflow='larger_window') goes on to a model of the pool that holds more: three:m3 (2,000 tokens)"
    assert hint in str(caught.value)
    assert (await ask(ring, stream, retry=GROWS)).called_model == "three:m3"


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        (
            ("max_input = 2000", "max_input = 1000", ""),
            "one:m1 (2,000 tokens), two:m2 (1,000 tokens), three:m3 (unknown)",
        ),
        (
            ("", "max_input = 1000", "max_input = 9000"),
            "one:m1 (unknown), two:m2 (1,000 tokens), three:m3 (9,000 tokens)",
        ),
    ],
    ids=["none is larger", "its own is unknown"],
)
async def test_where_none_is_known_to_be_larger_the_windows_are_told(
    sized: MakeRing, fake_provider: FakeProvider, windows: tuple[str, ...], told: str
) -> None:
    for retry in (GROWS, RetryPolicy()):
        fake_provider.script(TOO_LONG, model="m1")
        fake_provider.received.clear()
        with pytest.raises(ContextLengthError) as caught:
            await ask(sized(*windows, retry=retry))
        assert asked(fake_provider) == ["m1"]
        assert f"no model of the pool is known to hold more: {told}" in str(caught.value)


async def test_a_pool_of_one_hears_nothing_of_pools(sized: MakeRing, fake_provider: FakeProvider) -> None:
    ring = sized("max_input = 1000", "", "")
    fake_provider.script(TOO_LONG)
    with pytest.raises(ContextLengthError) as caught:
        await ask(ring, model="one:m1")
    assert caught.value.hint == "shorten the messages, or use a model with a larger context window"


async def test_any_other_refusal_of_the_request_ends_the_call(sized: MakeRing, fake_provider: FakeProvider) -> None:
    ring = sized("max_input = 1000", "max_input = 2000", "max_input = 3000")
    fake_provider.script(Fault.status(400, "No."), model="m1")
    with pytest.raises(InvalidRequestError):
        await ask(ring)
    assert asked(fake_provider) == ["m1"]


async def test_what_kept_the_larger_one_from_answering_is_what_is_raised(
    sized: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = sized("max_input = 1000", "max_input = 1000", "max_input = 2000")
    fake_provider.script(TOO_LONG, model="m1")
    fake_provider.script(Fault.status(503), model="m3")
    with pytest.raises(ProviderResponseError) as caught:
        await ask(ring)
    assert [(a.model, a.status) for a in caught.value.attempts] == [("m1", 400), ("m3", 503)]
    # One that was not asked at all says less than the overflow.
    ring.isolate("three", "in repair")
    with pytest.raises(ContextLengthError, match="three:m3 \\(2,000 tokens\\): `attempts` says why") as overflow:
        await ask(ring)
    assert [(a.model, a.error) for a in overflow.value.attempts] == [
        ("m1", "ContextLengthError"),
        ("m3", "CircuitBreakerError"),
    ]


async def test_it_costs_an_attempt_of_the_call(sized: MakeRing, fake_provider: FakeProvider) -> None:
    retry = RetryPolicy(attempts_per_call=1, on_overflow="larger_window")
    ring = sized("max_input = 1000", "max_input = 2000", "max_input = 3000", retry=retry)
    fake_provider.script(TOO_LONG, model="m1")
    with pytest.raises(ContextLengthError):
        await ask(ring)
    assert asked(fake_provider) == ["m1"]


async def test_a_larger_one_that_failed_before_is_asked_again_after_its_pause(
    sized: MakeRing, fake_provider: FakeProvider
) -> None:
    retry = RetryPolicy(attempts=2, backoff_s=0.0, on_overflow="larger_window")
    ring = sized("max_input = 3000", "max_input = 1000", "max_input = 500", retry=retry)
    fake_provider.script(Fault.status(500), Answer("at the second try"), model="m1")
    fake_provider.script(TOO_LONG, model="m2")
    assert (await ask(ring)).content == "at the second try"
    assert asked(fake_provider) == ["m1", "m2", "m1"]


async def test_another_key_of_the_same_model_holds_no_more(
    sized: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KEY_A", "KEY_B"):
        monkeypatch.setenv(name, f"sk-{name}-0123456789abcdef")
    one = {"base_url": fake_provider.base_url, "keys": ["KEY_A", "KEY_B"]}
    ring = sized("max_input = 1000", "max_input = 2000", "", providers={"one": one})
    fake_provider.script(TOO_LONG, model="m1")
    await ask(ring)
    assert asked(fake_provider) == ["m1", "m2"]


@both
async def test_a_hedged_call_waits_for_the_second_where_the_first_overflows(
    sized: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock, stream: bool
) -> None:
    retry = RetryPolicy(hedge=True, on_overflow="larger_window")
    ring = sized("max_input = 1000", "max_input = 2000", "max_input = 3000", retry=retry, clock=fake_clock)
    fake_provider.script(Fault.hang())
    tasks = [asyncio.create_task(ask(ring, stream)) for _ in range(40)]
    await fake_provider.wait_held(40)
    fake_clock.advance(1)
    fake_provider.release()
    await asyncio.gather(*tasks)
    fake_provider.received.clear()
    first, second = asyncio.Event(), asyncio.Event()
    headers = {"content-type": "application/json", "content-length": str(len(BODY))}
    fake_provider.script(Exact(400, headers=headers, chunks=[first, BODY]), model="m1")
    fake_provider.script(Answer("from the larger one", gate=second), model="m2")
    call = asyncio.create_task(ask(ring, stream))
    await fake_provider.wait_received(41)
    fake_clock.advance(1.1)
    await fake_provider.wait_received(42)
    first.set()
    while any(target.in_flight for target in ring.health().targets if target.model == "m1"):
        await asyncio.sleep(0)
    second.set()
    response = await call
    assert response.content == "from the larger one"
    assert [(attempt["model"], attempt["error"]) for attempt in response.attempts] == [("m1", "ContextLengthError")]
    assert asked(fake_provider) == ["m1", "m2"], "neither is asked twice"


def test_the_policy_takes_two_words() -> None:
    assert RetryPolicy().on_overflow == "raise"
    with pytest.raises(ConfigurationError, match="on_overflow: 'grow'"):
        RetryPolicy(on_overflow="grow")  # pyright: ignore[reportArgumentType]
