"""Whether the providers answer, whether they take the keys that are set, and whether this machine's clock agrees with theirs.

Each is asked once, all at the same time, each for a short time. A provider that a repository's file declares is asked through the
guard, as its calls are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from llmring.cli.checks.base import Check
from llmring.cli.failures import FINE, REFUSED
from llmring.clock import Clock
from llmring.exceptions import (
    ConfigurationError,
    LLMRingError,
    ProviderAuthenticationError,
    QuotaExhaustedError,
    UnsafeURLError,
)
from llmring.providers.base import BaseLLMProvider
from llmring.secret import safe_url
from llmring.transport.base import HTTPReply, HTTPRequest, Transport

if TYPE_CHECKING:
    from llmring.service import LLMRing

ANSWER_S: Final = 5.0  # guess: a handshake and a refusal take a second from anywhere
# Signed requests are refused beyond five minutes:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html (2026-11-21)
_SKEW_FAILS_S: Final = 300.0
_SKEW_WARNS_S: Final = 60.0  # guess: no machine that asks the time is off by as much

# Where a dialect lists models, below the base URL: https://developers.openai.com/api/reference/resources/models/methods/list,
# https://platform.claude.com/docs/en/api/models/list, https://ai.google.dev/api/models#method:-models.list,
# https://docs.ollama.com/api/tags (2026-11-21)
_LISTINGS: Final = {
    "openai_chat": "/models",
    "openai_responses": "/models",
    "anthropic_messages": "/models",
    "gemini_generate": "/models",
    "ollama_chat": "/tags",
}
# https://platform.claude.com/docs/en/api/versioning (2026-11-21)
_ANTHROPIC_VERSION: Final = {"anthropic-version": "2023-06-01"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What asking gave. status: of HTTP, None where nothing came. date: what the server's clock said; asked_at, heard_at: what ours
    did; seconds since the epoch. refused: by the guard."""

    status: int | None = None
    date: float | None = None
    asked_at: float = 0.0
    heard_at: float = 0.0
    problem: str | None = None
    hint: str | None = None
    timed_out: bool = False
    refused: bool = False
    key_refused: bool = False


class Endpoints:
    """Asks the providers of one ring. plain, guarded: what trusted and untrusted providers are reached through."""

    def __init__(self, ring: LLMRing, *, plain: Transport, guarded: Transport, clock: Clock) -> None:
        self._ring = ring
        self._plain = plain
        self._guarded = guarded
        self._clock = clock

    async def reach(self, names: Sequence[str]) -> dict[str, Answer]:
        """Whether each provider's base URL is answered, with whatever status. No key is sent."""
        answers = await asyncio.gather(*(self._ask(self._ring.get_provider(name), "", {}) for name in names))
        return dict(zip(names, answers, strict=True))

    async def check_keys(self, names: Sequence[str]) -> list[Check]:
        """Whether each provider takes its key, by its listing of models."""
        return list(await asyncio.gather(*(self._check_keys_of(name) for name in names)))

    async def _check_keys_of(self, name: str) -> Check:
        providers = _with_each_key(self._ring, name)
        checks = await asyncio.gather(*(self._check_key(provider) for provider in providers))
        if len(checks) == 1:
            return checks[0]
        # One that is good is enough for calls; one that is not is worth a look.
        statuses = [check.status for check in checks]
        bad = [check for check in checks if check.status == "fail"]
        status = "fail" if len(bad) == len(checks) else "warn" if bad else "unknown" if "unknown" in statuses else "ok"
        told = "; ".join(f"{p.row.key_variables[0]}: {c.text}" for p, c in zip(providers, checks, strict=True))
        return Check(checks[0].id, status, told, bad[0].hint if bad else None)

    async def _check_key(self, provider: BaseLLMProvider) -> Check:
        name = f"auth.{provider.name}"
        listing = _LISTINGS.get(provider.row.dialect)
        if provider.key_source is None and provider.signer is None:
            return Check(name, "skipped", "needs no key")
        if listing is None or provider.signer is not None or provider.row.find_base_url is not None:
            return Check(name, "skipped", "there is no listing to ask; the first call will tell")
        extra = _ANTHROPIC_VERSION if provider.row.dialect == "anthropic_messages" else {}
        try:
            headers = {**provider.headers(), **extra}
        except LLMRingError as error:
            return Check(name, "fail", error.message, error.hint)
        answer = await self._ask(provider, listing, headers)
        hint = f"set {provider.key_source} anew" if provider.key_source != "api_key" else "give another api_key"
        if answer.key_refused:
            return Check(name, "fail", f"the key is refused (HTTP {answer.status})", hint)
        if answer.status is None:
            return Check(name, "unknown", answer.problem or "no answer", answer.hint)
        if not 200 <= answer.status < 300:
            return Check(name, "unknown", f"the listing of models says HTTP {answer.status}, which does not tell")
        # Some vendors list their models to everybody: then the answer says nothing about the key.
        without = await self._ask(provider, listing, extra)
        if without.status is not None and 200 <= without.status < 300:
            return Check(name, "unknown", "the listing of models is open to all; the first call will tell")
        return Check(name, "ok", f"the key is accepted ({provider.key_source})")

    async def _ask(self, provider: BaseLLMProvider, path: str, headers: Mapping[str, str]) -> Answer:
        asked_at = self._clock.now()
        until = self._clock.monotonic() + ANSWER_S
        try:
            url = provider.base_url + path
            transport = self._guarded if provider.row.untrusted else self._plain
            request = HTTPRequest("GET", url, {"User-Agent": "llmring", **headers})
            reply = await transport.send(request, connect_s=ANSWER_S, until=until)
        except TimeoutError:
            return Answer(problem=f"no answer within {ANSWER_S:g} s", timed_out=True)
        except UnsafeURLError as error:
            return Answer(problem=error.message, hint=error.hint, refused=True)
        except LLMRingError as error:
            return Answer(problem=error.message, hint=provider.row.hint or error.hint)
        try:
            key_refused = bool(path) and await _is_key_refused(provider, reply, until)
        finally:
            reply.close()
        return Answer(
            reply.status, _read_date(reply.headers.get("date")), asked_at, self._clock.now(), key_refused=key_refused
        )


async def _is_key_refused(provider: BaseLLMProvider, reply: HTTPReply, until: float) -> bool:
    # A key may be good and not allowed to list models: 403 does not tell.
    if reply.status < 400 or reply.status == 403:
        return False
    try:
        body = await reply.read(until)
    except (LLMRingError, TimeoutError):
        body = b""
    failure = provider.dialect.classify(reply.status, reply.headers, body)
    return isinstance(failure, ProviderAuthenticationError) and not isinstance(failure, QuotaExhaustedError)


def _read_date(text: str | None) -> float | None:
    try:
        date = None if text is None else parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return None if date is None else (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def find_addresses(ring: LLMRing, names: Iterable[str]) -> tuple[dict[str, str], dict[str, LLMRingError]]:
    """Where each provider is called, and what is wrong with the settings of those that cannot be called anywhere."""
    urls: dict[str, str] = {}
    broken: dict[str, LLMRingError] = {}
    for provider in _speakers(ring, names):
        try:
            urls[provider.name] = provider.base_url
        except LLMRingError as error:
            broken[provider.name] = error
    return urls, broken


def find_broken_keys(ring: LLMRing, names: Iterable[str]) -> dict[str, LLMRingError]:
    """The providers whose key could never be sent. Nobody is asked."""
    broken: dict[str, LLMRingError] = {}
    for speaker in _speakers(ring, names):
        errors: list[LLMRingError] = []
        providers = _with_each_key(ring, speaker.name)
        for provider in providers:
            try:
                if provider.signer is None:
                    provider.headers()
            except LLMRingError as error:
                errors.append(error)
        if len(errors) == len(providers):
            broken[speaker.name] = errors[0]
    return broken


def _with_each_key(ring: LLMRing, name: str) -> list[BaseLLMProvider]:
    """The provider, once for each of its keys that is set."""
    provider = ring.get_provider(name)
    each = [ring.get_provider(name, key.variable) for key in provider.row.keys]
    return [found for found in each if found.key_source is not None] or [provider]


def _speakers(ring: LLMRing, names: Iterable[str]) -> Iterator[BaseLLMProvider]:
    """Those that llmring itself speaks to; an object of somebody's does it in its own way."""
    for name in names:
        try:
            yield ring.get_provider(name)
        except ConfigurationError:
            continue


def tell_reach(name: str, url: str, answer: Answer, is_needed: bool) -> Check:
    """is_needed: whether some alias has nobody else to go to."""
    where = safe_url(url)
    if answer.status is not None:
        return Check(f"endpoint.{name}", "ok", f"{where} answers (HTTP {answer.status})")
    if answer.refused:
        return Check(f"endpoint.{name}", "fail", answer.problem or "", answer.hint, REFUSED)
    if answer.timed_out:
        return Check(f"endpoint.{name}", "unknown", f"{where}: {answer.problem}")
    return Check(f"endpoint.{name}", "fail" if is_needed else "warn", answer.problem or "", answer.hint)


def tell_clock(answers: Iterable[Answer]) -> Check:
    """Whether this machine's clock agrees with those who answered: with the one that it is nearest to, for a server may be wrong too."""
    skews = [_skew(answer.date, answer) for answer in answers if answer.date is not None]
    if not skews:
        # The clock alone is no reason to stop: nobody was there to ask, and that is told where it matters.
        return Check("clock", "unknown", "nobody told the time", code=FINE)
    skew = min(skews, key=abs)
    if abs(skew) <= _SKEW_WARNS_S:
        return Check("clock", "ok", f"agrees with what servers say, to within {_SKEW_WARNS_S:g} s")
    text = f"this machine's clock is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead'}"
    hint = "set it (NTP): signed requests and certificates depend on it"
    return Check("clock", "fail" if abs(skew) > _SKEW_FAILS_S else "warn", text, hint)


def _skew(date: float, answer: Answer) -> float:
    """Seconds that the server is ahead of this machine; 0 where it said so between asking and hearing. Its seconds are whole."""
    if date < answer.asked_at - 1:
        return date - answer.asked_at
    return max(0.0, date - answer.heard_at)
