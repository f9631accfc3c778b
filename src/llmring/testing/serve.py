"""`python -m llmring.testing.serve`: the fake provider as a process of its own, for benchmarks and other languages.

The first line on stdout is its base URL; SIGTERM or SIGINT ends it. Every reply's bytes are made once, so that it is faster
than what it measures. The model's name may say what to answer: `chunks-500` has 500 words, which a stream sends as 500 text
events; `chunks-500-pace-20` waits 20 ms before each of them; `chunks-500-joined` sends them all in one write.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import re
import signal
import sys
from collections.abc import Sequence

from llmring.schemas.response import LLMResponse, Usage
from llmring.testing.dialects import SERVER_DIALECTS
from llmring.testing.fake_provider import FakeProvider, Received
from llmring.testing.http_server import chunk
from llmring.testing.steps import Exact, Fault

_MODEL = re.compile(r"chunks-(\d{1,6})(?:-pace-(\d{1,5})|-(joined))?", re.ASCII)


def main(argv: Sequence[str] | None = None) -> None:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(
        prog="python -m llmring.testing.serve",
        description="A fake provider on 127.0.0.1. Models: chunks-N (N words), chunks-N-pace-MS, chunks-N-joined.",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 (default) takes a free one")
    parser.add_argument("--text", default="Hello from the fake provider.", help="what other models say")
    parser.add_argument("--status", type=int, help="answer every request with this error status instead")
    options = parser.parse_args(argv)
    asyncio.run(_serve(options.port, options.text, options.status))


async def _serve(port: int, text: str, status: int | None) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with FakeProvider(port=port, record=False) as fake:
        fake.script(Fault.status(status) if status is not None else functools.partial(_answer, text))
        sys.stdout.write(f"{fake.base_url}\n")
        sys.stdout.flush()
        await ended.wait()


def _answer(text: str, received: Received) -> Exact:
    wants_usage = received.body.get("stream_options") is not None
    return _make_reply(received.dialect, text, received.model or "", received.stream, wants_usage)


@functools.lru_cache(maxsize=256)
def _make_reply(dialect_name: str, text: str, model: str, stream: bool, wants_usage: bool) -> Exact:
    named = _MODEL.fullmatch(model)
    if named is not None:
        text = " ".join(["word"] * int(named[1]))
    words = len(text.split())
    dialect = next(dialect for dialect in SERVER_DIALECTS if dialect.name == dialect_name)
    response = LLMResponse(text, model=model, usage=Usage(8, words), finish_reason="stop", response_id="fake-0")
    if not stream:
        return Exact(headers={"content-type": "application/json"}, chunks=[dialect.reply(response)])
    asked = {"stream_options": {"include_usage": wants_usage}}
    events = [chunk(event) for event in dialect.events(response, asked)]
    writes: list[bytes | asyncio.Event | float] = [*events[:-1], events[-1] + chunk(b"")]
    if named is not None and named[3]:
        writes = [b"".join(events) + chunk(b"")]
    elif named is not None and named[2]:
        # The first event names the role; the words follow it.
        first, rest, pause_s = writes[0], writes[1:], int(named[2]) / 1000
        writes = [first, *(item for write in rest[:words] for item in (pause_s, write)), *rest[words:]]
    return Exact(headers={"content-type": dialect.stream_type, "transfer-encoding": "chunked"}, chunks=writes)


if __name__ == "__main__":
    main()
