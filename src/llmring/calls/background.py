"""The loop around an answer that a provider makes in the background: ask again with growing pauses, and call it off when nobody
waits for it any more. What the questions look like is the dialect's; sending them is `Exchange`'s.
"""

from __future__ import annotations

import logging
from typing import Protocol

from llmring.clock import Clock
from llmring.exceptions import DeadlineExceededError, ProviderError
from llmring.schemas.request import Timeouts
from llmring.wire.base import BackgroundCodec, EncodedRequest

_log = logging.getLogger("llmring.calls")

# Guesses: such answers take minutes, and the vendor's own example asks every two seconds.
FIRST_PAUSE_S = 1.0
PAUSE_GROWTH = 1.5
LONGEST_PAUSE_S = 15.0
LONGEST_WISH_S = 300.0  # what a server may make us wait with `retry-after`
# Polls that fail in a row before the answer is given up. Guess: an hour's work must not be lost to one lost packet.
MOST_FAILURES = 5
CANCEL_TIMEOUTS = Timeouts(connect=2.0, total=5.0)


class Ask(Protocol):
    """Sends a question about a job and gives the reply's body. timeouts: default, the call's own. deadline: `monotonic()` seconds."""

    async def __call__(
        self, encoded: EncodedRequest, *, timeouts: Timeouts | None = None, deadline: float | None = None
    ) -> bytes: ...


async def finish_job(raw: bytes, codec: BackgroundCodec, ask: Ask, clock: Clock, deadline: float | None) -> bytes:
    """The reply that holds the answer, given the one that a background request got. deadline: `monotonic()` seconds.

    Raises DeadlineExceededError at the deadline, and what the last poll raised. However it is left, by an error or by the caller's
    cancelling, the provider is told to stop: it would go on, and be paid, for nobody.
    """
    job = codec.read(raw)
    if job.is_done:
        return raw
    try:
        return await _poll(job.id, codec, ask, clock, deadline)
    except BaseException:
        await _call_off(job.id, codec, ask)
        raise


async def _poll(id: str, codec: BackgroundCodec, ask: Ask, clock: Clock, deadline: float | None) -> bytes:
    pause, wish, failures = FIRST_PAUSE_S, 0.0, 0
    while True:
        await _sleep(max(pause, wish), clock, deadline)
        pause, wish = min(pause * PAUSE_GROWTH, LONGEST_PAUSE_S), 0.0
        try:
            raw = await ask(codec.encode_poll(id), deadline=deadline)
        except ProviderError as error:
            failures += 1
            if not error.retryable or failures >= MOST_FAILURES:
                raise
            wish = min(error.retry_after_s or 0.0, LONGEST_WISH_S)
            continue
        failures = 0
        if codec.read(raw).is_done:
            return raw


async def _sleep(seconds: float, clock: Clock, deadline: float | None) -> None:
    left = None if deadline is None else deadline - clock.monotonic()
    if left is None or seconds < left:
        await clock.sleep(seconds)
        return
    if left > 0:
        await clock.sleep(left)
    raise DeadlineExceededError(
        "the call's deadline has passed while the answer was being made in the background",
        hint="LLMRequest.deadline sets it, in seconds",
    )


async def _call_off(id: str, codec: BackgroundCodec, ask: Ask) -> None:
    try:
        await ask(codec.encode_cancel(id), timeouts=CANCEL_TIMEOUTS)
    except ProviderError as error:
        _log.warning(
            "a background answer could not be called off (%s): the provider may go on with it", type(error).__name__
        )
