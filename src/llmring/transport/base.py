"""The seam between llmring and HTTP: one method, `send`. Everything above it is the same whatever carries the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class HTTPRequest:
    """One request. `url` is whole; `headers` are sent as they are. Its repr shows neither: both may hold keys."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


class HTTPReply(Protocol):
    """A reply whose head has arrived. Not reading it to its end and not closing it leaks a connection."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case; of a name that came twice, the first."""
        ...

    async def read(self, until: float | None) -> bytes:
        """The whole body, decompressed. Raises ResponseTooLargeError past `max_body_bytes`, TimeoutError at `until`,
        ProviderConnectionError where the connection breaks. `until` is in the clock's `monotonic()` seconds.
        Of one reply, either `read` or `read_some` is called."""
        ...

    async def read_some(self, until: float | None) -> bytes:
        """The next bytes of the body as they come, b"" at its end. Raises as `read` does, ResponseTooLargeError only past
        `max_stream_bytes`; all that arrived before a connection broke is given out first."""
        ...

    def close(self) -> None:
        """Done with it: at the body's end the connection goes back to the pool, before it the connection is cut. Idempotent."""
        ...


class Transport(Protocol):
    """Sends requests. Redirects are never followed: keys would travel with them."""

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        """Sends and waits for the reply's head. Raises ProviderConnectionError where no connection stands within `connect_s`
        or it breaks, TimeoutError at `until`."""
        ...

    async def close(self) -> None:
        """Closes every connection. Idempotent."""
        ...
