"""The floor: what anybody pays who posts JSON with aiohttp and reads the reply. Checks nothing, guards nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from benchmarks.contestants import ANSWER, KEY, PROMPT

_HEADERS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Spoken:
    """A dialect, as far as this prompt and its answer need it. text: of a plain answer. tokens: of a plain answer, or of the chunk
    that has them, 0 for others. said: a chunk's text. is_sse: else a stream is a JSON object a line."""

    path: Callable[[str, bool], str]
    body: Callable[[str, bool], dict[str, Any]]
    text: Callable[[dict[str, Any]], str]
    tokens: Callable[[dict[str, Any]], int]
    said: Callable[[dict[str, Any]], str]
    is_sse: bool = True


def _chat_body(model: str, stream: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    return {**body, "stream": True, "stream_options": {"include_usage": True}} if stream else body


SPOKEN = {
    "openai_chat": Spoken(
        path=lambda model, stream: "/chat/completions",
        body=_chat_body,
        text=lambda answer: answer["choices"][0]["message"]["content"],
        tokens=lambda chunk: chunk["usage"]["total_tokens"] if chunk.get("usage") else 0,
        said=lambda chunk: chunk["choices"][0]["delta"].get("content") if chunk["choices"] else "",
    ),
    "openai_responses": Spoken(
        path=lambda model, stream: "/responses",
        body=lambda model, stream: {"model": model, "input": PROMPT, "stream": stream},
        text=lambda answer: answer["output"][-1]["content"][0]["text"],
        tokens=lambda chunk: (
            (chunk.get("response") or chunk).get("usage", {}).get("total_tokens", 0)
            if chunk.get("type") in (None, "response.completed")
            else 0
        ),
        said=lambda chunk: chunk["delta"] if chunk["type"] == "response.output_text.delta" else "",
    ),
    "anthropic_messages": Spoken(
        path=lambda model, stream: "/messages",
        body=lambda model, stream: {
            "model": model,
            "max_tokens": 4096,
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": stream,
        },
        text=lambda answer: answer["content"][0]["text"],
        tokens=lambda chunk: chunk["usage"]["output_tokens"] if chunk["type"] in ("message", "message_delta") else 0,
        said=lambda chunk: chunk["delta"].get("text", "") if chunk["type"] == "content_block_delta" else "",
    ),
    "gemini_generate": Spoken(
        path=lambda model, stream: (
            f"/models/{model}:streamGenerateContent?alt=sse" if stream else f"/models/{model}:generateContent"
        ),
        body=lambda model, stream: {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
        text=lambda answer: answer["candidates"][0]["content"]["parts"][0]["text"],
        tokens=lambda chunk: chunk.get("usageMetadata", {}).get("totalTokenCount", 0),
        said=lambda chunk: "".join(
            part.get("text", "") for part in chunk["candidates"][0].get("content", {}).get("parts", ())
        ),
    ),
    "ollama_chat": Spoken(
        path=lambda model, stream: "/chat",
        body=lambda model, stream: {
            "model": model,
            "messages": [{"role": "user", "content": PROMPT}],
            "stream": stream,
        },
        text=lambda answer: answer["message"]["content"],
        tokens=lambda chunk: chunk.get("eval_count", 0),
        said=lambda chunk: chunk["message"]["content"],
        is_sse=False,
    ),
}


class BareClient:
    def __init__(self, session: aiohttp.ClientSession, base_url: str, dialect: str) -> None:
        self._session = session
        self._base_url = base_url if dialect != "ollama_chat" else base_url.removesuffix("/v1") + "/api"
        self._spoken = SPOKEN[dialect]

    async def chat(self, model: str) -> int:
        spoken = self._spoken
        url, body = self._base_url + spoken.path(model, False), orjson.dumps(spoken.body(model, False))
        async with self._session.post(url, data=body, headers=_HEADERS) as reply:
            answer = orjson.loads(await reply.read())
        assert spoken.text(answer) == ANSWER
        assert spoken.tokens(answer)
        return 1

    async def stream(self, model: str, begun: Callable[[], object]) -> int:
        spoken = self._spoken
        said, tokens_of, is_sse = spoken.said, spoken.tokens, spoken.is_sse
        url, body = self._base_url + spoken.path(model, True), orjson.dumps(spoken.body(model, True))
        chunks, rest, tokens = 0, b"", 0
        async with self._session.post(url, data=body, headers=_HEADERS) as reply:
            async for data in reply.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if is_sse:
                        if not line.startswith(b"data: ") or line == b"data: [DONE]":
                            continue
                        line = line[6:]
                    chunk = orjson.loads(line)
                    tokens = tokens_of(chunk) or tokens
                    if said(chunk):
                        if not chunks:
                            begun()
                        chunks += 1
        assert tokens
        return chunks


@asynccontextmanager
async def open_client(base_url: str, dialect: str) -> AsyncGenerator[BareClient]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield BareClient(session, base_url, dialect)
