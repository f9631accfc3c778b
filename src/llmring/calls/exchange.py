"""The pump: one request to one model. Encode, send, feed bytes to the dialect's decoder, hand events on. Decides nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

import orjson

from llmring.calls.call import Call, Reply
from llmring.clock import Clock
from llmring.exceptions import (
    ConfigurationError,
    DeadlineExceededError,
    LLMRingError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    StreamInterruptedError,
)
from llmring.providers.base import BaseLLMProvider
from llmring.resilience.deadline import ReplyClock, effective_timeouts
from llmring.resilience.fallback import with_attempts
from llmring.resolver import Candidate
from llmring.schemas.events import Event, has_content
from llmring.secret import Scrubber
from llmring.transport.base import HTTPReply, HTTPRequest, Transport
from llmring.wire.base import EncodedRequest, StreamDecoder

_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")

_log = logging.getLogger("llmring.calls")


class Exchange:
    """Sends a call to a candidate. Callable: `await exchange(call, candidate)`."""

    def __init__(
        self,
        *,
        clock: Clock,
        scrubber: Scrubber,
        find_provider: Callable[[str], BaseLLMProvider],
        find_transport: Callable[[BaseLLMProvider], Transport],
    ) -> None:
        self._clock = clock
        self._scrubber = scrubber
        self._find_provider = find_provider
        self._find_transport = find_transport
        self._warned: set[str] = set()

    async def __call__(self, call: Call, candidate: Candidate) -> Reply:
        """Raises ConfigurationError for what the dialect cannot say, before any I/O, else a ProviderError that says who."""
        provider = self._find_provider(candidate.ref.provider)
        try:
            return await self._run(call, candidate, provider)
        except ProviderError as error:
            self._say_who(error, candidate, provider)
            raise

    def _say_who(self, error: ProviderError, candidate: Candidate, provider: BaseLLMProvider) -> None:
        """Puts names to an error, and takes secrets out of what a server wrote into it."""
        error.provider = error.provider or candidate.ref.provider
        error.model = error.model or candidate.ref.model
        if isinstance(error, ProviderConnectionError):
            error.hint = provider.row.hint or error.hint
        error.message = self._scrubber.scrub_text(error.message)
        error.args = (error.message,)
        error.code = error.code and self._scrubber.scrub_text(error.code)
        error.request_id = error.request_id and self._scrubber.scrub_text(error.request_id)

    async def _run(self, call: Call, candidate: Candidate, provider: BaseLLMProvider) -> Reply:
        request = call.request
        encoded = provider.dialect.encode(
            request,
            provider.target(candidate.ref.model, candidate.info),
            stream=call.stream,
            under=call.extra_params,
        )
        self._warn_once(encoded.warnings)
        http_request = _http_request(encoded, provider)
        timeouts = effective_timeouts(request.timeout, local=provider.row.local)
        clock = ReplyClock(timeouts, started=self._clock.monotonic(), deadline=call.deadline, stream=call.stream)
        transport = self._find_transport(provider)
        http = None
        try:
            http = await transport.send(http_request, connect_s=timeouts.connect, until=clock.until())
            reply = Reply(candidate, provider, [], http.status, _request_id(http, self._scrubber), encoded.warnings)
            if not 200 <= http.status < 300:
                raise await self._failure(http, provider, clock)
            if call.stream and not _is_json(http):
                await self._begin_stream(call, reply, http, clock)
                return reply
            # A server that was asked for a stream and answers in one piece is taken at its word.
            reply.raw = await http.read(clock.until())
            http.close()
            reply.events = provider.dialect.decode(reply.raw)
            return reply
        except BaseException as error:
            failure = clock.error() if isinstance(error, TimeoutError) else error
            if http is not None:
                http.close()
                if isinstance(failure, ProviderError):
                    # Ours is cleaned and scrubbed; the dialect reads the header as it came.
                    failure.request_id = _request_id(http, self._scrubber)
            if failure is not error:
                raise failure from None
            raise

    def _warn_once(self, warnings: list[str]) -> None:
        """Every response lists its warnings; the log has each of them once."""
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                _log.warning("%s", warning)

    async def _failure(self, http: HTTPReply, provider: BaseLLMProvider, clock: ReplyClock) -> ProviderError:
        if 300 <= http.status < 400:
            return ProviderResponseError(
                "the server answered with a redirect, which is not followed: the key would travel with it",
                status=http.status,
                hint=f"set the base_url of provider {provider.name} to where the API is",
            )
        try:
            body = self._scrubber.scrub(await http.read(clock.until()))
        except (TimeoutError, ProviderError):
            body = (
                b""  # the status says enough: a body that breaks must not turn a refused request into one to send again
            )
        return provider.dialect.classify(http.status, http.headers, body)

    async def _begin_stream(self, call: Call, reply: Reply, http: HTTPReply, clock: ReplyClock) -> None:
        """Reads up to the first content: until then a failure may still fall over to another model."""
        candidate, provider, request_id, attempts = reply.candidate, reply.provider, reply.request_id, call.attempts

        # Without `reply`, which is to hold the source: a cycle would keep the connection until a garbage collection.
        def say_who(error: ProviderError) -> None:
            self._say_who(error, candidate, provider)
            error.request_id = error.request_id or request_id
            with_attempts(error, attempts)

        source = _StreamSource(
            http,
            provider.dialect.decode_stream(),
            clock,
            self._clock,
            say_who,
        )
        while True:
            events = await source.read()
            if events is None:
                break
            reply.events += events
            if has_content(events):
                reply.first_content_at = self._clock.monotonic()
                break
        reply.source = source


# How long a server may take to end the body after the dialect's last event, so that its connection can be used again.
_LAST_BYTES_S = 0.25


class _StreamSource:
    """The bytes of a stream as events, under the reply's clocks."""

    __slots__ = ("_clock", "_decoder", "_ended", "_http", "_monotonic", "_say_who")

    def __init__(
        self,
        http: HTTPReply,
        decoder: StreamDecoder,
        clock: ReplyClock,
        system: Clock,
        say_who: Callable[[ProviderError], None],
    ) -> None:
        self._http = http
        self._decoder = decoder
        self._clock = clock
        self._monotonic = system.monotonic
        self._say_who = say_who
        self._ended = False

    async def read(self) -> list[Event] | None:
        """The events of the next bytes; None at the end."""
        if self._ended:
            return None
        if self._decoder.finished:
            self._decoder.close()  # raises the error that a server sent in the same bytes as the last events
            await self._end()
            return None
        clock = self._clock
        clock.resume(self._monotonic())
        data = await self._http.read_some(clock.until())
        if not data:
            self.close()
            return self._decoder.close()
        events = self._decoder.feed(data)
        if has_content(events):
            clock.heard_content(self._monotonic())
        else:
            clock.heard(self._monotonic())
        return events

    async def _end(self) -> None:
        """The answer is whole: nothing that happens from here on can spoil it."""
        try:
            await self._http.read_some(self._monotonic() + _LAST_BYTES_S)
        except (TimeoutError, LLMRingError):
            pass
        finally:
            self.close()

    async def next_events(self) -> list[Event] | None:
        try:
            return await self.read()
        except TimeoutError:
            self.close()
            self._interrupt(self._clock.error())
        except ProviderError as error:
            self.close()
            self._interrupt(error)
        except BaseException:
            self.close()
            raise

    def _interrupt(self, cause: ProviderError) -> NoReturn:
        """Content has reached the caller: whatever the cause, what is left is an interrupted stream."""
        self._say_who(cause)
        if isinstance(cause, (StreamInterruptedError, DeadlineExceededError)):
            raise cause from None
        error = StreamInterruptedError(
            f"the stream ended early: {cause.message}",
            status=cause.status,
            code=cause.code,
            request_id=cause.request_id,
            retry_after_s=cause.retry_after_s,
            hint=cause.hint,
        )
        self._say_who(error)
        raise error from cause

    def close(self) -> None:
        self._ended = True
        self._http.close()


def _http_request(encoded: EncodedRequest, provider: BaseLLMProvider) -> HTTPRequest:
    # The body first: where it fails, no local variable of this frame holds a key yet.
    try:
        data = orjson.dumps(encoded.body)
    except (TypeError, ValueError) as error:
        # orjson names the type, never the value.
        raise ConfigurationError(f"the request holds something that JSON cannot: {error}") from None
    headers = provider.headers()
    if encoded.headers:
        replaced = {name.lower() for name in encoded.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in replaced} | encoded.headers
    return HTTPRequest("POST", provider.base_url + encoded.path, headers, data)


def _is_json(http: HTTPReply) -> bool:
    return http.headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json")


def _request_id(http: HTTPReply, scrubber: Scrubber) -> str | None:
    headers = http.headers
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value is not None:
            # A server's text: no control characters, nothing outside ASCII, no key that it may have echoed.
            return scrubber.scrub_text("".join(c for c in value if "!" <= c <= "~")[:200]) or None
    return None
