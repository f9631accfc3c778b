"""Recipe: a function of the caller's gives the bearer token, as azure.identity's `get_bearer_token_provider` does."""

from __future__ import annotations

import asyncio
import inspect

from llmring.exceptions import ProviderAuthenticationError
from llmring.providers.auth.base import TokenProvider, add_bearer
from llmring.secret import Scrubber, Secret
from llmring.transport.base import HTTPRequest


class TokenSigner:
    """Asks the function for every request; it caches and renews by itself. One that is not `async def` runs in a thread."""

    credentials = "its token_provider"

    def __init__(self, provider: str, scrubber: Scrubber, token_provider: TokenProvider) -> None:
        self._provider = provider
        self._scrubber = scrubber
        self._token_provider = token_provider
        self._last: Secret | None = None

    def has_credential(self) -> bool:
        return True

    async def sign(self, request: HTTPRequest) -> None:
        token = await self._ask()
        if token != self._last:
            self._scrubber.add_renewed(self._provider, token)
            self._last = token
        add_bearer(request, token, self._provider)

    async def _ask(self) -> Secret:
        failure: BaseException | None = None
        value: object = None
        try:
            if inspect.iscoroutinefunction(self._token_provider):
                value = await self._token_provider()
            else:
                # It may fetch a token over the network, in which time the event loop would stand still.
                value = await asyncio.to_thread(self._token_provider)
                if inspect.isawaitable(value):
                    value = await value
        except Exception as error:  # the caller's own code
            failure = error
        if failure is not None:
            raise ProviderAuthenticationError(
                f"the token_provider of provider {self._provider} raised {type(failure).__name__}",
                hint="call it by itself to see why",
            ) from failure
        if isinstance(value, str) and value.strip():
            return Secret(value)
        kind = type(value).__name__
        del value  # it may hold the token after all, as bytes or in a tuple: no frame of the traceback is to show it
        raise ProviderAuthenticationError(
            f"the token_provider of provider {self._provider} gave no token but {kind}",
            hint="it is to return the token as str, or an awaitable of it",
        )

    async def close(self) -> None:
        """There is nothing to let go of: the function is the caller's."""
