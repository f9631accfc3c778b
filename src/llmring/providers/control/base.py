"""What the vendors' clients have in common: the provider's headers and signatures, and nothing of the environment's."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from llmring import env
from llmring.transport.base import HTTPRequest

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider

# SDKs insist on a key. Where there is none to give, or another header carries it, this one stands in and is taken out again.
NO_KEY: Final = "none"


@dataclass(frozen=True, slots=True)
class SDKClient:
    """A client of a vendor's SDK, and what closes all of it."""

    client: Any
    close: Callable[[], Awaitable[None]]


class _Request(Protocol):
    """What httpx and httpx2 have in common."""

    method: str

    @property
    def url(self) -> object: ...

    @property
    def headers(self) -> Any: ...

    async def aread(self) -> bytes: ...


def own_headers(provider: BaseLLMProvider) -> dict[str, Any]:
    """The provider's headers, without those that an SDK writes itself."""
    return {
        name: value for name, value in provider.headers().items() if name.lower() not in {"content-type", "user-agent"}
    }


def foreign_headers(variable: str) -> list[str]:
    """Names of the headers that an SDK takes from this variable of the process, and sends to whatever host it is given."""
    lines = (env.get(variable, os.environ) or "").split("\n")
    return [name.strip() for name, colon, _ in (line.partition(":") for line in lines) if colon and name.strip()]


def authorize(provider: BaseLLMProvider) -> Callable[[_Request], Awaitable[None]]:
    """An event hook for requests: takes out the key that stands in, and signs where the provider signs."""

    async def sign(request: _Request) -> None:
        headers = request.headers
        if headers.get("authorization") == f"Bearer {NO_KEY}":
            del headers["authorization"]
        signer = provider.signer
        if signer is not None:
            whole = HTTPRequest(request.method, str(request.url), dict(headers), await request.aread())
            await signer.sign(whole)
            for name, value in whole.headers.items():
                headers[name] = value

    return sign
