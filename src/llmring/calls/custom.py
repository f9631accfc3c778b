"""Providers of somebody else's under the same chain: their answers and chunks as events, under the same clocks and errors.

What is theirs may fail in any way; what leaves here is a typed error.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, TypeVar, cast

from llmring.calls.attempts import find_usage
from llmring.calls.call import Call, PlainCall, PlainReply, Reply
from llmring.calls.chunks import ChunkDecoder, events_of
from llmring.calls.exchange import Exchange
from llmring.calls.source import LAST_BYTES_S, interruption, say_who
from llmring.clock import Clock
from llmring.exceptions import (
    CircuitBreakerError,
    DeadlineExceededError,
    LLMRingError,
    NotSupportedError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
)
from llmring.providers.custom import Provider
from llmring.resilience.deadline import ReplyClock, effective_timeouts
from llmring.resilience.fallback import with_attempts
from llmring.resolver import Candidate
from llmring.schemas.events import Event, has_content
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import StreamChunk
from llmring.secret import Scrubber
from llmring.transport.alarm import Alarm

T = TypeVar("T")

# How many chunks a provider may be ahead of who reads them. Guess.
_AHEAD = 16


class CustomExchange:
    """Sends a call to a candidate, as `Exchange` does, and itself asks the providers that are the user's own objects."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        clock: Clock,
        scrubber: Scrubber,
        find_custom: Callable[[str], Provider | None],
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._scrubber = scrubber
        self._find_custom = find_custom
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, call: Call, candidate: Candidate) -> Awaitable[Reply]:
        # No coroutine of its own: nearly every call only passes through.
        provider = self._find_custom(candidate.ref.provider)
        return self._exchange(call, candidate) if provider is None else self._run(call, candidate, provider)

    async def _run(self, call: Call, candidate: Candidate, provider: Provider) -> Reply:
        timeouts = effective_timeouts(call.request.timeout, local=_is_local(provider))
        clock = ReplyClock(timeouts, started=self._clock.monotonic(), deadline=call.deadline, stream=call.stream)
        request = _own_request(call, candidate)
        try:
            if call.stream:
                return await self._begin_stream(call, candidate, provider, request, clock)
            response = await self._wait(lambda: provider.chat(request), clock)
            return Reply(
                candidate,
                events_of(response),
                response.status_code,
                response.request_id,
                list(response.warnings),
                raw=response.raw,
            )
        except TimeoutError:
            error = clock.error()
        except ProviderError as caught:
            error = _as_an_answer(caught)
        say_who(error, candidate, self._scrubber)
        raise error

    def close(self) -> None:
        """Ends the streams that are under way. Idempotent."""
        for task in self._tasks:
            task.cancel()

    async def ask(self, call: PlainCall[T], candidate: Candidate) -> PlainReply[T]:
        provider = self._find_custom(candidate.ref.provider)
        if provider is None:
            return await self._exchange.ask(call, candidate)
        timeouts = effective_timeouts(call.timeout, local=_is_local(provider))
        clock = ReplyClock(timeouts, started=self._clock.monotonic(), deadline=call.deadline, stream=False)
        try:
            return PlainReply(
                candidate, await self._wait(lambda: call.ask_custom(provider, candidate.ref.model), clock)
            )
        except TimeoutError:
            error = clock.error()
        except ProviderError as caught:
            error = _as_an_answer(caught)
        say_who(error, candidate, self._scrubber)
        raise error

    async def _wait(self, work: Callable[[], Awaitable[T]], clock: ReplyClock) -> T:
        until = clock.until()
        if until is None:
            return await _guarded(work)
        alarm = Alarm(self._clock)
        try:
            return await alarm.wait(_guarded(work), until)
        finally:
            alarm.cancel()

    async def _begin_stream(
        self, call: Call, candidate: Candidate, provider: Provider, request: LLMRequest, clock: ReplyClock
    ) -> Reply:
        """Reads up to the first content: until then a failure may still fall over to another model."""
        attempts = call.attempts

        def tell(error: ProviderError) -> None:
            say_who(error, candidate, self._scrubber)
            with_attempts(error, attempts)

        source = _ChunkSource(clock, self._clock, tell)
        task = asyncio.create_task(_produce(provider, request, source.queue, source.room))
        source.task = task
        self._tasks.add(task)  # asyncio itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        reply = Reply(candidate, [], None, None, [], source=source)
        try:
            while (events := await source.read()) is not None:
                reply.events += events
                if has_content(events):
                    reply.first_content_at = self._clock.monotonic()
                    break
        except BaseException as error:
            source.close()
            if isinstance(error, ProviderError):
                error.usage = find_usage(call, reply.events)
            raise
        reply.warnings = source.decoder.warnings
        return reply


def _is_local(provider: Provider) -> bool:
    return bool(getattr(provider, "local", False))


def _own_request(call: Call, candidate: Candidate) -> LLMRequest:
    """The request with the model's own name, and a ring's extra_params under its own."""
    update: dict[str, Any] = {"model": candidate.ref.model}
    if candidate.effort is not None and call.request.reasoning_effort is None:
        update["reasoning_effort"] = candidate.effort
    if call.extra_params:
        update["extra_params"] = {**call.extra_params, **(call.request.extra_params or {})}
    return call.request.model_copy(update=update)


async def _guarded(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return await work()
    except LLMRingError:
        raise
    except Exception as error:  # somebody else's code: whatever it raises
        raise _foreign(error) from error


def _foreign(error: Exception) -> ProviderError | NotSupportedError:
    """A typed error in the place of any other. Not its words: they may quote the prompt; the cause has them."""
    what = f"the provider's own code raised {type(error).__name__}"
    hint = "the cause of this error (__cause__) tells where"
    match error:
        case NotImplementedError():
            return NotSupportedError(f"{what}: it cannot do what was asked", hint=hint)
        case TimeoutError():
            return ProviderTimeoutError(what, hint=hint)
        case OSError():
            return ProviderConnectionError(what, hint=hint)
        case _:
            return ProviderResponseError(what, hint=hint)


def _as_an_answer(error: ProviderError) -> ProviderError:
    """A breaker or a deadline of the provider's own, perhaps of a ring within it, is none of ours: it has been asked, and that is an
    attempt, which ends no call."""
    error.is_foreign = True
    if isinstance(error, CircuitBreakerError):
        told = ProviderResponseError(error.message, code=error.code, retry_after_s=error.retry_after_s, hint=error.hint)
    elif isinstance(error, DeadlineExceededError):
        told = ProviderTimeoutError("a deadline of the provider's own has passed", hint=error.hint)
    else:
        return error
    told.is_foreign = True
    told.__cause__ = error
    told.usage = error.usage
    return told


async def _produce(
    provider: Provider,
    request: LLMRequest,
    queue: asyncio.Queue[StreamChunk | Exception | None],
    room: asyncio.Semaphore,
) -> None:
    """Reads the provider's stream in a task of its own, so that one place begins it, reads it and ends it. None is its end."""
    stream: AsyncIterable[StreamChunk] | None = None
    try:
        # `async def chat_stream` that returns an iterator is taken too.
        begun: Any = provider.chat_stream(request)
        if inspect.isawaitable(begun) and not hasattr(begun, "__aiter__"):
            begun = await begun
        stream = cast("AsyncIterable[StreamChunk]", begun)
        async for chunk in stream:
            await room.acquire()
            queue.put_nowait(chunk)
    except LLMRingError as error:
        queue.put_nowait(error)
    except Exception as error:  # somebody else's code: whatever it raises
        wrapped = _foreign(error)
        wrapped.__cause__ = error
        queue.put_nowait(wrapped)
    finally:
        queue.put_nowait(None)
        end = getattr(stream, "aclose", None)
        if end is not None:
            try:
                await end()
            except Exception:  # noqa: S110 - somebody else's code; the stream is over, and nobody waits for this
                pass


class _ChunkSource:
    """A custom provider's stream as events, under the reply's clocks."""

    __slots__ = ("_alarm", "_clock", "_ended", "_monotonic", "_tell", "decoder", "queue", "room", "task")

    def __init__(self, clock: ReplyClock, system: Clock, tell: Callable[[ProviderError], None]) -> None:
        self.queue: asyncio.Queue[StreamChunk | Exception | None] = asyncio.Queue()
        self.room = asyncio.Semaphore(_AHEAD)
        self.task: asyncio.Task[None] | None = None
        self.decoder = ChunkDecoder()
        self._clock = clock
        self._monotonic = system.monotonic
        self._alarm = Alarm(system)
        self._tell = tell
        self._ended = False

    async def read(self) -> list[Event] | None:
        """The events of the next chunk; None at the end."""
        if self._ended:
            return None
        if self.decoder.finished:
            return await self._end()
        clock = self._clock
        clock.resume(self._monotonic())
        until = clock.until()
        item = await (self.queue.get() if until is None else self._alarm.wait(self.queue.get(), until))
        self.room.release()
        if item is None:
            self.close()
            self.decoder.close()
            return None
        if isinstance(item, Exception):
            raise item
        events = self.decoder.feed(item)
        if has_content(events):
            clock.heard_content(self._monotonic())
        else:
            clock.heard(self._monotonic())
        return events

    async def _end(self) -> None:
        """The answer is whole: neither waiting for its provider to end, nor how it ends, can spoil it. A chunk after DONE does."""
        try:
            item = await self._alarm.wait(self.queue.get(), self._monotonic() + LAST_BYTES_S)
        except TimeoutError:
            item = None
        self.close()
        if item is not None and not isinstance(item, Exception):
            self.decoder.feed(item)

    async def next_events(self) -> list[Event] | None:
        try:
            return await self.read()
        except TimeoutError:
            cause: ProviderError = self._clock.error()
        except ProviderError as error:
            cause = _as_an_answer(error)
        except LLMRingError:
            self.close()
            raise
        self.close()
        self._tell(cause)
        error = interruption(cause)
        error.is_foreign = True
        if error is not cause:
            self._tell(error)
            raise error from cause
        raise error

    def close(self) -> None:
        self._ended = True
        self._alarm.cancel()
        if self.task is not None:
            self.task.cancel()
