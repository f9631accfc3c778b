"""How often a call is sent and when: attempts, pauses, hints, each attempt's own clock, and what one call says against its ring."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from llmring import EmbeddingOptions, LLMRequest, LLMRing, RequestOptions, RetryPolicy, Timeouts
from llmring.exceptions import LLMRingError, ProviderError, ProviderRateLimitError, ProviderTimeoutError
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault
from llmring.testing.dialects import SERVER_DIALECTS
from llmring.testing.fake_provider import Received
from llmring.testing.steps import Step

T = TypeVar("T")
MakeRing = Callable[..., LLMRing]

NO_HURRY = Timeouts(connect=1000, first_token=1000, idle=1000, total=1000)
WAITS_END_S = 900.0
DIALECTS = [dialect.name for dialect in SERVER_DIALECTS if dialect.speaks_chat]


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, fake_clock: FakeClock) -> AsyncIterator[MakeRing]:
    async with AsyncExitStack() as stack:

        def make(dialect: str = "openai_chat", **given: Any) -> LLMRing:
            one = {"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "auth": "none"}
            ring = LLMRing(clock=fake_clock, providers={"one": one}, dotenv=False, **given)
            stack.push_async_callback(ring.close)
            return ring

        yield make


class Times(list[float]):
    """When requests came, by the fake clock, in seconds since the first."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def noting(self, step: Step) -> Callable[[Received], Any]:
        def note(received: Received) -> Any:
            self.append(self._clock.monotonic())
            return step(received) if callable(step) else step

        return note

    @property
    def pauses(self) -> list[float]:
        return [after - before for before, after in pairwise(self)]


async def skip_waits(call: Awaitable[T], clock: FakeClock, *, most_s: float = WAITS_END_S, least_s: float = 0) -> T:
    """The call's result; the clock jumps over waits between attempts, which last least_s to most_s, and never over another clock."""
    task = asyncio.ensure_future(call)
    while not task.done():
        await asyncio.sleep(0)
        due = clock.next_timer
        if due is not None and least_s <= due - clock.monotonic() <= most_s:
            clock.advance(due - clock.monotonic())
    return task.result()


def request(**given: Any) -> LLMRequest:
    return LLMRequest.model_validate({"model": "one:m1", "messages": "Hi", "timeout": NO_HURRY, **given})


async def attempts_of(
    call: Awaitable[object], clock: FakeClock, *, most_s: float = WAITS_END_S, least_s: float = 0
) -> LLMRingError:
    with pytest.raises(LLMRingError) as caught:
        await skip_waits(call, clock, most_s=most_s, least_s=least_s)
    return caught.value


async def drain(ring: LLMRing, asked: LLMRequest) -> None:
    async for _ in ring.chat_stream(asked):
        pass


# Attempts and pauses ------------------------------------------------------------------------------------------------


@pytest.mark.spec("B10", "B12")
async def test_three_attempts_with_a_random_part_of_a_pause_that_doubles(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    pauses: list[list[float]] = []
    for _ in range(40):  # rings of their own: the pauses are random, and the breaker is not asked here
        times = Times(fake_clock)
        fake_provider.script(times.noting(Fault.status(500)))
        await attempts_of(make_ring().chat(request()), fake_clock)
        assert len(times) == 3
        pauses.append(times.pauses)
    for number, base_s in enumerate((0.25, 0.5)):
        seen = [pause[number] for pause in pauses]
        assert all(0 <= pause <= base_s for pause in seen)
        assert min(seen) < base_s / 3 < 2 * base_s / 3 < max(seen), "full jitter: anything up to the whole"


@pytest.mark.spec("B10")
@pytest.mark.parametrize("retry_after", [None, "0", "0.2", "7"])
async def test_a_call_that_must_not_be_sent_twice_is_sent_once(
    retry_after: str | None, make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    """As the page says. An attempt alone is not enough: a pause that a server asks for burns none."""
    fake_provider.script(Fault.status(429, headers={} if retry_after is None else {"retry-after": retry_after}))
    once = RetryPolicy(attempts=1, attempts_per_call=1, max_rate_limit_wait_s=0)
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    assert "sent twice | `RetryPolicy(attempts=1, attempts_per_call=1, max_rate_limit_wait_s=0)`" in page
    started = fake_clock.monotonic()
    await attempts_of(make_ring().chat(request(retry=once)), fake_clock)
    assert (len(fake_provider.received), fake_clock.monotonic() - started) == (1, 0)


@pytest.mark.spec("B10")
@pytest.mark.parametrize(
    ("status", "policy", "most_s"),
    [
        (500, RetryPolicy(attempts=6), [0.25, 0.5, 1, 2, 4]),
        (503, RetryPolicy(attempts=6), [1, 2, 4, 8, 8]),
        (500, RetryPolicy(attempts=4, backoff_s=1.0), [1, 2, 4]),
        (500, RetryPolicy(attempts=4, backoff_s=4.0, backoff_cap_s=5.0), [4, 5, 5]),
        (500, RetryPolicy(attempts=4, backoff_s=0.0), [0, 0, 0]),
        (500, RetryPolicy(attempts=9, attempts_per_call=2), [0.25]),
        (500, RetryPolicy(attempts=1), []),
    ],
)
async def test_the_policy_says_how_often_and_how_long(
    status: int,
    policy: RetryPolicy,
    most_s: list[float],
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
) -> None:
    # A breaker that never opens: five failures in a row are this test's subject, not its end.
    patient = _never_opens()
    times = Times(fake_clock)
    fake_provider.script(times.noting(Fault.status(status)))
    await attempts_of(make_ring(retry=policy, breaker=patient).chat(request()), fake_clock)
    assert len(times) == len(most_s) + 1
    assert all(pause <= most for pause, most in zip(times.pauses, most_s, strict=True))


def _never_opens() -> Any:
    from llmring.resilience.policy import BreakerPolicy

    return BreakerPolicy(consecutive_failures=1000, min_calls=1000)


RETRIED = [408, 409, 425, 429, 500, 502, 503, 504, 529]
NEVER_RETRIED = [400, 401, 403, 404, 413, 422]


@pytest.mark.spec("B11", "B12")
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("status", RETRIED + NEVER_RETRIED)
async def test_which_statuses_are_worth_another_attempt(
    status: int, streamed: bool, make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    fake_provider.script(Fault.status(status), Answer("late"))
    ring = make_ring()
    call = drain(ring, request()) if streamed else ring.chat(request())
    if status in RETRIED:
        await skip_waits(call, fake_clock)
        assert len(fake_provider.received) == 2
    else:
        error = await attempts_of(call, fake_clock)
        assert isinstance(error, ProviderError)
        assert error.status == status
        assert len(fake_provider.received) == 1


@pytest.mark.spec("B10")
async def test_every_attempt_sends_the_same(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    fake_provider.script(Fault.status(500), Fault.reset(), Answer("third"))
    response = await skip_waits(make_ring().chat(request(temperature=0.5)), fake_clock)
    assert response.content == "third"
    assert len({received.raw for received in fake_provider.received}) == 1
    assert len(fake_provider.received) == 3


@pytest.mark.spec("B24")
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_timeout_counts_for_each_attempt_and_is_asked_for_once_more(
    streamed: bool, make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    fake_provider.script(Fault.hang())
    ring = make_ring()
    asked = request(timeout=Timeouts(connect=1000, first_token=1, idle=1000, total=1))
    started = fake_clock.monotonic()
    task = asyncio.ensure_future(drain(ring, asked) if streamed else ring.chat(asked))
    for number in (1, 2):
        await fake_provider.wait_received(number)
        assert not task.done()
        fake_clock.advance(1)
    with pytest.raises(ProviderTimeoutError):
        await task
    assert fake_clock.monotonic() - started == 2
    assert len(fake_provider.received) == 2
    fake_provider.release()


@pytest.mark.spec("B24")
async def test_three_attempts_at_a_server_that_hangs_take_three_timeouts(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock, tmp_path: Path
) -> None:
    """At one target the table allows a second timeout and no third: so three targets, once each."""
    lock = tmp_path / "llmring.lock"
    lock.write_text(
        'version = "1.1"\ndefault_profile = "default"\n\n[profiles.default]\nname = "default"\n\n'
        '[[profiles.default.bindings]]\nalias = "pool"\nmodels = ["one:m1", "one:m2", "one:m3"]\n'
    )
    fake_provider.script(Fault.hang())
    ring = make_ring(retry=RetryPolicy(attempts=1), lockfile_path=lock)
    started = fake_clock.monotonic()
    task = asyncio.ensure_future(ring.chat(request(model="pool", timeout=1)))
    for number in (1, 2, 3):
        await fake_provider.wait_received(number)
        assert fake_clock.monotonic() - started == number - 1
        fake_clock.advance(1)
    with pytest.raises(ProviderTimeoutError):
        await task
    assert fake_clock.monotonic() - started == 3
    fake_provider.release()


@pytest.mark.spec("B24")
async def test_a_deadline_stands_over_all_attempts(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    times = Times(fake_clock)
    fake_provider.script(times.noting(Fault.status(429, headers={"retry-after": "3"})))
    started = fake_clock.monotonic()
    await attempts_of(make_ring().chat(request(deadline=10)), fake_clock, most_s=3, least_s=3)
    assert [when - started for when in times] == [0, 3, 6, 9]
    assert fake_clock.monotonic() - started <= 10


# Hints --------------------------------------------------------------------------------------------------------------

Hint = Callable[[str, FakeClock], tuple[Mapping[str, str], dict[str, Any] | None]]


def _anthropic_time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


HINTS: dict[str, tuple[tuple[str, ...], Hint]] = {
    "retry-after-ms": (tuple(DIALECTS), lambda _, clock: ({"retry-after-ms": "6500"}, None)),
    "seconds": (tuple(DIALECTS), lambda _, clock: ({"retry-after": "6.5"}, None)),
    "http-date": (
        tuple(DIALECTS),
        lambda _, clock: (
            {
                "date": formatdate(clock.now(), usegmt=True),
                "retry-after": formatdate(clock.now() + 7, usegmt=True),
            },
            None,
        ),
    ),
    "x-ratelimit-reset": (
        ("openai_chat", "openai_responses"),
        lambda _, clock: (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "6s500ms",
                "x-ratelimit-remaining-tokens": "12",
                "x-ratelimit-reset-tokens": "1m0s",
            },
            None,
        ),
    ),
    "anthropic-ratelimit": (
        ("anthropic_messages",),
        lambda _, clock: (
            {
                "date": formatdate(clock.now(), usegmt=True),
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": _anthropic_time(math.floor(clock.now()) + 7),
            },
            None,
        ),
    ),
    "RetryInfo": (
        ("gemini_generate",),
        lambda _, clock: (
            {},
            {
                "error": {
                    "code": 429,
                    "message": "Slow down.",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "6.5s"}],
                }
            },
        ),
    ),
}
FORMS = [(dialect, form) for form, (dialects, _) in HINTS.items() for dialect in dialects]


@pytest.mark.spec("B10", "B11")
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("dialect", "form"), FORMS)
async def test_no_request_goes_before_the_moment_that_the_server_named(
    dialect: str,
    form: str,
    streamed: bool,
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
) -> None:
    hint = HINTS[form][1]
    times = Times(fake_clock)

    def limited(received: Received) -> Exact | Fault:
        headers, body = hint(dialect, fake_clock)
        if body is None:
            return Fault.status(429, headers=headers)
        return Exact(429, {"content-type": "application/json", **headers}, (orjson.dumps(body),))

    fake_provider.script(times.noting(limited), times.noting(Answer("in time")))
    ring = make_ring(dialect)
    await skip_waits(drain(ring, request()) if streamed else ring.chat(request()), fake_clock)
    (pause,) = times.pauses
    assert 6.0 <= pause <= 7.0
    assert pause == pytest.approx(6.5) or form in ("http-date", "anthropic-ratelimit")


@pytest.mark.spec("B11")
async def test_a_hint_that_is_longer_than_the_call_may_wait_is_not_waited_for(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    fake_provider.script(Fault.status(429, headers={"retry-after": "31"}))
    ring = make_ring()
    started = fake_clock.monotonic()
    error = await attempts_of(ring.chat(request()), fake_clock)
    assert isinstance(error, ProviderRateLimitError)
    assert error.retry_after_s == 31
    assert fake_clock.monotonic() == started
    patient = request(retry=RetryPolicy(max_rate_limit_wait_s=31))
    fake_provider.script(Answer("at last"))
    assert (await skip_waits(ring.chat(patient), fake_clock)).content == "at last"
    assert fake_clock.monotonic() - started == 31


# What a call says itself --------------------------------------------------------------------------------------------


async def _chat(ring: LLMRing, retry: RetryPolicy | None) -> object:
    return await ring.chat(request(retry=retry))


async def _stream(ring: LLMRing, retry: RetryPolicy | None) -> object:
    return await drain(ring, request(retry=retry))


async def _embed(ring: LLMRing, retry: RetryPolicy | None) -> object:
    return await ring.embed("one:m1", "Hi", EmbeddingOptions(retry=retry, timeout=1000))


@pytest.mark.spec("B10")
@pytest.mark.parametrize("ask", [_chat, _stream, _embed])
@pytest.mark.parametrize(
    ("ring_says", "defaults_say", "call_says", "attempts"),
    [
        (None, None, None, 3),
        (2, None, None, 2),
        (2, 4, None, 4),
        (2, 4, 1, 1),
        (1, None, 4, 4),
    ],
)
async def test_a_calls_own_policy_wins_over_the_defaults_and_those_over_the_rings(
    ask: Callable[[LLMRing, RetryPolicy | None], Awaitable[object]],
    ring_says: int | None,
    defaults_say: int | None,
    call_says: int | None,
    attempts: int,
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
) -> None:
    fake_provider.script(Fault.status(500))
    ring_own, own, call_own = (None if n is None else RetryPolicy(n) for n in (ring_says, defaults_say, call_says))
    ring = make_ring(retry=ring_own, defaults=RequestOptions(retry=own))
    # Of embeddings, the connection's own 5 s stay.
    await attempts_of(ask(ring, call_own), fake_clock, most_s=4)
    assert len(fake_provider.received) == attempts
    assert ring.request_options().retry == own
