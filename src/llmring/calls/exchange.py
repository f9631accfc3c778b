"""The pump: one request to one model. Encode, send, feed bytes to the dialect's decoder, hand events on. Decides nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import orjson

from llmring.calls.attempts import find_usage
from llmring.calls.background import finish_job
from llmring.calls.call import Call, PlainCall, PlainReply, Reply
from llmring.calls.fitting import fit_request, note_conversions
from llmring.calls.idempotency import name_call
from llmring.calls.media import LARGE_BYTES, MediaPlace, MediaStep, weigh, without_media
from llmring.calls.options import lay_under
from llmring.calls.source import StreamSource, say_who
from llmring.clock import Clock
from llmring.exceptions import (
    ConfigurationError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
)
from llmring.providers.auth.base import Signer
from llmring.providers.base import BaseLLMProvider
from llmring.resilience.deadline import ReplyClock, effective_timeouts
from llmring.resilience.fallback import with_attempts
from llmring.resolver import Candidate
from llmring.schemas.events import has_content
from llmring.schemas.request import LLMRequest, Timeouts
from llmring.secret import Scrubber
from llmring.transport.alarm import Alarm
from llmring.transport.base import HTTPReply, HTTPRequest, Transport
from llmring.wire.base import Dialect, EncodedRequest, WorksInBackground

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")

_log = logging.getLogger("llmring.calls")

T = TypeVar("T")


class Exchange:
    """Sends a call to a candidate. Callable: `await exchange(call, candidate)`."""

    def __init__(
        self,
        *,
        clock: Clock,
        find_provider: Callable[[str, str | None], BaseLLMProvider],
        find_transport: Callable[[BaseLLMProvider], Transport],
        media: MediaStep,
    ) -> None:
        self._clock = clock
        self._media = media
        self._find_provider = find_provider
        self._find_transport = find_transport
        self._warned: set[str] = set()

    async def __call__(self, call: Call, candidate: Candidate, provider: BaseLLMProvider | None = None) -> Reply:
        """provider: default, the one that has the candidate's name now.

        Raises ConfigurationError for what the dialect cannot say, before any I/O, else a ProviderError that says who.
        """
        provider = provider or self._find_provider(candidate.ref.provider, candidate.credential)
        try:
            http_request, warnings, request, dialect = await self._encode(call, candidate, provider)
            is_job = bool(request.background) and isinstance(dialect, WorksInBackground)
            # No closure, and no more names than are needed below: a garbage collector looks at each for as long as the call takes.
            take = partial(Exchange._take_reply, self, call, candidate, provider, dialect, warnings, is_job)
            reply = await self._converse(
                http_request, provider, request.timeout, call.deadline, call.stream, take, dialect=dialect
            )
            if is_job and isinstance(dialect, WorksInBackground):
                ask = partial(self._ask_about_job, provider, dialect, request.timeout)
                reply.raw = await finish_job(reply.raw, dialect.background, ask, self._clock, call.deadline)
                reply.events = dialect.decode(reply.raw)
            return reply
        except ProviderError as error:
            self._say_who(error, candidate, provider)
            raise

    async def ask(
        self, call: PlainCall[T], candidate: Candidate, provider: BaseLLMProvider | None = None
    ) -> PlainReply[T]:
        """The same for what is not chat."""
        provider = provider or self._find_provider(candidate.ref.provider, candidate.credential)
        try:
            encoded = call.encode(provider, provider.target(candidate.ref.model, candidate.info))
            if provider.row.idempotency_header is not None:
                name_call(encoded, provider.row.idempotency_header, call, candidate.ref.model)
            self._warn_once(encoded.warnings)

            async def take(http: HTTPReply, clock: ReplyClock) -> PlainReply[T]:
                raw = await http.read(clock.until())
                http.close()
                value = call.decode(provider, raw)
                request_id = _request_id(http, provider.scrubber)
                return PlainReply(candidate, value, request_id, encoded.warnings, raw, http.headers)

            http_request = _http_request(encoded, provider, _render(encoded.body))
            return await self._converse(http_request, provider, call.timeout, call.deadline, False, take)
        except ProviderError as error:
            self._say_who(error, candidate, provider)
            raise

    def _say_who(self, error: ProviderError, candidate: Candidate, provider: BaseLLMProvider) -> None:
        if isinstance(error, ProviderConnectionError):
            error.hint = provider.row.hint or error.hint
        say_who(error, candidate, provider.scrubber)

    async def _encode(
        self, call: Call, candidate: Candidate, provider: BaseLLMProvider
    ) -> tuple[HTTPRequest, list[str], LLMRequest, Dialect]:
        """What is sent, with which warnings, of which request, in whose words."""
        request = call.request
        if provider.row.defaults is not None:
            request = lay_under(provider.row.defaults, request, call.extra_params)
        target = provider.target(candidate.ref.model, candidate.info)
        dialect = provider.dialect_for(request, candidate.ref.model)
        notes: list[str] = []
        # Whichever of its keys, and whoever is asked first.
        is_first = candidate.ref is call.resolution.candidates[0].ref
        request = fit_request(request, candidate, target, provider, dialect.name, is_first=is_first, warnings=notes)
        if not is_first:
            notes += note_conversions(request, target, dialect.name)
        stream, under = call.stream, call.extra_params
        weight = weigh(request)
        if weight.media:
            place = MediaPlace(provider, target, dialect.name, call.deadline)
            # What the dialect has no words for is told before anything is fetched or uploaded.
            check = partial(dialect.encode, without_media(request), target, stream=stream, under=under)
            request = await self._media.prepare(request, weight, place, call.fetched, check)
            weight = weigh(request)
        large = weight.size_bytes > LARGE_BYTES
        if large:
            encoded = await asyncio.to_thread(dialect.encode, request, target, stream=stream, under=under)
        else:
            encoded = dialect.encode(request, target, stream=stream, under=under)
        if provider.row.idempotency_header is not None:
            name_call(encoded, provider.row.idempotency_header, call, candidate.ref.model, request.idempotency_key)
        if request.provider_options is not None:
            notes += await provider.prepare(request.provider_options, candidate.ref.model, call.deadline)
        encoded.warnings[:0] = notes
        self._warn_once(encoded.warnings)
        # The body first: where it fails, no local variable of a frame holds a key yet.
        data = await asyncio.to_thread(_render, encoded.body) if large else _render(encoded.body)
        return _http_request(encoded, provider, data), encoded.warnings, request, dialect

    async def _take_reply(
        self,
        call: Call,
        candidate: Candidate,
        provider: BaseLLMProvider,
        dialect: Dialect,
        warnings: list[str],
        is_job: bool,
        http: HTTPReply,
        clock: ReplyClock,
    ) -> Reply:
        """is_job: whether the server may work on in the background, and says here how far it is."""
        reply = Reply(candidate, [], http.status, _request_id(http, provider.scrubber), warnings)
        reply.headers = http.headers
        if call.stream and not _is_json(http, dialect.stream_type):
            await self._begin_stream(call, reply, http, clock, provider, dialect)
            return reply
        # A server that was asked for a stream and answers in one piece is taken at its word.
        reply.raw = raw = await http.read(clock.until())
        http.close()
        if not is_job:
            reply.events = dialect.decode(raw)
        return reply

    async def _ask_about_job(
        self,
        provider: BaseLLMProvider,
        dialect: Dialect,
        timeout: float | Timeouts | None,  # noqa: ASYNC109 - the clocks of a ReplyClock
        encoded: EncodedRequest,
        *,
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
    ) -> bytes:
        async def take(http: HTTPReply, clock: ReplyClock) -> bytes:
            raw = await http.read(clock.until())
            http.close()
            return raw

        http_request = _http_request(encoded, provider, _render(encoded.body))
        return await self._converse(http_request, provider, timeouts or timeout, deadline, False, take, dialect=dialect)

    async def _converse(
        self,
        http_request: HTTPRequest,
        provider: BaseLLMProvider,
        timeout: float | Timeouts | None,  # noqa: ASYNC109 - the clocks of a ReplyClock
        deadline: float | None,
        stream: bool,
        take: Callable[[HTTPReply, ReplyClock], Awaitable[T]],
        *,
        dialect: Dialect | None = None,
    ) -> T:
        """Sends, and has `take` read the reply where its status is good; whatever goes wrong, the connection is let go.

        dialect: in whose words the server says what is wrong; default, the provider's own."""
        sent_key = provider.sent_key
        timeouts = effective_timeouts(timeout, local=provider.row.local)
        clock = ReplyClock(timeouts, started=self._clock.monotonic(), deadline=deadline, stream=stream)
        transport = self._find_transport(provider)
        http = None
        try:
            signer = provider.signer
            if signer is not None:
                await sign(signer, http_request, self._clock, clock.until())
            http = await transport.send(http_request, connect_s=timeouts.connect, until=clock.until())
            if not 200 <= http.status < 300:
                raise await self._failure(http, provider, clock, dialect or provider.dialect)
            return await take(http, clock)
        except BaseException as error:
            failure = clock.error() if isinstance(error, TimeoutError) else error
            if isinstance(failure, ProviderAuthenticationError) and provider.has_changed_key(sent_key):
                failure.outdated = failure.retryable = True
            if http is not None:
                http.close()
                if isinstance(failure, ProviderError):
                    # Ours is cleaned and scrubbed; the dialect reads the header as it came.
                    failure.request_id = _request_id(http, provider.scrubber)
            try:
                if failure is not error:
                    raise failure from None
                raise
            finally:
                del failure  # its traceback holds this frame

    def _warn_once(self, warnings: list[str]) -> None:
        """Every response lists its warnings; the log has each of them once."""
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _log.warning("%s", warning)

    async def _failure(
        self, http: HTTPReply, provider: BaseLLMProvider, clock: ReplyClock, dialect: Dialect
    ) -> ProviderError:
        if 300 <= http.status < 400:
            return ProviderResponseError(
                "the server answered with a redirect, which is not followed: the key would travel with it",
                status=http.status,
                hint=f"set the base_url of provider {provider.name} to where the API is",
            )
        try:
            body = provider.scrubber.scrub(await http.read(clock.until()))
        except (TimeoutError, ProviderError):
            body = (
                b""  # the status says enough: a body that breaks must not turn a refused request into one to send again
            )
        return dialect.classify(http.status, http.headers, body)

    async def _begin_stream(
        self,
        call: Call,
        reply: Reply,
        http: HTTPReply,
        clock: ReplyClock,
        provider: BaseLLMProvider,
        dialect: Dialect,
    ) -> None:
        """Reads up to the first content: until then a failure may still fall over to another model."""
        candidate, request_id, attempts = reply.candidate, reply.request_id, call.attempts

        # Without `reply`, which is to hold the source: a cycle would keep the connection until a garbage collection.
        def tell(error: ProviderError) -> None:
            self._say_who(error, candidate, provider)
            error.request_id = error.request_id or request_id
            with_attempts(error, attempts)

        source = StreamSource(
            http,
            dialect.decode_stream(),
            clock,
            self._clock,
            tell,
            logprobs=bool(call.request.logprobs),
        )
        try:
            while (events := await source.read()) is not None:
                reply.events += events
                if has_content(events):
                    reply.first_content_at = self._clock.monotonic()
                    break
        except ProviderError as error:
            error.usage = find_usage(call, reply.events)
            raise
        reply.source = source


def _render(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, ValueError) as error:
        # orjson names the type, never the value.
        raise ConfigurationError(f"the request holds something that JSON cannot: {error}") from None


def _http_request(encoded: EncodedRequest, provider: BaseLLMProvider, data: bytes) -> HTTPRequest:
    url = provider.base_url + encoded.path  # before the headers: where it fails, no local variable holds a key yet
    headers = provider.headers()
    if encoded.headers and encoded.headers.keys() <= headers.keys():
        headers = {**headers, **encoded.headers}  # the way of a dialect that always sends the same
    elif encoded.headers:
        replaced = {name.lower() for name in encoded.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | encoded.headers
    return HTTPRequest(encoded.method, url, headers, data if encoded.body else None)


async def sign(signer: Signer, request: HTTPRequest, system: Clock, until: float | None) -> None:
    """Signs a request just before it leaves. Raises TimeoutError at `until`: a token may take long to come."""
    if until is None:
        await signer.sign(request)
        return
    alarm = Alarm(system)
    try:
        await alarm.wait(signer.sign(request), until)
    finally:
        alarm.cancel()


def _is_json(http: HTTPReply, stream_type: str) -> bool:
    content_type = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    return content_type.endswith("json") and content_type != stream_type


def _request_id(http: HTTPReply, scrubber: Scrubber) -> str | None:
    headers = http.headers
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value is not None:
            # A server's text: no control characters, nothing outside ASCII, no key that it may have echoed.
            return scrubber.scrub_text("".join(c for c in value if "!" <= c <= "~")[:200]) or None
    return None
