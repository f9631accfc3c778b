"""A provider on this machine: a real HTTP server on 127.0.0.1 that answers what a script says and keeps what it was sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import orjson

from llmring.testing.dialects import OPENAI_CHAT, SERVER_DIALECTS, ServerDialect, find_dialect
from llmring.testing.file_store import FileStore
from llmring.testing.http_server import Action, HTTPServer, Request, plain
from llmring.testing.replies import answer_aside, play
from llmring.testing.steps import Answer, Exact, Fault, FaultKind, SeededFaults, Step

if TYPE_CHECKING:
    from ssl import SSLContext


class Received:
    """One request as the fake provider got it.

    number: 0 for the first. connection: which connection it came on, 0 for the first; equal where one was reused.
    method, path (without its query), query. dialect: the name of the one that is spoken at that path. headers: names in lower case. raw: the body's bytes.
    body: the body as a JSON object, empty where it is none. model: the one asked for. stream: whether a stream was asked for.
    """

    __slots__ = (
        "body",
        "connection",
        "dialect",
        "headers",
        "method",
        "model",
        "number",
        "path",
        "query",
        "raw",
        "stream",
    )

    def __init__(self, number: int, request: Request, dialect: ServerDialect) -> None:
        self.number = number
        self.dialect = dialect.name
        self.connection = request.connection
        self.method = request.method
        self.path, _, self.query = request.target.partition("?")
        self.headers = request.headers
        self.raw = request.body
        self.body = _read_object(request.body)
        self.model = dialect.model(self.path, self.body)
        self.stream = dialect.wants_stream(self.path, self.body)

    def __repr__(self) -> str:
        return f"<Received {self.number}: {self.method} {self.path} {self.model} {len(self.raw)} bytes>"


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


class _Script:
    """Steps in order. The last one stays: `script(Answer("hi"))` answers every request."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)

    def next(self) -> Step:
        return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]


class FakeProvider:
    """`async with FakeProvider() as fake:` listens on a free port of 127.0.0.1, on the running event loop.

    Until `script` says otherwise, every request gets `Answer()`. port: 0 takes a free one. record: whether `received` is kept;
    a benchmark leaves it off. ssl: a server context, for https. models: what the model listing names.

    It also embeds texts (the same vector for the same text, 8 numbers unless the request says how many), counts tokens and
    lists models, in the words of each dialect that has them. A token is a word, everywhere. `files` holds what was uploaded.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        record: bool = True,
        ssl: SSLContext | None = None,
        models: Sequence[str] = ("fake-model",),
    ) -> None:
        self._models = tuple(models)
        self.received: list[Received] = []
        self.files = FileStore()
        self._port = port
        self._record = record
        self._ssl = ssl
        self._server = HTTPServer(self._answer)
        self._count = 0
        self._scripts: dict[str | None, _Script] = {None: _Script([Answer()])}
        self._faults: tuple[int, SeededFaults] | None = None

    async def __aenter__(self) -> FakeProvider:
        await self._server.start(port=self._port, ssl=self._ssl)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every connection and stops listening; returns when all are gone. Idempotent."""
        await self._server.close()

    @property
    def url(self) -> str:
        """The server itself, without a path."""
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a provider's `base_url` wants: `http://127.0.0.1:<port>/v1`."""
        return f"{self.url}/v1"

    def base_url_of(self, dialect: str) -> str:
        """The same for a provider of this dialect, with what its vendor's base URL ends in: `/v1`, `/v1beta`, `/api`.

        Raises ValueError for a dialect that the fake provider does not speak.
        """
        known = {spoken.name: spoken.base_path for spoken in SERVER_DIALECTS}
        if dialect not in known:
            raise ValueError(f"base_url_of: {dialect!r} is none of {', '.join(known)}")
        return f"{self.url}{known[dialect]}"

    @property
    def port(self) -> int:
        return self._server.port

    def script(self, *steps: Step, model: str | None = None) -> None:
        """What to do with the requests that come from now on: one step a request, the last one again and again.

        model: only for requests that name this model; without it, for all that have no script of their own. A new script
        takes the place of the one before it. Raises ValueError for no steps.
        """
        if not steps:
            raise ValueError("script: name at least one step, such as Answer('hi')")
        self._scripts[model] = _Script(steps)

    def faults(self, *, rate: float, seed: int, kinds: Sequence[FaultKind | Fault] | None = None) -> None:
        """From now on that share of requests (0 to 1) gets a fault in place of its script's step, which is not used up.

        The same seed strikes the same requests, counted from here, with the same faults. kinds: default, every kind that ends
        by itself. rate 0 ends it. Raises ValueError for an unknown kind.
        """
        faults = SeededFaults(rate, seed) if kinds is None else SeededFaults(rate, seed, kinds)
        self._faults = (self._count, faults)

    def release(self) -> None:
        """Lets every reply go on that a waiting fault (hang, stall, slow_head) holds at this moment. See `wait_held`."""
        self._server.release()

    @property
    def connections_opened(self) -> int:
        """How many connections were made, closed ones included."""
        return self._server.connections_opened

    @property
    def open_connections(self) -> int:
        return len(self._server.connections)

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return self._server.in_flight

    @property
    def max_in_flight(self) -> int:
        """How many requests were being answered at once, at most."""
        return self._server.max_in_flight

    async def wait_received(self, count: int = 1) -> None:
        """Waits until `count` requests have come, all counted since the start."""
        await self._server.wait_until(lambda: self._count >= count)

    async def wait_held(self, count: int = 1) -> None:
        """Waits until a waiting fault holds `count` replies: everything that comes before the wait has been written."""
        await self._server.wait_until(lambda: self._server.held >= count)

    async def wait_disconnected(self, down_to: int = 0) -> None:
        """Waits until no more than `down_to` connections are open. Returns at once where none were made yet."""
        await self._server.wait_until(lambda: self.open_connections <= down_to)

    async def wait_idle(self) -> None:
        """Waits until no request is being answered."""
        await self._server.wait_until(lambda: self.in_flight == 0)

    def _answer(self, request: Request) -> Iterable[Action]:
        found = find_dialect(request.method, request.target.partition("?")[0])
        dialect, endpoint = found or (None, "chat")
        received = Received(self._count, request, dialect or OPENAI_CHAT)
        self._count += 1
        if self._record:
            self.received.append(received)
        self._server.notify()
        # No step of the script: uploading is no call.
        stored = self.files.answer(received, self.url)
        if stored is not None:
            return play(stored, received, dialect or OPENAI_CHAT)
        step = self._next_step(received)
        if isinstance(step, Answer):
            if dialect is None or (received.model is None and endpoint != "models"):
                return [_refuse(received, dialect)]
            if endpoint != "chat":
                return [answer_aside(endpoint, received, dialect, self._models)]
        return play(step, received, dialect or OPENAI_CHAT)

    def _next_step(self, received: Received) -> Answer | Exact | Fault:
        if self._faults is not None:
            first, faults = self._faults
            fault = faults.at(received.number - first)
            if fault is not None:
                return fault
        step = (self._scripts.get(received.model) or self._scripts[None]).next()
        return step if isinstance(step, Answer | Exact | Fault) else self._ask(step, received)

    def _ask(self, step: Any, received: Received) -> Answer | Exact | Fault:
        try:
            return step(received)
        except Exception as error:  # the test's own code: what it raises must not pass for a broken connection
            return Fault.status(500, f"the script's own function failed: {type(error).__name__}: {error}")


def _refuse(received: Received, dialect: ServerDialect | None) -> bytes:
    if dialect is None:
        status, message = 404, f"The fake provider speaks no dialect at {received.path}; script an Exact for it."
    else:
        status, message = 400, "The fake provider found no JSON object with a model in the request."
    body = (dialect or OPENAI_CHAT).failure(status, message, None)
    return plain(status, {"content-type": "application/json"}, body)
