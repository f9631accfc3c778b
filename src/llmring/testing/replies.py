"""From a step of a script to the bytes and waits of one reply: how each answer and each fault looks on the wire."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never, cast

from llmring.schemas.response import Citation, LLMResponse, Usage
from llmring.schemas.tools import ToolCall
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.testing.http_server import Action, Signal, chunk, head, plain
from llmring.testing.steps import Answer, Exact, Fault

if TYPE_CHECKING:
    from llmring.testing.fake_provider import Received

_JSON = "application/json"
_END = chunk(b"")
_PIECE_BYTES = 64 * 1024
_ZIP_BLOCK_BYTES = 1024 * 1024
# Stands where a long text will: long enough that nothing else in a reply reads the same.
_MARK = "llmring-long-text-goes-here"


def play(step: Answer | Exact | Fault, received: Received, dialect: ServerDialect) -> Iterator[Action]:
    """The reply to one request."""
    match step:
        case Answer():
            return _play_answer(step, received, dialect)
        case Exact():
            return _play_exact(step)
        case Fault():
            return _play_fault(step, received, dialect)
        case _:
            assert_never(step)


def make_response(answer: Answer, received: Received, dialect: ServerDialect) -> LLMResponse:
    """The answer as a response to this request; counts are those of words where it names none."""
    calls = [ToolCall.from_dict(call) for call in answer.tool_calls or ()]
    usage = answer.usage
    if usage is None:
        thought = len((answer.reasoning or "").split())
        said = f"{answer.text} {answer.refusal or ''} {' '.join(call.raw_arguments for call in calls)}"
        prompt = dialect.prompt_text(received.body)
        usage = Usage(len(prompt.split()), thought + len(said.split()), reasoning_tokens=thought)
    return LLMResponse(
        answer.text,
        model=answer.model or received.model or "",
        usage=usage,
        finish_reason=answer.finish_reason or ("tool_calls" if calls else "stop"),
        tool_calls=calls or None,
        reasoning=answer.reasoning,
        refusal=answer.refusal,
        logprobs=[dict(token) for token in answer.logprobs or ()] or None,
        citations=[Citation(**citation) for citation in answer.citations or ()] or None,
        response_id=f"fake-{received.number}",
    )


_VECTOR_LENGTH = 8
# What dialects call the length of a vector that is asked for.
_LENGTH_FIELDS = ("dimensions", "output_dimension", "outputDimensionality")


def answer_aside(endpoint: Endpoint, received: Received, dialect: ServerDialect, models: Sequence[str]) -> bytes:
    """The reply to a request that is not chat: vectors, a count, or a listing."""
    headers = {"content-type": _JSON, "x-request-id": f"fake-request-{received.number}"}
    match endpoint:
        case "models":
            body = dialect.models_reply(models)
        case "token_count":
            body = dialect.token_count_reply(len(dialect.prompt_text(received.body).split()))
        case _:
            texts = dialect.embedding_inputs(received.body)
            if not texts:
                return plain(400, headers, dialect.failure(400, "The fake provider found nothing to embed.", None))
            asked = _asked_length(received.body)
            length = asked if isinstance(asked, int) else _VECTOR_LENGTH
            tokens = sum(len(text.split()) for text in texts)
            vectors = [make_vector(text, length) for text in texts]
            body = dialect.embedding_reply(vectors, tokens, received.model or "", received.body)
    return plain(200, headers, body)


def _asked_length(body: Mapping[str, Any]) -> object:
    """Some dialects ask with each text, or apart from the texts."""
    match body:
        case {"requests": [{**inner}, *_]} | {"parameters": {**inner}}:
            body = cast("dict[str, Any]", inner)
        case _:
            pass
    return next((body[name] for name in _LENGTH_FIELDS if name in body), None)


def make_vector(text: str, length: int) -> list[float]:
    """The fake embedding of a text: numbers that a float of 32 bits holds exactly, the same for the same text."""
    dice = random.Random(text)
    return [dice.randrange(-1024, 1025) / 1024 for _ in range(length)]


def _play_exact(step: Exact) -> Iterator[Action]:
    ready = b""
    if step.status is not None:
        headers = dict(step.headers)
        if not {name.lower() for name in headers} & {"content-length", "transfer-encoding"}:
            headers["content-length"] = str(sum(len(item) for item in step.chunks if isinstance(item, bytes)))
        ready = head(step.status, headers)
    for item in step.chunks:
        if isinstance(item, bytes):
            yield ready + item
            ready = b""
        else:
            if ready:
                yield ready
                ready = b""
            yield item
    if ready:
        yield ready
    if step.status is None:
        yield Signal.FIN


def _headers(answer: Answer, received: Received, content_type: str) -> dict[str, str]:
    return {"content-type": content_type, "x-request-id": f"fake-request-{received.number}", **answer.headers}


def _stream_head(answer: Answer, received: Received, dialect: ServerDialect) -> bytes:
    return head(200, {**_headers(answer, received, dialect.stream_type), "transfer-encoding": "chunked"})


def _play_answer(answer: Answer, received: Received, dialect: ServerDialect) -> Iterator[Action]:
    if answer.gate is not None:
        yield answer.gate
    response = make_response(answer, received, dialect)
    if not received.stream:
        yield plain(200, _headers(answer, received, _JSON), dialect.reply(response))
        return
    yield _stream_head(answer, received, dialect)
    for event in dialect.events(response, received.body):
        yield chunk(event)
    yield _END


def _play_fault(fault: Fault, received: Received, dialect: ServerDialect) -> Iterator[Action]:
    if fault.answer.gate is not None:
        yield fault.answer.gate
    match fault.kind:
        case "status":
            body = dialect.failure(fault.http_status, fault.message, fault.code)
            headers = {**_headers(fault.answer, received, _JSON), **fault.headers}
            yield plain(fault.http_status, headers, body)
        case "reset":
            yield Signal.RST
        case "close_before_reply":
            yield Signal.FIN
        case "hang":
            yield Signal.HOLD
            yield from _whole(fault, received, dialect)
        case "cut":
            yield from _before(fault, received, dialect)
            yield Signal.RST if fault.how == "rst" else Signal.FIN
        case "stall":
            yield from _before(fault, received, dialect)
            yield Signal.HOLD
            yield from _after(fault, received, dialect)
        case "slow_head":
            whole = b"".join(_whole(fault, received, dialect))
            middle = whole.index(b"\r\n\r\n") // 2
            yield whole[:middle]
            yield Signal.HOLD
            yield whole[middle:]
        case "error_in_stream":
            yield from _play_error_in_stream(fault, received, dialect)
        case "wrong_content_length":
            body, content_type = _body(fault, received, dialect)
            headers = _headers(fault.answer, received, content_type)
            yield head(200, {**headers, "content-length": str(max(0, len(body) + fault.size))}) + body
            yield Signal.FIN
        case "garbage":
            dice = random.Random(fault.size)
            content_type = dialect.stream_type if received.stream else _JSON
            yield plain(200, _headers(fault.answer, received, content_type), dice.randbytes(dice.randrange(1, 512)))
        case "gzip_bomb" | "long_line" | "deep_json" | "endless":
            yield from _play_bomb(fault, received, dialect)
        case _:
            assert_never(fault.kind)


def _events(fault: Fault, received: Received, dialect: ServerDialect) -> list[bytes]:
    return dialect.events(make_response(fault.answer, received, dialect), received.body)


def _body(fault: Fault, received: Received, dialect: ServerDialect) -> tuple[bytes, str]:
    """The whole body that the fault spoils, and its content type."""
    if received.stream:
        return b"".join(_events(fault, received, dialect)), dialect.stream_type
    return dialect.reply(make_response(fault.answer, received, dialect)), _JSON


def _pieces(fault: Fault, received: Received, dialect: ServerDialect) -> tuple[list[bytes], int]:
    """The writes of a good reply, and how many of them come before the fault: never all, never the dialect's end."""
    if received.stream:
        events = [chunk(event) for event in _events(fault, received, dialect)]
        # The head is a write of its own; the dialect's last event is what says that the answer is whole.
        return [_stream_head(fault.answer, received, dialect), *events, _END], 1 + min(
            fault.after_events, len(events) - 1
        )
    body, content_type = _body(fault, received, dialect)
    whole = plain(200, _headers(fault.answer, received, content_type), body)
    half = len(whole) - len(body) // 2
    return [whole[:half], whole[half:]], 1


def _before(fault: Fault, received: Received, dialect: ServerDialect) -> list[bytes]:
    pieces, count = _pieces(fault, received, dialect)
    return pieces[:count]


def _after(fault: Fault, received: Received, dialect: ServerDialect) -> list[bytes]:
    pieces, count = _pieces(fault, received, dialect)
    return pieces[count:]


def _whole(fault: Fault, received: Received, dialect: ServerDialect) -> list[bytes]:
    return _pieces(fault, received, dialect)[0]


def _play_error_in_stream(fault: Fault, received: Received, dialect: ServerDialect) -> Iterator[Action]:
    if not received.stream:
        body = dialect.failure(fault.http_status, fault.message, fault.code)
        yield plain(200, _headers(fault.answer, received, _JSON), body)
        return
    yield from _before(fault, received, dialect)
    yield chunk(dialect.failure_event(fault.http_status, fault.message, fault.code))
    yield _END


def _play_bomb(fault: Fault, received: Received, dialect: ServerDialect) -> Iterator[Action]:
    """What is too large. Made piece by piece: the server must not hold what the client is to refuse."""
    headers = _headers(fault.answer, received, dialect.stream_type if received.stream else _JSON)
    if fault.kind == "gzip_bomb":
        headers["content-encoding"] = "gzip"
    yield head(200, {**headers, "transfer-encoding": "chunked"})
    body, _ = _body(fault, received, dialect)
    match fault.kind:
        case "gzip_bomb":
            padding = b"\n" if received.stream else b" "
            yield from (chunk(piece) for piece in gzip_pieces(padding, fault.size, body))
        case "long_line":
            response = make_response(Answer(_MARK), received, dialect)
            body = b"".join(dialect.events(response, received.body)) if received.stream else dialect.reply(response)
            before, after = body.split(_MARK.encode(), 1)
            yield chunk(before)
            for start in range(0, fault.size, _PIECE_BYTES):
                yield chunk(b"x" * min(_PIECE_BYTES, fault.size - start))
            yield chunk(after)
        case "deep_json":
            before, brace, after = body.partition(b"{")
            yield chunk(before + brace + b'"deep":' + b"[" * fault.size + b"]" * fault.size + b"," + after)
        case _:
            yield from _endless(fault, received, dialect)
    yield _END


def _endless(fault: Fault, received: Received, dialect: ServerDialect) -> Iterator[Action]:
    if received.stream:
        events = dialect.events(make_response(Answer(_MARK), received, dialect), received.body)
        text = next(n for n, event in enumerate(events) if _MARK.encode() in event)
        yield from (chunk(event) for event in events[:text])
        more = chunk(events[text])
    else:
        more = chunk(b" " * 4096)
    while True:
        yield more


def gzip_pieces(padding: bytes, size_bytes: int, body: bytes) -> Iterator[bytes]:
    """A gzip file of one padding byte `size_bytes` times and then `body`, in pieces, at the cost of packing one block.

    A full flush forgets all history and ends on a byte, so the packed block may be repeated as it is (RFC 1951).
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = padding * _ZIP_BLOCK_BYTES
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # gzip, deflate, no name, no time, unknown system (RFC 1952)
    blocks, rest = divmod(size_bytes, _ZIP_BLOCK_BYTES)
    checksum = 0
    for _ in range(blocks):
        checksum = zlib.crc32(block, checksum)
        yield packed
    tail = padding * rest + body
    checksum = zlib.crc32(tail, checksum)
    yield packer.compress(tail) + packer.flush(zlib.Z_FINISH)
    yield checksum.to_bytes(4, "little") + ((size_bytes + len(body)) & 0xFFFFFFFF).to_bytes(4, "little")
