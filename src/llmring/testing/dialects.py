"""The server's side of each dialect that the fake provider speaks. The request's path says which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import orjson

from llmring.schemas.response import LLMResponse
from llmring.wire.openai_chat.failures import encode_failure
from llmring.wire.openai_chat.response import encode_reply
from llmring.wire.openai_chat.stream import encode_stream


class ServerDialect(Protocol):
    """A dialect as a server speaks it. `body` is a request's parsed JSON object."""

    stream_type: str
    """The content type of a stream."""

    def model(self, path: str, body: Mapping[str, Any]) -> str | None: ...

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool: ...

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        """All text that the model is given to read."""
        ...

    def reply(self, response: LLMResponse) -> bytes: ...

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        """The stream for a response, one event an item; each but the last holds one JSON object. The last one ends it."""
        ...

    def failure(self, status: int, message: str, code: str | None) -> bytes: ...

    def failure_event(self, status: int, message: str, code: str | None) -> bytes: ...


class _OpenAIChatServer:
    stream_type = "text/event-stream"

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        model = body.get("model")
        return model if isinstance(model, str) else None

    def wants_stream(self, path: str, body: Mapping[str, Any]) -> bool:
        return body.get("stream") is True

    def prompt_text(self, body: Mapping[str, Any]) -> str:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return ""
        texts: list[str] = []
        for message in cast("list[Any]", messages):
            match message:
                case {"content": str(text)}:
                    texts.append(text)
                case {"content": [*parts]}:
                    texts += [part["text"] for part in parts if isinstance(part, dict) and "text" in part]
                case _:
                    pass
        return " ".join(texts)

    def reply(self, response: LLMResponse) -> bytes:
        return orjson.dumps(encode_reply(response))

    def events(self, response: LLMResponse, body: Mapping[str, Any]) -> list[bytes]:
        match body:
            case {"stream_options": {"include_usage": True}}:
                return encode_stream(response, include_usage=True)
            case _:
                return encode_stream(response, include_usage=False)

    def failure(self, status: int, message: str, code: str | None) -> bytes:
        return encode_failure(status, message, code=code)

    def failure_event(self, status: int, message: str, code: str | None) -> bytes:
        return b"data: " + encode_failure(status, message, code=code) + b"\n\n"


OPENAI_CHAT: ServerDialect = _OpenAIChatServer()

_BY_PATH_END: Mapping[str, ServerDialect] = {"/chat/completions": OPENAI_CHAT}


def find_dialect(path: str) -> ServerDialect | None:
    """The dialect that is spoken at this path, None where none is."""
    return next((dialect for end, dialect in _BY_PATH_END.items() if path.endswith(end)), None)
