"""What every provider must do, as checks that a third party runs on its own: `await check_provider(provider, model="m")`.

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    async def test_my_provider(check):
        await check(MyProvider(), Subject(model="m"))

Each check asks the provider itself, so it costs what its requests cost. They look at form, never at what a model says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, get_args

from llmring.exceptions import LLMRingError, NotSupportedError
from llmring.providers.custom import Provider, is_provider
from llmring.schemas.embedding import EmbeddingResponse
from llmring.schemas.messages import Message
from llmring.schemas.model_ref import PROVIDER_NAME
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import FinishReason, LLMResponse, StreamChunk, StreamEventType
from llmring.schemas.tools import ToolCall

_QUESTION = "Say hello."


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What to ask for. model: of chat; None where the provider has none. embedding_model: None = embeddings are not supported,
    which the provider must say with NotSupportedError. repeats: the same request gets the same answer, so that a stream must
    give what a reply gives. options: more fields of the requests, such as max_tokens."""

    model: str | None = None
    embedding_model: str | None = None
    repeats: bool = False
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def request(self, messages: Any = _QUESTION) -> LLMRequest:
        return LLMRequest.model_validate({"model": self.model, "messages": messages, **self.options})


Check: TypeAlias = Callable[[Provider, Subject], Awaitable[None]]


async def has_the_methods_and_a_name(provider: Provider, subject: Subject) -> None:
    """name, chat, chat_stream, embed and close; a name that can stand before a colon."""
    _expect(is_provider(provider), "name, chat, chat_stream, embed and close are needed")
    _expect(
        PROVIDER_NAME.fullmatch(provider.name) is not None,
        f"name {provider.name!r} must read [a-z][a-z0-9_-]*, up to 32",
    )


async def chat_gives_a_whole_response(provider: Provider, subject: Subject) -> None:
    """An LLMResponse with a finish_reason of llmring's, counts that add up, and something in it."""
    if subject.model is None:
        return await _is_not_supported(provider.chat(LLMRequest(model="any", messages=_QUESTION)))
    return _check_response(await provider.chat(subject.request()))


async def chat_takes_system_messages_and_many_turns(provider: Provider, subject: Subject) -> None:
    """A system message, and turns of both sides."""
    if subject.model is None:
        return
    messages = [
        Message.system("Be brief."),
        Message.user("One"),
        Message.assistant("Two"),
        Message.user("Three"),
    ]
    _check_response(await provider.chat(subject.request(messages)))


async def the_request_is_not_changed(provider: Provider, subject: Subject) -> None:
    """What the caller made is the caller's."""
    if subject.model is None:
        return
    request = subject.request()
    before = request.model_dump_json()
    await provider.chat(request)
    await _collect(provider, request)
    _expect(request.model_dump_json() == before, "the request was changed")


async def a_stream_ends_with_exactly_one_done(provider: Provider, subject: Subject) -> None:
    """The last chunk, and no other, is DONE; its data is the whole response, whose text is that of the TOKEN chunks."""
    if subject.model is None:
        return
    chunks = await _collect(provider, subject.request())
    done = [number for number, chunk in enumerate(chunks) if chunk.type is StreamEventType.DONE]
    _expect(done == [len(chunks) - 1], f"DONE must come once and last; it is at {done} of {len(chunks)} chunks")
    response = chunks[-1].data
    _check_response(response)
    streamed = "".join(chunk.delta for chunk in chunks if chunk.type is StreamEventType.TOKEN)
    _expect(streamed == response.content, "the text of the TOKEN chunks is not the text of the response in DONE")


async def a_stream_gives_what_a_reply_gives(provider: Provider, subject: Subject) -> None:
    """Text, reasoning, tool calls and finish_reason, where the same request gets the same answer."""
    if subject.model is None or not subject.repeats:
        return
    plain = await provider.chat(subject.request())
    streamed: LLMResponse = (await _collect(provider, subject.request()))[-1].data
    for name in ("content", "reasoning", "refusal", "tool_calls", "finish_reason"):
        _expect(getattr(plain, name) == getattr(streamed, name), f"{name} differs between reply and stream")


async def a_stream_can_be_left(provider: Provider, subject: Subject) -> None:
    """Leaving after the first chunk ends it, and the next request works."""
    if subject.model is None:
        return
    stream: Any = provider.chat_stream(subject.request())
    async for _ in stream:
        break
    end = getattr(stream, "aclose", None)
    if end is not None:
        await end()
    _check_response(await provider.chat(subject.request()))


async def calls_run_side_by_side(provider: Provider, subject: Subject) -> None:
    """Replies and streams at once, on one event loop."""
    if subject.model is None:
        return
    plain = [provider.chat(subject.request()) for _ in range(3)]
    streams = [_collect(provider, subject.request()) for _ in range(3)]
    responses, collected = await asyncio.gather(asyncio.gather(*plain), asyncio.gather(*streams))
    for response in [*responses, *(chunks[-1].data for chunks in collected)]:
        _check_response(response)


async def cancellation_is_passed_on(provider: Provider, subject: Subject) -> None:
    """A call that is cancelled ends cancelled, and the next request works."""
    if subject.model is None:
        return
    task = asyncio.ensure_future(provider.chat(subject.request()))
    await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
        _expect(task.cancelled(), "a call that was cancelled went on, or raised something else")
    _check_response(await provider.chat(subject.request()))


async def embeddings_are_vectors_or_not_supported(provider: Provider, subject: Subject) -> None:
    """As many vectors as texts, all of one length; a text alone is a list of one. Or NotSupportedError."""
    if subject.embedding_model is None:
        return await _is_not_supported(provider.embed(["One"], model=subject.model or "any"))
    several = await provider.embed(["One", "Two", "Three"], model=subject.embedding_model)
    single = await provider.embed("One", model=subject.embedding_model)
    for response, count in ((several, 3), (single, 1)):
        _expect_kind(response, EmbeddingResponse)
        _expect(len(response.embeddings) == count, f"{len(response.embeddings)} vectors for {count} texts")
        numbers = [number for vector in response.embeddings for number in vector]
        _expect(all(isinstance(n, float) and math.isfinite(n) for n in numbers), "a vector holds more than floats")
        _expect(response.usage.prompt_tokens >= 0, "usage counts less than no token")
    lengths = {len(vector) for vector in [*several.embeddings, *single.embeddings]}
    _expect(len(lengths) == 1 and 0 not in lengths, f"vectors differ in length: {sorted(lengths)}")
    return None


async def it_can_be_closed_twice(provider: Provider, subject: Subject) -> None:
    """The last check: the provider is closed after it."""
    await provider.close()
    await provider.close()


CHECKS: Final[tuple[Check, ...]] = (
    has_the_methods_and_a_name,
    chat_gives_a_whole_response,
    chat_takes_system_messages_and_many_turns,
    the_request_is_not_changed,
    a_stream_ends_with_exactly_one_done,
    a_stream_gives_what_a_reply_gives,
    a_stream_can_be_left,
    calls_run_side_by_side,
    cancellation_is_passed_on,
    embeddings_are_vectors_or_not_supported,
    it_can_be_closed_twice,
)


async def check_provider(
    provider: Provider,
    *,
    model: str | None = None,
    embedding_model: str | None = None,
    repeats: bool = False,
    options: dict[str, Any] | None = None,
    timeout_s: float = 300.0,
) -> None:
    """Runs every check, and closes the provider. The arguments are those of `Subject`. timeout_s: for each check, default 300 s,
    in which a slow server of one's own has loaded its model.

    Raises AssertionError that lists every check that failed, and why.
    """
    subject = Subject(model=model, embedding_model=embedding_model, repeats=repeats, options=options or {})
    failures: list[str] = []
    for check in CHECKS:
        timeout = asyncio.timeout(timeout_s)
        try:
            async with timeout:
                await check(provider, subject)
        except Exception as error:  # somebody else's code: each check is told on its own
            why = f"did not end within {timeout_s:g} s" if timeout.expired() else _tell(error)
            failures.append(f"{getattr(check, '__name__', check)}: {why}")
    if failures:
        lines = "\n  ".join(failures)
        raise AssertionError(f"{len(failures)} of {len(CHECKS)} checks failed:\n  {lines}")


def _tell(error: Exception) -> str:
    return str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"


def _expect(holds: bool, otherwise: str) -> None:
    # Not `assert`: python -O would take it out, and pytest rewrites only the modules of tests.
    if not holds:
        raise AssertionError(otherwise)


def _expect_kind(given: object, kind: type) -> None:
    _expect(isinstance(given, kind), f"a {type(given).__name__} came, where {kind.__name__} is wanted")


async def _collect(provider: Provider, request: LLMRequest) -> list[StreamChunk]:
    stream: Any = provider.chat_stream(request)
    chunks: list[Any] = [chunk async for chunk in stream]
    _expect(bool(chunks), "the stream gave nothing")
    for chunk in chunks:
        _expect_kind(chunk, StreamChunk)
    _expect(chunks[-1].type is StreamEventType.DONE, "the last chunk is not DONE")
    return chunks


async def _is_not_supported(asking: Awaitable[object]) -> None:
    try:
        await asking
    except NotSupportedError:
        return
    except LLMRingError as error:
        raise AssertionError(f"NotSupportedError is wanted, not {type(error).__name__}: {error}") from error
    raise AssertionError("NotSupportedError is wanted, and there was an answer")


def _check_response(response: object) -> None:
    if not isinstance(response, LLMResponse):
        raise AssertionError(f"a {type(response).__name__} came, no LLMResponse")
    _expect(response.error is None, f"the response carries an error: {response.error}")
    reasons = get_args(FinishReason)
    _expect(response.finish_reason in reasons, f"finish_reason {response.finish_reason!r} is none of {reasons}")
    _expect_kind(response.content, str)
    some = response.content or response.tool_calls or response.refusal or response.reasoning
    _expect(bool(some), "there is neither text nor a tool call, a refusal or reasoning")
    calls: list[Any] = response.tool_calls or []
    _expect(all(isinstance(call, ToolCall) for call in calls), "a tool call is no ToolCall")
    _expect(bool(calls) or response.finish_reason != "tool_calls", "finish_reason tool_calls, and there are none")
    usage = response.usage
    counts = (usage.prompt_tokens, usage.completion_tokens, usage.cache_read_tokens, usage.reasoning_tokens)
    _expect(min(counts) >= 0, "usage counts less than no token")
    _expect(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, "total_tokens is not the sum")
