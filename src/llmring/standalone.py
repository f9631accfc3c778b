"""Providers without a ring: `OpenAIProvider(model="gpt-5-nano")` reads no lockfile, knows no alias and no price, and tries once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from llmring import env
from llmring.calls.direct import DirectCaller
from llmring.calls.exchange import Exchange
from llmring.calls.media import MediaStep
from llmring.calls.options import Defaults
from llmring.clock import Clock, SystemClock
from llmring.exceptions import ServiceClosedError
from llmring.providers.base import BaseLLMProvider
from llmring.providers.declared import ProviderOptions, Trust, declare
from llmring.registry.model_info import ModelInfo
from llmring.schemas.request import RequestOptions
from llmring.secret import Scrubber, Secret
from llmring.transport.base import Transport

if TYPE_CHECKING:
    from llmring.transport.guard import GuardedTransport


class StandaloneProvider(BaseLLMProvider):
    """A provider of llmring's table, or a new one, that owns its connections: use it as `async with …`, or `await close()` it.

    provider: its name. options: as in `LLMRing(providers={name: options})`. model: asked where a call names none; its name or its ModelInfo.
    defaults: options for every request; a request's own value wins. dotenv: whether ./.env is read, as in `LLMRing`.
    clock, transport: for tests. Raises ConfigurationError for what cannot work; needs no key and no network yet.
    """

    def __init__(
        self,
        provider: str,
        options: ProviderOptions | None = None,
        *,
        model: str | ModelInfo | None = None,
        defaults: RequestOptions | None = None,
        dotenv: bool = True,
        clock: Clock | None = None,
        transport: Transport | None = None,
    ) -> None:
        environ = env.load(dotenv)
        declared = declare(provider, options or ProviderOptions(), Trust.CODE)
        clock = clock or SystemClock()
        self._is_open = True
        self._owns_transport = transport is None
        if transport is None:
            from llmring.transport.http import HTTPTransport

            transport = HTTPTransport(clock=clock, guard=None, environ=environ)
        self._transport: Transport = transport
        self._fetcher: GuardedTransport | None = None
        self._make_fetcher = partial(_make_fetcher, clock, environ)
        media = MediaStep(clock=clock, find_fetcher=self._find_fetcher)
        self._uploads = media.uploads
        exchange = Exchange(
            clock=clock, find_provider=lambda name, credential: self, find_transport=self._find_transport, media=media
        )
        caller = DirectCaller(
            exchange, clock, find_info=ModelInfo, defaults=None if defaults is None else Defaults(defaults)
        )
        scrubber = Scrubber()
        if declared.api_key is not None:
            scrubber.add(declared.api_key)
        super().__init__(
            declared.row,
            environ=environ,
            scrubber=scrubber,
            api_key=declared.api_key,
            base_url=declared.base_url,
            token_provider=declared.token_provider,
            caller=caller,
            model=None if model is None else str(model),
        )

    def _find_transport(self, provider: BaseLLMProvider) -> Transport:
        if not self._is_open:
            raise ServiceClosedError(f"this {type(self).__name__} is closed", hint="make a new one")
        return self._transport

    def _find_fetcher(self) -> GuardedTransport:
        if getattr(self._transport, "guard", None) is not None:
            return cast("GuardedTransport", self._transport)
        if self._fetcher is None:
            self._fetcher = self._make_fetcher()
        return self._fetcher

    async def close(self) -> None:
        """Closes every connection, and the SDK client if one was made. Idempotent."""
        self._is_open = False
        await self._uploads.close()
        if self._fetcher is not None:
            await self._fetcher.close()
        if self._owns_transport:
            await self._transport.close()
        await super().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _make_fetcher(clock: Clock, environ: Mapping[str, str]) -> GuardedTransport:
    from llmring.transport.guard import Guard
    from llmring.transport.http import HTTPTransport

    return HTTPTransport(clock=clock, guard=Guard(), environ=environ)


class OpenAIProvider(StandaloneProvider):
    """OpenAI, and with base_url any server that speaks its dialect. api_key: default OPENAI_API_KEY."""

    def __init__(
        self,
        model: str | ModelInfo | None = None,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        organization: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        defaults: RequestOptions | None = None,
        dotenv: bool = True,
    ) -> None:
        options = ProviderOptions(
            api_key=api_key, base_url=base_url, organization=organization, extra_headers=extra_headers or {}
        )
        super().__init__("openai", options, model=model, defaults=defaults, dotenv=dotenv)


class AnthropicProvider(StandaloneProvider):
    """Anthropic. api_key: default ANTHROPIC_API_KEY. max_tokens, default_temperature: where a request says nothing."""

    def __init__(
        self,
        model: str | ModelInfo | None = None,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        max_tokens: int | None = None,
        default_temperature: float | None = None,
        extra_headers: Mapping[str, str] | None = None,
        defaults: RequestOptions | None = None,
        dotenv: bool = True,
    ) -> None:
        options = ProviderOptions(
            api_key=api_key,
            base_url=base_url,
            max_tokens=max_tokens,
            default_temperature=default_temperature,
            extra_headers=extra_headers or {},
        )
        super().__init__(
            "anthropic",
            options,
            model=model,
            defaults=defaults,
            dotenv=dotenv,
        )


class GoogleProvider(StandaloneProvider):
    """Google's Gemini API. api_key: default GEMINI_API_KEY, else GOOGLE_API_KEY."""

    def __init__(
        self,
        model: str | ModelInfo | None = None,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        defaults: RequestOptions | None = None,
        dotenv: bool = True,
    ) -> None:
        options = ProviderOptions(api_key=api_key, base_url=base_url, extra_headers=extra_headers or {})
        super().__init__("google", options, model=model, defaults=defaults, dotenv=dotenv)


class OllamaProvider(StandaloneProvider):
    """Ollama on this machine or another. base_url: default OLLAMA_HOST, else port 11434 of this machine."""

    def __init__(
        self,
        model: str | ModelInfo | None = None,
        *,
        api_key: str | Secret | None = None,
        base_url: str | None = None,
        extra_headers: Mapping[str, str] | None = None,
        defaults: RequestOptions | None = None,
        dotenv: bool = True,
    ) -> None:
        options = ProviderOptions(api_key=api_key, base_url=base_url, extra_headers=extra_headers or {})
        super().__init__("ollama", options, model=model, defaults=defaults, dotenv=dotenv)
