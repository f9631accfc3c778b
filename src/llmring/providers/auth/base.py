"""The seam of auth recipes: what signs a request just before it leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from llmring.exceptions import ProviderAuthenticationError
from llmring.secret import Secret
from llmring.transport.base import HTTPRequest

# Gives a token that is good now, as azure.identity's get_bearer_token_provider does: it caches and renews by itself.
TokenProvider: TypeAlias = Callable[[], str | Awaitable[str]]


class Signer(Protocol):
    """Authenticates the requests of one provider. Reads its credentials at call time: rotating them needs no restart."""

    @property
    def credentials(self) -> str:
        """Where its credentials come from, in words: variables, a file, a function."""
        ...

    def has_credential(self) -> bool:
        """Whether there is something to sign with, as far as can be told without I/O."""
        ...

    async def sign(self, request: HTTPRequest) -> None:
        """Adds the headers that authenticate `request`, whose other headers and body are final.

        It may wait for a token, but never holds up the event loop. Raises MissingCredentialError, ProviderAuthenticationError,
        or ProviderConnectionError where whoever gives out tokens is not reached.
        """
        ...

    async def close(self) -> None:
        """Lets go of what it holds. Idempotent."""
        ...


def is_header_value(secret: Secret) -> bool:
    """Whether a header can hold it. A function of its own, so that no frame of an error's traceback holds the secret."""
    value = secret.reveal()
    return value.isascii() and value.isprintable()


def add_bearer(request: HTTPRequest, token: Secret, provider: str) -> None:
    """Puts the token into Authorization, in place of any other. Raises ProviderAuthenticationError where no header can hold it."""
    if not is_header_value(token):
        raise ProviderAuthenticationError(
            f"the token for provider {provider} holds characters that no header may hold", provider=provider
        )
    headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
    headers["Authorization"] = f"Bearer {token.reveal()}"
    request.headers = headers
