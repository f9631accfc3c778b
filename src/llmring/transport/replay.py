"""Recorded exchanges: `RecordingTransport` writes down what goes by, `ReplayTransport` answers from it without a network.

The file is JSON, `{"llmring_replay": 1, "exchanges": [...]}`. Bodies are kept as they are, prompts included; credentials are not:
of headers and query parameters only those known to be harmless keep their values.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    MalformedResponseError,
    ProviderConnectionError,
    ResponseTooLargeError,
    ServiceClosedError,
)
from llmring.secret import HIDDEN, safe_url
from llmring.transport.base import HTTPReply, HTTPRequest, Transport

_VERSION = 1

# What may be read by everybody; any other header may be a key under a name of its own.
_SHOWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "location",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "server",
        "transfer-encoding",
        "user-agent",
        "x-request-id",
    }
)
_SHOWN_HEADER_STARTS = ("x-ratelimit-", "anthropic-ratelimit-", "openai-processing-", "openai-version")
_SHOWN_PARAMETERS = frozenset({"alt", "api-version"})

_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error
    for error in (
        ConfigurationError,
        MalformedResponseError,
        ProviderConnectionError,
        ResponseTooLargeError,
        TimeoutError,
    )
}


@dataclass(slots=True)
class RecordedError:
    """How an exchange broke: kind is one of ConfigurationError, MalformedResponseError, ProviderConnectionError,
    ResponseTooLargeError, TimeoutError."""

    kind: str
    message: str = ""

    def make(self) -> Exception:
        return _ERRORS[self.kind](self.message)


@dataclass(slots=True)
class RecordedExchange:
    """One request and what came back. A `status` of None: `error` came before a reply did; else `error` follows the chunks.

    The URL is compared without user name and with all query values hidden but the harmless ones; a body of JSON as JSON.
    """

    method: str
    url: str
    body: bytes | None = field(default=None, repr=False)
    status: int | None = 200
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    chunks: list[bytes] = field(default_factory=list[bytes], repr=False)
    error: RecordedError | None = None
    request_headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    def answers(self, request: HTTPRequest) -> bool:
        return (
            self.method == request.method
            and shown_url(self.url) == shown_url(request.url)
            and _comparable(self.body) == _comparable(request.body)
        )


class ReplayTransport:
    """Answers each request from the first exchange that fits and was not used yet."""

    def __init__(self, exchanges: Iterable[RecordedExchange]) -> None:
        self._exchanges = list(exchanges)
        self._closed = False

    @classmethod
    def load(cls, path: Path) -> ReplayTransport:
        """Raises ConfigurationError for a file that cannot be read or is no recording."""
        return cls(load_exchanges(path))

    @property
    def unused(self) -> list[RecordedExchange]:
        """What nobody has asked for yet."""
        return list(self._exchanges)

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        """Raises what was recorded; ConfigurationError where nothing was recorded for this request. Nothing ever waits."""
        if self._closed:
            raise ServiceClosedError("the transport is closed")
        for exchange in self._exchanges:
            if exchange.answers(request):
                break
        else:
            raise ConfigurationError(
                f"no recorded exchange is left for {request.method} {safe_url(request.url)}",
                hint="method, URL and body must be what was recorded, and each exchange answers once",
            )
        self._exchanges.remove(exchange)
        if exchange.status is None:
            raise (exchange.error or RecordedError("ProviderConnectionError", "no reply was recorded")).make()
        return _ReplayedReply(exchange)

    async def close(self) -> None:
        self._closed = True


class _ReplayedReply:
    def __init__(self, exchange: RecordedExchange) -> None:
        self.status = exchange.status or 0
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in exchange.headers.items()}
        self._chunks = iter(exchange.chunks)
        self._error = exchange.error
        self._closed = False

    async def read(self, until: float | None) -> bytes:
        parts: list[bytes] = []
        while data := await self.read_some(until):
            parts.append(data)
        return b"".join(parts)

    async def read_some(self, until: float | None) -> bytes:
        if self._closed:
            raise ProviderConnectionError("the reply was closed")
        data = next(self._chunks, b"")
        if not data and self._error is not None:
            raise self._error.make()
        return data

    def close(self) -> None:
        self._closed = True


class RecordingTransport:
    """Sends by another transport, and keeps what goes by in `exchanges`; `save` writes it to a file."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.exchanges: list[RecordedExchange] = []

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        exchange = RecordedExchange(
            request.method,
            shown_url(request.url),
            request.body,
            status=None,
            request_headers=shown_headers(request.headers),
        )
        self.exchanges.append(exchange)
        try:
            reply = await self._inner.send(request, connect_s=connect_s, until=until)
        except (LLMRingError, TimeoutError) as error:
            exchange.error = _record_error(error)
            raise
        exchange.status = reply.status
        exchange.headers = shown_headers(reply.headers)
        return _RecordedReply(reply, exchange)

    async def close(self) -> None:
        await self._inner.close()

    def save(self, path: Path) -> None:
        """Writes all exchanges so far. A reply that was not read to its end is kept as far as it was read."""
        data = {"llmring_replay": _VERSION, "exchanges": [_to_json(exchange) for exchange in self.exchanges]}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


class _RecordedReply:
    def __init__(self, inner: HTTPReply, exchange: RecordedExchange) -> None:
        self.status = inner.status
        self.headers = inner.headers
        self._inner = inner
        self._exchange = exchange

    async def read(self, until: float | None) -> bytes:
        return await self._read(self._inner.read(until))

    async def read_some(self, until: float | None) -> bytes:
        return await self._read(self._inner.read_some(until))

    async def _read(self, reading: Awaitable[bytes]) -> bytes:
        try:
            data = await reading
        except (LLMRingError, TimeoutError) as error:
            self._exchange.error = _record_error(error)
            raise
        if data:
            self._exchange.chunks.append(data)
        return data

    def close(self) -> None:
        self._inner.close()


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as a recording shows them: names in lower case, values hidden but for the harmless ones."""
    return {name.lower(): value if _is_shown(name.lower()) else HIDDEN for name, value in headers.items()}


def _is_shown(name: str) -> bool:
    return name in _SHOWN_HEADERS or name.startswith(_SHOWN_HEADER_STARTS)


def shown_url(url: str) -> str:
    """The URL as a recording shows it: no user name, no fragment, query values hidden but for the harmless ones."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    query = [
        (name, value if name in _SHOWN_PARAMETERS else HIDDEN)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(query, safe="*"), ""))


def load_exchanges(path: Path) -> list[RecordedExchange]:
    """Raises ConfigurationError for a file that cannot be read or is no recording."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the recording {path} cannot be read: {error}") from None
    version = cast("dict[str, Any]", data).get("llmring_replay") if isinstance(data, dict) else None
    if version != _VERSION:
        raise ConfigurationError(
            f"{path} is no recording of version {_VERSION}",
            hint="a recording begins with {" + f'"llmring_replay": {_VERSION}' + "}; record it anew",
        )
    try:
        return [_from_json(item) for item in cast("list[dict[str, Any]]", data["exchanges"])]
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
        raise ConfigurationError(f"the recording {path} is damaged: {type(error).__name__}: {error}") from None


def _record_error(error: Exception) -> RecordedError:
    kind = next((name for name, known in _ERRORS.items() if isinstance(error, known)), "ProviderConnectionError")
    return RecordedError(kind, error.message if isinstance(error, LLMRingError) else str(error))


def _to_json(exchange: RecordedExchange) -> dict[str, Any]:
    error = exchange.error
    return {
        "request": {
            "method": exchange.method,
            "url": exchange.url,
            "headers": exchange.request_headers,
            "body": None if exchange.body is None else _bytes_to_json(exchange.body),
        },
        "reply": {
            "status": exchange.status,
            "headers": exchange.headers,
            "chunks": [_bytes_to_json(chunk) for chunk in exchange.chunks],
        },
        "error": None if error is None else {"kind": error.kind, "message": error.message},
    }


def _from_json(item: dict[str, Any]) -> RecordedExchange:
    request, reply, error = item["request"], item["reply"], item["error"]
    if error is not None and error["kind"] not in _ERRORS:
        raise ValueError(f"unknown error kind {error['kind']!r}")
    return RecordedExchange(
        method=request["method"],
        url=request["url"],
        body=None if request["body"] is None else _bytes_from_json(request["body"]),
        status=reply["status"],
        headers=dict(reply["headers"]),
        chunks=[_bytes_from_json(chunk) for chunk in reply["chunks"]],
        error=None if error is None else RecordedError(error["kind"], error["message"]),
        request_headers=dict(request["headers"]),
    )


def _bytes_to_json(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _bytes_from_json(value: str | dict[str, str]) -> bytes:
    return value.encode("utf-8") if isinstance(value, str) else base64.b64decode(value["base64"], validate=True)


def _comparable(body: bytes | None) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body
