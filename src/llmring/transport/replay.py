"""Recorded exchanges: `RecordingTransport` writes down what goes by, `ReplayTransport` answers from it without a network.

The file is JSON, `{"llmring_replay": 1, "keys": [...], "exchanges": [...]}`, made to be read in a review: a body of JSON stands there as
JSON, a stream as the pieces that it came in. Prompts and answers are kept as they are; credentials are not: of headers and query
parameters only those known to be harmless keep their values, and a key that goes by is hidden wherever else it stands.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from llmring.exceptions import (
    ConfigurationError,
    LiveRequestError,
    LLMRingError,
    MalformedResponseError,
    ProviderConnectionError,
    ResponseTooLargeError,
    ServiceClosedError,
)
from llmring.regular_file import replace_file
from llmring.secret import HIDDEN, Scrubber, Secret, safe_url
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
# What is hidden in bodies too: the value of another header may be a word like any other.
_HOLDS_KEY = re.compile("auth|key|token|secret|cookie|signature", re.IGNORECASE)
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

    def answers(self, request: HTTPRequest, scrubber: Scrubber | None = None) -> bool:
        body = request.body if scrubber is None or request.body is None else scrubber.scrub(request.body)
        return self._is_about(request) and _comparable(self.body) == _comparable(body)

    def _is_about(self, request: HTTPRequest) -> bool:
        return self.method == request.method and shown_url(self.url) == shown_url(request.url)

    def differs_from(self, request: HTTPRequest) -> str | None:
        """Where the bodies differ, of a request for the same; None where it is for something else."""
        if not self._is_about(request):
            return None
        return _first_difference(_comparable(self.body), _comparable(request.body), "")


@dataclass(slots=True)
class Recording:
    """What a file holds. keys: the variables whose keys there were when it was recorded, by name."""

    exchanges: list[RecordedExchange]
    keys: tuple[str, ...] = ()


class ReplayTransport:
    """Answers each request from the first exchange that fits and was not used yet. scrubber: of what was hidden in them."""

    def __init__(self, exchanges: Iterable[RecordedExchange], scrubber: Scrubber | None = None) -> None:
        self._exchanges = list(exchanges)
        self._scrubber = scrubber
        self._closed = False

    @classmethod
    def load(cls, path: Path) -> ReplayTransport:
        """Raises ConfigurationError for a file that cannot be read or is no recording."""
        return cls(load_recording(path).exchanges)

    @property
    def unused(self) -> list[RecordedExchange]:
        """What nobody has asked for yet."""
        return list(self._exchanges)

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        """Raises what was recorded; LiveRequestError where nothing was recorded for this request. Nothing ever waits."""
        if self._closed:
            raise ServiceClosedError("the transport is closed")
        for exchange in self._exchanges:
            if exchange.answers(request, self._scrubber):
                break
        else:
            raise self._nothing_left(request)
        self._exchanges.remove(exchange)
        if exchange.status is None:
            raise (exchange.error or RecordedError("ProviderConnectionError", "no reply was recorded")).make()
        return _ReplayedReply(exchange)

    def _nothing_left(self, request: HTTPRequest) -> LiveRequestError:
        differences = [found for exchange in self._exchanges if (found := exchange.differs_from(request))]
        why = f"; what comes next differs at {differences[0]}" if differences else ""
        return LiveRequestError(
            f"no recorded exchange is left for {request.method} {safe_url(request.url)}{why}",
            host=_host(request.url),
            hint="method, URL and body must be what was recorded, and each exchange answers once: record it anew",
        )

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
    """Sends by another transport, and keeps what goes by in `exchanges`; `save` writes it to a file. scrubber: knows what else is to be
    hidden there, and learns the keys that go by."""

    def __init__(self, inner: Transport, scrubber: Scrubber | None = None) -> None:
        self._inner = inner
        self._scrubber = scrubber or Scrubber()
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
        self._learn(request)
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

    def _learn(self, request: HTTPRequest) -> None:
        """Keys that stand in headers and queries: servers quote them in their answers."""
        for name, value in request.headers.items():
            if _HOLDS_KEY.search(name):
                for word in value.split():
                    self._scrubber.add(Secret(word))
        for name, value in parse_qsl(urlsplit(request.url).query):
            if _HOLDS_KEY.search(name):
                self._scrubber.add(Secret(value))

    def save(self, path: Path, *, keys: Iterable[str] = ()) -> None:
        """Writes all exchanges so far. A reply that was not read to its end is kept as far as it was read."""
        data = {
            "llmring_replay": _VERSION,
            "keys": list(keys),
            "exchanges": [_to_json(exchange, self._scrubber) for exchange in self.exchanges],
        }
        text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
        replace_file(path, self._scrubber.scrub(text.encode()), mode=0o644)


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


def load_recording(path: Path) -> Recording:
    """Raises ConfigurationError for a file that cannot be read or is no recording."""
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the recording {path} cannot be read: {error}") from None
    found = cast("dict[str, Any]", data) if isinstance(data, dict) else {}
    if found.get("llmring_replay") != _VERSION:
        raise ConfigurationError(
            f"{path} is no recording of version {_VERSION}",
            hint="a recording begins with {" + f'"llmring_replay": {_VERSION}' + "}; record it anew",
        )
    try:
        keys = tuple(str(name) for name in found.get("keys", ()))
        return Recording([_from_json(item) for item in found["exchanges"]], keys)
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error) as error:
        raise ConfigurationError(f"the recording {path} is damaged: {type(error).__name__}: {error}") from None


def _record_error(error: Exception) -> RecordedError:
    kind = next((name for name, known in _ERRORS.items() if isinstance(error, known)), "ProviderConnectionError")
    return RecordedError(kind, error.message if isinstance(error, LLMRingError) else str(error))


def _to_json(exchange: RecordedExchange, scrubber: Scrubber) -> dict[str, Any]:
    error = exchange.error
    scrub = scrubber.scrub
    return {
        "request": {
            "method": exchange.method,
            "url": exchange.url,
            "headers": exchange.request_headers,
            "body": None if exchange.body is None else _bytes_to_json(scrub(exchange.body)),
        },
        "reply": {
            "status": exchange.status,
            "headers": exchange.headers,
            "chunks": [_bytes_to_json(chunk) for chunk in _scrub_pieces(exchange.chunks, scrubber)],
        },
        "error": None if error is None else {"kind": error.kind, "message": error.message},
    }


def _scrub_pieces(chunks: list[bytes], scrubber: Scrubber) -> list[bytes]:
    """A key that was cut in two is in neither piece: then they are joined, and where the cut was is lost."""
    scrubbed = [scrubber.scrub(chunk) for chunk in chunks]
    together = scrubber.scrub(b"".join(chunks))
    return scrubbed if b"".join(scrubbed) == together else [together]


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


def _bytes_to_json(data: bytes) -> str | dict[str, Any]:
    """Text as text; JSON as JSON, where just these bytes come of it again."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
    if text[:1] in ("{", "["):
        try:
            value: Any = json.loads(text)
        except ValueError:
            return text
        if _json_bytes(value) == data:
            return {"json": value}
    return text


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _bytes_from_json(value: str | dict[str, Any]) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    return _json_bytes(value["json"]) if "json" in value else base64.b64decode(value["base64"], validate=True)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _first_difference(recorded: Any, asked: Any, path: str) -> str | None:
    """The path of the first place where two bodies differ; what stands there is not told."""
    if isinstance(recorded, dict) and isinstance(asked, dict):
        ours, theirs = cast("dict[str, Any]", recorded), cast("dict[str, Any]", asked)
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            if name not in ours or name not in theirs:
                return f"{path}.{name}".lstrip(".")
            if (found := _first_difference(ours[name], theirs[name], f"{path}.{name}")) is not None:
                return found
        return None
    if isinstance(recorded, list) and isinstance(asked, list):
        ours, theirs = cast("list[Any]", recorded), cast("list[Any]", asked)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if (found := _first_difference(one, other, f"{path}[{number}]")) is not None:
                return found
        return None if len(ours) == len(theirs) else f"{path}[{min(len(ours), len(theirs))}]".lstrip(".")
    return None if recorded == asked else path.lstrip(".") or "the body"


def _comparable(body: bytes | None) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body
