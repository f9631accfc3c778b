"""Answers that are made in the background, over a real connection and on a clock that stands still: started, polled, called off."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmring import ConfigurationError, DeadlineExceededError, LLMRequest, LLMRing, ProviderResponseError, RetryPolicy
from llmring.calls.background import FIRST_PAUSE_S, LONGEST_PAUSE_S, MOST_FAILURES
from llmring.exceptions import InvalidRequestError, MalformedResponseError, ModelNotFoundError, ProviderRateLimitError
from llmring.schemas import Timeouts
from llmring.testing import Exact, FakeClock, FakeProvider, Fault
from llmring.testing.fake_provider import Received

HEADERS = {"content-type": "application/json"}
USAGE = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
TEXT = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "At last."}]}


def state(status: str, **fields: Any) -> Exact:
    body: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "model": "m",
        "status": status,
        "output": [],
        **fields,
    }
    return Exact(200, HEADERS, [json.dumps(body).encode()])


QUEUED, WORKING = state("queued"), state("in_progress")
DONE = state("completed", output=[TEXT], usage=USAGE)


def ask(**fields: Any) -> LLMRequest:
    return LLMRequest(model="far:m", messages="Write a novel.", background=True, **fields)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ring(fake_provider: FakeProvider, clock: FakeClock) -> AsyncIterator[LLMRing]:
    provider = {"base_url": fake_provider.base_url, "dialect": "openai_responses", "auth": "none"}
    # One attempt: what is counted here are the questions after it.
    once = RetryPolicy(attempts=1, max_rate_limit_wait_s=0)
    async with LLMRing(providers={"far": provider}, clock=clock, dotenv=False, retry=once) as ring:
        yield ring


def calls(fake: FakeProvider) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in fake.received]


START, POLL = ("POST", "/v1/responses"), ("GET", "/v1/responses/resp_1")
CANCEL = ("POST", "/v1/responses/resp_1/cancel")


async def pass_polls(clock: FakeClock, fake: FakeProvider, count: int) -> list[float]:
    """Lets so many pauses pass, each once it has begun; how long they were."""
    pauses: list[float] = []
    for _ in range(count):
        received = len(fake.received)
        await wait_for_pause(clock)
        when = clock.next_timer
        assert when is not None
        pauses.append(when - clock.monotonic())
        clock.advance(pauses[-1])
        await fake.wait_received(received + 1)
    return pauses


async def wait_for_pause(clock: FakeClock) -> None:
    """A pause, and not one of the limits on a request that is under way: these end with it."""
    while True:
        await clock.wait_timers()
        await clock.run_until_idle()
        when = clock.next_timer
        if when is not None and when - clock.monotonic() <= 400 and clock.timers == 1:
            return
        await asyncio.sleep(0)


@pytest.mark.spec("A12")
async def test_an_answer_is_started_polled_with_growing_pauses_and_read(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    fake_provider.script(QUEUED, *[WORKING] * 8, DONE)
    task = asyncio.create_task(ring.chat(ask()))
    pauses = await pass_polls(clock, fake_provider, 9)
    response = await task

    assert (response.content, response.finish_reason) == ("At last.", "stop")
    assert response.usage.completion_tokens == 4
    assert response.raw["status"] == "completed"
    assert calls(fake_provider) == [START, *[POLL] * 9]
    assert (fake_provider.received[0].body["background"], fake_provider.received[0].body["store"]) == (True, True)
    assert fake_provider.received[1].raw == b""
    assert pauses[0] == pytest.approx(FIRST_PAUSE_S)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_S)
    assert response.timing.latency == pytest.approx(sum(pauses))


async def test_an_answer_that_is_there_at_once_is_not_polled(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(DONE)
    assert (await ring.chat(ask())).content == "At last."
    assert calls(fake_provider) == [START]


@pytest.mark.spec("A12")
async def test_at_the_deadline_the_provider_is_told_to_stop(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    fake_provider.script(QUEUED, WORKING, state("cancelled"))
    task = asyncio.create_task(ring.chat(ask(deadline=2.0)))
    await pass_polls(clock, fake_provider, 2)  # the second one ends at the deadline, and what comes then is the cancel
    with pytest.raises(DeadlineExceededError) as caught:
        await task
    assert calls(fake_provider) == [START, POLL, CANCEL]
    assert fake_provider.received[2].raw == b""
    assert "deadline" in (caught.value.hint or "")
    assert caught.value.provider == "far"


@pytest.mark.spec("A12")
async def test_a_caller_who_cancels_cancels_the_answer_too(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    fake_provider.script(QUEUED, WORKING, state("cancelled"))
    task = asyncio.create_task(ring.chat(ask()))
    await pass_polls(clock, fake_provider, 1)
    await wait_for_pause(clock)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls(fake_provider) == [START, POLL, CANCEL]
    assert clock.timers == 0


async def test_a_cancel_that_fails_takes_nobodys_place(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    fake_provider.script(QUEUED, Fault.status(500))
    task = asyncio.create_task(ring.chat(ask(deadline=0.5)))
    await pass_polls(clock, fake_provider, 1)
    with pytest.raises(DeadlineExceededError):
        await task
    assert calls(fake_provider) == [START, CANCEL]
    assert "could not be called off" in caplog.text


async def test_a_few_polls_may_fail(ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider) -> None:
    failures = [
        Fault.status(503),
        Fault.status(429, headers={"retry-after": "40"}),
        Fault.status(500),
        Fault.status(502),
    ]
    fake_provider.script(QUEUED, *failures, WORKING, *failures, DONE)
    task = asyncio.create_task(ring.chat(ask()))
    pauses = await pass_polls(clock, fake_provider, 10)
    assert (await task).content == "At last."
    assert pauses[2] == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("fault", "polls", "kind"),
    [
        (Fault.status(503), MOST_FAILURES, ProviderResponseError),
        (Fault.status(429), MOST_FAILURES, ProviderRateLimitError),
        (Fault.status(404), 1, ModelNotFoundError),
        (Fault.status(400), 1, InvalidRequestError),
    ],
)
async def test_polls_that_fail_for_good_are_the_calls_error_and_call_the_answer_off(
    fault: Fault, polls: int, kind: type[Exception], ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    fake_provider.script(QUEUED, *[fault] * polls, state("cancelled"))
    task = asyncio.create_task(ring.chat(ask()))
    await pass_polls(clock, fake_provider, polls)
    with pytest.raises(kind):
        await task
    assert calls(fake_provider) == [START, *[POLL] * polls, CANCEL]


async def test_an_answer_that_fails_on_the_way_is_its_error(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    fake_provider.script(QUEUED, state("failed", error={"code": "rate_limit_exceeded", "message": "No more."}))
    task = asyncio.create_task(ring.chat(ask()))
    await pass_polls(clock, fake_provider, 1)
    with pytest.raises(ProviderRateLimitError, match=r"No more\."):
        await task
    assert calls(fake_provider) == [START, POLL]  # it has ended: there is nothing to call off


async def test_an_answer_that_somebody_else_cancelled_says_so(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    fake_provider.script(QUEUED, state("cancelled"))
    task = asyncio.create_task(ring.chat(ask()))
    await pass_polls(clock, fake_provider, 1)
    assert (await task).finish_reason == "cancelled"


async def test_an_id_that_leads_elsewhere_is_not_asked_for(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(state("queued", id="../../files"))
    with pytest.raises(MalformedResponseError):
        await ring.chat(ask())
    assert calls(fake_provider) == [START]


@pytest.mark.spec("A12")
@pytest.mark.parametrize("stream", [False, True])
async def test_without_responses_it_is_refused_before_any_io(stream: bool, fake_provider: FakeProvider) -> None:
    chat = {"base_url": fake_provider.base_url, "api_key": "sk-0123456789abcdef"}
    async with LLMRing(providers={"far": chat, "openai": chat}, dotenv=False) as ring:
        for model in ("far:m", "openai:gpt-5.4"):
            request = ask().model_copy(update={"model": model})
            with pytest.raises(ConfigurationError, match="background"):
                await _run(ring, request, stream)
        on = ask(use_responses_api=True).model_copy(update={"model": "openai:gpt-5.4"})
        if stream:
            with pytest.raises(ConfigurationError, match="not streamed"):
                await _run(ring, on, stream)
        assert fake_provider.received == []


async def _run(ring: LLMRing, request: LLMRequest, stream: bool) -> None:
    if not stream:
        await ring.chat(request)
        return
    async for _ in ring.chat_stream(request):
        pass


async def test_each_poll_is_written_for_the_answer_it_asks_for(
    ring: LLMRing, clock: FakeClock, fake_provider: FakeProvider
) -> None:
    """Two answers at once do not meet."""
    started = iter(range(2))

    def answer(received: Received) -> Exact:
        if received.method == "POST":
            return state("queued", id=f"resp_{next(started)}")
        id = received.path.rpartition("/")[2]
        text = {**TEXT, "content": [{"type": "output_text", "text": id}]}
        return state("completed", id=id, output=[text], usage=USAGE)

    step: Callable[[Received], Exact] = answer
    fake_provider.script(step)
    endless = Timeouts(connect=None, first_token=None, idle=None, total=None)  # so that only pauses wait for the clock
    tasks = [asyncio.create_task(ring.chat(ask(timeout=endless))) for _ in range(2)]
    await clock.wait_timers(2)
    clock.advance(FIRST_PAUSE_S)
    assert sorted([(await task).content for task in tasks]) == ["resp_0", "resp_1"]
