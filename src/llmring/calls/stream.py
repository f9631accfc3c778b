"""A stream as its caller holds it: chunks as they come, and a way to end it early from anywhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, TracebackType
from typing import Any, cast

from llmring.calls.answer import chunk_of, describe, finish, last_chunks
from llmring.calls.call import Call, EventSource, Send
from llmring.clock import Clock
from llmring.exceptions import DeadlineExceededError, StreamInterruptedError
from llmring.schemas.fold import Fold
from llmring.schemas.response import LLMResponse, StreamChunk, StreamEventType


class _State:
    """What a stream's generator and its holder share. Apart from both, so that neither keeps the other alive: a stream that is
    left behind ends when its last reference goes, not when garbage is collected.
    """

    __slots__ = ("ended", "response", "source")

    def __init__(self) -> None:
        self.source: EventSource | None = None
        self.response: LLMResponse | None = None
        self.ended = False


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
            if self._state.source is not None:
                self._state.source.close()
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
    reply = await send(call)
    events, source = reply.events, reply.source
    state.source = source
    folding = Fold()
    model, hide_thinking = reply.candidate.ref.model, call.request.hide_thinking
    ended_by: BaseException | None = None
    try:
        if state.ended:
            raise StreamInterruptedError("the stream was closed while it was beginning")
        while events is not None:
            now = clock.now()
            for event in events:
                folding.add(event)
                chunk = chunk_of(event, folding, call.request, model, now)
                if chunk is not None and not (hide_thinking and chunk.type is StreamEventType.REASONING):
                    yield chunk
            events = None if source is None else await source.next_events()
    except (StreamInterruptedError, DeadlineExceededError) as error:
        error.partial = describe(call, reply, folding, clock.monotonic())
        error.partial.finish_reason = "error"
        ended_by = error
        raise
    except BaseException as error:
        ended_by = error  # the reader has left, or was cancelled
        raise
    finally:
        if source is not None:
            source.close()
        if reply.settle is not None:
            reply.settle(ended_by, folding.tokens_used)
    state.response = response = finish(call, reply, folding, clock.monotonic())
    if finished is not None:
        finished(response)
    for chunk in last_chunks(response, clock.now()):
        yield chunk
