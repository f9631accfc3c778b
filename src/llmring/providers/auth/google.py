"""Recipe "google_adc": an OAuth token of Google's Application Default Credentials, got and renewed by google-auth.

google-auth finds the credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata server of the machine) and
speaks to whoever gives out tokens; its calls block, so they run in a thread. One renewal serves all who wait for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from llmring import env
from llmring.exceptions import (
    MissingCredentialError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ServiceClosedError,
)
from llmring.providers.auth.base import is_header_value
from llmring.providers.availability import require
from llmring.secret import Scrubber, Secret
from llmring.transport.base import HTTPRequest

# https://docs.cloud.google.com/docs/authentication/rest (2026-11-21)
_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
# guess: a token comes in 0.1 s; google-auth's own limit is 120 s a try.
_TOKEN_TIMEOUT_S: Final = 30
_LONGEST_CAUSE: Final = 300


class _State(Protocol):
    name: str  # FRESH; STALE: good for less than 3:45 minutes; INVALID


class _Credentials(Protocol):
    token: str | None

    @property
    def token_state(self) -> _State: ...

    def refresh(self, request: Any, /) -> None: ...

    def apply(self, headers: dict[str, str], /) -> None:
        """Adds the token, and the project that pays where the credentials name one."""
        ...


class GoogleSigner:
    """Sends the token that google-auth holds. A token that soon ends is renewed behind the requests that still use it."""

    credentials = "Google's Application Default Credentials"

    def __init__(self, provider: str, environ: Mapping[str, str], scrubber: Scrubber) -> None:
        self._provider = provider
        self._environ = environ
        self._scrubber = scrubber
        self._known: _Credentials | None = None
        self._known_file: str | None = None
        self._fetching: asyncio.Task[Callable[[], ProviderError] | None] | None = None

    def has_credential(self) -> bool:
        """Whether a project is set: what there is to sign in with, only I/O can tell."""
        return env.get(env.GOOGLE_CLOUD_PROJECT, self._environ) is not None

    async def sign(self, request: HTTPRequest) -> None:
        state = self._state()
        if state != "FRESH":
            require("google.auth", "google-auth", f"provider {self._provider}")
            fetching = self._fetch()
            if state == "INVALID":
                # Not by awaiting it: who waits may be cancelled without it, and close() may cancel it under who waits.
                await asyncio.wait((fetching,))
                if fetching.cancelled():
                    raise ServiceClosedError(f"provider {self._provider} was closed while a token was waited for")
                failure = fetching.result()
                if failure is not None:
                    raise failure()
        self._add_headers(request)

    def _state(self) -> str:
        file = env.get(env.GOOGLE_APPLICATION_CREDENTIALS, os.environ)
        if file != self._known_file:
            self._known, self._known_file = None, file
        return "INVALID" if self._known is None else self._known.token_state.name

    def _add_headers(self, request: HTTPRequest) -> None:
        assert self._known is not None
        own: dict[str, str] = {}
        self._known.apply(own)
        names = {name.lower() for name in own}
        request.headers = {name: value for name, value in request.headers.items() if name.lower() not in names} | own

    def _fetch(self) -> asyncio.Task[Callable[[], ProviderError] | None]:
        """The renewal that is under way, or a new one. It outlives the request that began it: others wait for it too."""
        task = self._fetching
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._fetching = asyncio.create_task(self._renew(self._known, self._known_file))
        return task

    async def _renew(self, known: _Credentials | None, file: str | None) -> Callable[[], ProviderError] | None:
        """Gives the error rather than raising it: each who waits needs one of its own. file: whose credentials these are; by the
        time they come, another may be wanted."""
        found = await asyncio.to_thread(_fetch_token, known, env.get(env.SSL_CERT_FILE, self._environ))
        if isinstance(found, tuple):
            kind, cause = found
            cause = self._scrubber.scrub_text(cause)
            return lambda: self._failure(kind, cause)
        token = Secret(found.token or "")
        if not token or not is_header_value(token):
            return lambda: self._failure(ProviderAuthenticationError, "what came is no token")
        self._scrubber.add_renewed(self._provider, token)
        self._known, self._known_file = found, file
        return None

    def _failure(self, kind: type[ProviderError], cause: str) -> ProviderError:
        hint = f"set {env.GOOGLE_APPLICATION_CREDENTIALS} to a credentials file, or run: gcloud auth application-default login"
        if kind is MissingCredentialError:
            return kind(f"no Google credentials for provider {self._provider}", provider=self._provider, hint=hint)
        return kind(
            f"no token from Google for provider {self._provider}: {cause}",
            provider=self._provider,
            hint=None if kind is ProviderConnectionError else hint,
        )

    async def close(self) -> None:
        """Stops waiting for a token. The thread that asks for it ends by itself."""
        task, self._fetching = self._fetching, None
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            task.cancel()


def _fetch_token(known: _Credentials | None, ca_file: str | None) -> _Credentials | tuple[type[ProviderError], str]:
    """In a thread. An error comes back as its kind and cause alone: google-auth's frames hold private keys."""
    import google.auth
    from google.auth import exceptions

    try:
        request = _make_request(ca_file)
        credentials = known
        if credentials is None:
            found, _ = cast("tuple[Any, Any]", google.auth.default(scopes=_SCOPES, request=request))  # pyright: ignore[reportUnknownMemberType]
            credentials = cast("_Credentials", found)
        credentials.refresh(request)
    except exceptions.DefaultCredentialsError as error:
        file = env.get(env.GOOGLE_APPLICATION_CREDENTIALS, os.environ)
        if file is None:
            return MissingCredentialError, ""
        return ProviderAuthenticationError, f"{env.GOOGLE_APPLICATION_CREDENTIALS}: {_cause(error)}"
    except exceptions.TransportError as error:
        return ProviderConnectionError, _cause(error)
    except exceptions.GoogleAuthError as error:
        return (ProviderConnectionError if cast("Any", error).retryable else ProviderAuthenticationError), _cause(error)
    except Exception as error:  # google-auth and whatever it reads: files, other clouds' metadata
        return ProviderAuthenticationError, f"{type(error).__name__} in google-auth"
    return credentials


def _cause(error: Exception) -> str:
    text = str(error.args[0] if error.args else type(error).__name__)
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_CAUSE]


def _make_request(ca_file: str | None) -> Any:
    """How google-auth sends: over `requests`, with our time limit and, where it is set, SSL_CERT_FILE."""
    from google.auth.transport.requests import Request

    class TimedRequest(Request):
        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: bytes | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: int = _TOKEN_TIMEOUT_S,
            **rest: Any,
        ) -> Any:
            send = cast("Callable[..., Any]", super().__call__)  # pyright: ignore[reportUnknownMemberType]
            return send(url, method, body, headers, timeout, **rest)

    request = TimedRequest()
    if ca_file is not None:
        request.session.verify = ca_file
    return request
