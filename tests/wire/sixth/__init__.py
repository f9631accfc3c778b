"""A made-up dialect, for test_sixth_dialect.py: a folder of four files, as `src/llmring/wire/sixth/` would be.

A request is `{"ask": [[role, text], …], "of": model}`; an answer is `{"by": model, "say": text, "why": "done", "cost": [in, out]}`;
a stream is a line for each word, `{"say": word}`, and a last one with everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.exceptions import ProviderError
from llmring.schemas.events import Event
from llmring.schemas.request import LLMRequest
from llmring.wire.base import Dialect, EncodedRequest, StreamDecoder, Target

from .failures import classify
from .request import encode
from .response import decode
from .stream import SixthDecoder


class _Sixth:
    name = "sixth"
    stream_type = "application/jsonl"
    embeddings = None
    token_count = None
    background = None

    def encode(
        self, request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
    ) -> EncodedRequest:
        return encode(request, target, stream=stream, under=under)

    def decode(self, body: bytes) -> list[Event]:
        return decode(body)

    def decode_stream(self) -> StreamDecoder:
        return SixthDecoder()

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        return classify(status, headers, body)


DIALECT: Dialect = _Sixth()
