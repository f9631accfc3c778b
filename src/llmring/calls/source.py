"""The rest of a stream, from bytes to events under the reply's clocks; and what an error says once content has reached the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from llmring.calls.pace import Pace
from llmring.clock import Clock
from llmring.exceptions import (
    DeadlineExceededError,
    LLMRingError,
    ProviderError,
    ProviderResponseError,
    StreamInterruptedError,
)
from llmring.resilience.deadline import ReplyClock
from llmring.resolver import Candidate
from llmring.schemas.events import Event, has_content
from llmring.secret import Scrubber
from llmring.transport.base import HTTPReply
from llmring.wire.base import StreamDecoder

# How long a server may take to end the body after the dialect's last event, so that its connection can be used again.
LAST_BYTES_S = 0.25


class StreamSource:
    """The bytes of a stream as events, under the reply's clocks."""

    __slots__ = ("_clock", "_decoder", "_ended", "_http", "_monotonic", "_pace", "_say_who")

    def __init__(
        self,
        http: HTTPReply,
        decoder: StreamDecoder,
        clock: ReplyClock,
        system: Clock,
        say_who: Callable[[ProviderError], None],
        *,
        logprobs: bool = False,
    ) -> None:
        self._http = http
        self._decoder = decoder
        self._clock = clock
        self._monotonic = system.monotonic
        self._say_who = say_who
        self._ended = False
        self._pace = Pace(clock.started, logprobs=logprobs)

    async def read(self) -> list[Event] | None:
        """The events of the next bytes; None at the end."""
        if self._ended:
            return None
        if self._decoder.finished:
            self._decoder.close()  # raises the error that a server sent in the same bytes as the last events
            await self._end()
            return None
        clock = self._clock
        now = self._monotonic()
        if self._pace.in_doubt:
            self._pace.check(now)
        clock.resume(now)
        data = await self._http.read_some(clock.until())
        if not data:
            self.close()
            return self._decoder.close()
        events = self._decoder.feed(data)
        self._pace.add(data, events)
        if has_content(events):
            clock.heard_content(self._monotonic())
        else:
            clock.heard(self._monotonic())
        return events

    async def _end(self) -> None:
        """The answer is whole: nothing that happens from here on can spoil it."""
        try:
            await self._http.read_some(self._monotonic() + LAST_BYTES_S)
        except (TimeoutError, LLMRingError):
            pass
        finally:
            self.close()

    async def next_events(self) -> list[Event] | None:
        try:
            return await self.read()
        except TimeoutError:
            self.close()
            self._interrupt(self._clock.error())
        except ProviderError as error:
            self.close()
            self._interrupt(error)
        except BaseException:
            self.close()
            raise

    def _interrupt(self, cause: ProviderError) -> NoReturn:
        self._say_who(cause)
        error = interruption(cause)
        try:
            if error is cause:
                raise cause from None
            self._say_who(error)
            raise error from cause
        finally:
            del error, cause  # their tracebacks hold this frame

    def close(self) -> None:
        self._ended = True
        self._http.close()


def say_who(error: ProviderError, candidate: Candidate, scrubber: Scrubber) -> None:
    """Puts names to an error, and takes secrets out of what a server wrote into it, and out of where it was raised: the frames of who
    read the reply hold all of it, and error reporters print what a frame holds."""
    error.provider = error.provider or candidate.ref.provider
    error.model = error.model or candidate.ref.model
    error.message = scrubber.scrub_text(error.message)
    error.args = (error.message,)
    error.code = error.code and scrubber.scrub_text(error.code)
    error.request_id = error.request_id and scrubber.scrub_text(error.request_id)
    error.__traceback__ = None
    if error.__suppress_context__:
        error.__context__ = None  # what came before it was not to be told; a parser's error holds what it parsed


def interruption(cause: ProviderError) -> ProviderError:
    """Content has reached the caller: whatever the cause, what is left is an interrupted stream."""
    if isinstance(cause, (StreamInterruptedError, DeadlineExceededError)):
        return cause
    error = StreamInterruptedError(
        f"the stream ended early: {cause.message}",
        status=cause.status,
        code=cause.code,
        request_id=cause.request_id,
        retry_after_s=cause.retry_after_s,
        hint=cause.hint,
        retryable=cause.retryable,
    )
    if isinstance(cause, ProviderResponseError) and cause.overloaded:
        error.overloaded = True
    return error
