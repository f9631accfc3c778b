"""A stream as its caller holds it: chunks as they come, and a way to end it early from anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import AsyncGeneratorType, TracebackType
from typing import Any, cast

from llmring.calls.answer import chunk_of, describe, finish, last_chunks
from llmring.calls.attempts import correct_usage, note_attempt
from llmring.calls.call import Call, EventSource, Reply, Send
from llmring.clock import Clock
from llmring.exceptions import DeadlineExceededError, LLMRingError, StreamInterruptedError
from llmring.resilience.fallback import with_attempts
from llmring.schemas.fold import Fold
from llmring.schemas.response import LLMResponse, StreamChunk, StreamEventType


class _State:
    """What a stream's generator and its holder share. Apart from both, so that neither keeps the other alive: a stream that is
    left behind ends when its last reference goes, not when garbage is collected.
    """

    __slots__ = ("_is_cut", "_reader", "ended", "response", "source")

    def __init__(self) -> None:
        self.source: EventSource | None = None
        self.response: LLMResponse | None = None
        self.ended = False
        self._reader: asyncio.Task[Any] | None = None  # while it waits for a reply to begin
        self._is_cut = False  # whether `end` has cancelled that

    async def begin(self, beginning: Awaitable[Reply]) -> Reply:
        """The reply. Raises StreamInterruptedError where its holder ends it meanwhile; a cancellation from outside wins over that."""
        reader = asyncio.current_task()
        assert reader is not None
        cancelling = reader.cancelling()
        self._reader = reader
        try:
            return await beginning
        except asyncio.CancelledError:
            # Not swallowed: somebody else's is passed on, and the one that `end` made is taken back. As in `Alarm`.
            if not self._take_back(reader) or reader.cancelling() > cancelling:
                raise
        finally:
            self._reader = None
            self._take_back(reader)
        raise StreamInterruptedError("the stream was closed while it was beginning")

    def end(self) -> None:
        """Ends what another task waits for."""
        if self._reader is not None:
            self._reader.cancel()
            self._reader, self._is_cut = None, True
        elif self.source is not None:
            self.source.close()

    def _take_back(self, reader: asyncio.Task[Any]) -> bool:
        is_cut, self._is_cut = self._is_cut, False
        if is_cut:
            reader.uncancel()
        return is_cut


class ChatStream:
    """The answer as it comes: an async iterator of `StreamChunk`, and an async context manager that ends the request.

    Nothing is sent before the first chunk is asked for. `await`ing it gives itself, for those who write
    `async for chunk in await ring.chat_stream(request)`.
    """

    def __init__(
        self, call: Call, send: Send, clock: Clock, *, finished: Callable[[LLMResponse], None] | None = None
    ) -> None:
        self._state = _State()
        self._chunks = cast("AsyncGeneratorType[StreamChunk, None]", _run(self._state, call, send, clock, finished))

    @property
    def response(self) -> LLMResponse | None:
        """The whole answer once DONE has come, None before."""
        return self._state.response

    def __aiter__(self) -> AsyncGenerator[StreamChunk, None]:
        # The generator itself, not self: one hop less a chunk, and leaving the loop lets asyncio close it.
        return self._chunks

    async def __anext__(self) -> StreamChunk:
        return await anext(self._chunks)

    def __await__(self) -> Generator[Any, None, ChatStream]:
        return self
        yield

    async def aclose(self) -> None:
        """Ends the request where it is not at its end. Idempotent, and callable while another task waits for a chunk: that task
        then gets StreamInterruptedError."""
        self._state.ended = True
        if self._chunks.ag_running:
            self._state.end()
            return
        await self._chunks.aclose()

    async def __aenter__(self) -> ChatStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def _run(
    state: _State, call: Call, send: Send, clock: Clock, finished: Callable[[LLMResponse], None] | None
) -> AsyncGenerator[StreamChunk, None]:
    call.started = clock.monotonic()
    reply = await state.begin(send(call))
    hide_thinking = call.request.hide_thinking
    notice: StreamChunk | None = None
    while True:
        # Nothing may come between getting a reply and this `try`: whoever has one owes its end to the gates.
        events, source = reply.events, reply.source
        state.source = source
        folding = Fold()
        model = reply.candidate.ref.model
        ended_by: BaseException | None = None
        broken: StreamInterruptedError | None = None
        try:
            if state.ended:
                raise StreamInterruptedError("the stream was closed while it was beginning")
            if notice is not None:
                yield notice
            while events is not None:
                now = clock.now()
                for event in events:
                    folding.add(event)
                    chunk = chunk_of(event, folding, call.request, model, now)
                    if chunk is not None and not (hide_thinking and chunk.type is StreamEventType.REASONING):
                        yield chunk
                events = None if source is None else await source.next_events()
        except (StreamInterruptedError, DeadlineExceededError) as error:
            ended_by = error
            error.partial = describe(call, reply, folding, clock.monotonic())
            error.partial.finish_reason = "error"
            error.usage = correct_usage(call, error.partial, reply.candidate)
            if call.restart is None or state.ended or not isinstance(error, StreamInterruptedError):
                note_attempt(call, reply.candidate, error, clock.monotonic() - call.started)
                with_attempts(error, call.attempts)
                raise
            broken = error
        except BaseException as error:
            ended_by = error  # the reader has left, or was cancelled
            raise
        finally:
            try:
                if source is not None:
                    source.close()
            finally:
                if reply.settle is not None:
                    # Where our own side closed it, the broken connection is nobody's fault.
                    reply.settle(GeneratorExit() if state.ended else ended_by, folding.tokens_used)
                ended_by = None  # its traceback holds this frame
                if broken is None:
                    call.restart = None  # which holds the call in turn
        if broken is None:
            break
        try:
            reply = await state.begin(_begin_anew(call, broken))
            notice = _restart_notice(reply, broken, clock.now())
        except BaseException:
            call.restart = None
            raise
        finally:
            broken = None
    state.response = response = finish(call, reply, folding, clock.monotonic())
    if finished is not None:
        finished(response)
    for chunk in last_chunks(response, clock.now()):
        yield chunk


async def _begin_anew(call: Call, broken: StreamInterruptedError) -> Reply:
    """Another stream in the place of the one that broke off. Where there is none, the caller is told of what it has seen break."""
    assert call.restart is not None
    try:
        return await call.restart(broken)
    except LLMRingError as error:
        if isinstance(error, DeadlineExceededError):
            error.partial = broken.partial
            raise
        broken.attempts = tuple(call.attempts)
        if error is broken:
            raise
        raise broken from error
    finally:
        del broken


def _restart_notice(reply: Reply, broken: StreamInterruptedError, now: float) -> StreamChunk:
    data = {
        "event": "restart",
        "from": f"{broken.provider}:{broken.model}",
        "to": str(reply.candidate.ref),
        "reason": broken.message,
    }
    return StreamChunk(StreamEventType.META, data=data, model=reply.candidate.ref.model, timestamp=now)
