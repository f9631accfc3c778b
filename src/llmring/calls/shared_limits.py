"""Limits that several processes share through Redis: who asks it for a slice, and what happens while it cannot be reached.

The package `redis` is loaded where a `SharedLimits` is made, and by nobody else.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast
from weakref import WeakKeyDictionary

from llmring.calls.limit_script import SCRIPT, read_reply, write_arguments
from llmring.clock import Clock
from llmring.exceptions import ConfigurationError
from llmring.resilience.breaker import BreakerState, Scope, Transition
from llmring.resilience.lease import SharedQuota, SharingHealth, Wish
from llmring.resilience.policy import RateLimits
from llmring.resilience.quota import Quota
from llmring.secret import SafeUrl, Secret
from llmring.transport.alarm import Alarm

# How often a server that is gone is tried again; callers do not wait for it. Guess.
_RETRY_S: Final = 1.0
_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_PAUSED_ELSEWHERE: Final = "another process was told to wait"


class SharedLimits:
    """Rate limits that all processes keep together which name the same Redis: `LLMRing(limits=SharedLimits("redis://…", limits))`.

    url: redis://, rediss:// or unix://; may hold a password, which is never shown. limits: as LLMRing takes them; the same in all
    processes. Requests and tokens a minute, and servers' pauses, are shared; max_concurrent is each process's own. Keys in Redis hold
    no API key.
    workers: how many processes there are at least: by that a limit is divided where Redis was never reached; later, by how many were
    last seen. lease_s (seconds): how long a slice is good; longer asks less often, and leaves more of a limit unused when a process
    dies. timeout_s (seconds): how long a call waits for Redis, once, before the process goes on alone; it does as well where an
    answer takes as long as a lease. namespace: what keys begin with.

    Raises ConfigurationError, where the package redis is missing too.
    """

    def __init__(
        self,
        url: str | Secret,
        limits: Mapping[str, RateLimits] | RateLimits,
        *,
        workers: int = 1,
        lease_s: float = 0.5,
        timeout_s: float = 0.5,
        namespace: str = "llmring",
    ) -> None:
        text = url.reveal() if isinstance(url, Secret) else url
        if not text.startswith(_SCHEMES):
            raise ConfigurationError(
                "SharedLimits.url is no URL of a Redis server", hint="redis://host:6379/0, rediss://… or unix:///path"
            )
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(f"SharedLimits.workers: {workers!r}", hint="a whole number, 1 or more")
        if not 0.05 <= lease_s <= 5:
            raise ConfigurationError(f"SharedLimits.lease_s: {lease_s!r}", hint="seconds, from 0.05 to 5")
        if not 0.01 <= timeout_s <= 10:
            raise ConfigurationError(f"SharedLimits.timeout_s: {timeout_s!r}", hint="seconds, from 0.01 to 10")
        self.url = SafeUrl(text)
        self.limits = limits
        self.workers = workers
        self.lease_s = lease_s
        self.timeout_s = timeout_s
        self.namespace = namespace
        self._connect = _load()
        try:
            self.connect()  # without I/O
        except ValueError as error:
            raise ConfigurationError(
                f"SharedLimits.url {self.url}: {type(error).__name__}", hint="redis://host:6379/0"
            ) from None

    def connect(self) -> RedisClient:
        """A client of its own, which connects when it is first used."""
        return self._connect(self.url.reveal(), self.timeout_s)

    def __repr__(self) -> str:
        return f"SharedLimits('{self.url}', workers={self.workers})"


class Script(Protocol):
    async def __call__(self, *, keys: list[str], args: list[str]) -> object: ...


class RedisClient(Protocol):
    """Of redis.asyncio.Redis, what is used here."""

    def register_script(self, script: str) -> Script: ...

    async def aclose(self) -> None: ...


class LimitSharing:
    """One ring's part in shared limits: makes the quotas, asks for their slices, and tells when Redis goes and comes.

    find_account: what a provider's limits belong to: its key and its base URL, given its name and which of its keys.
    longest_pause_s (seconds): how long a pause is believed that another process tells of. Callable from one event loop at a time.
    """

    def __init__(
        self,
        shared: SharedLimits,
        clock: Clock,
        find_account: Callable[[str, str | None], tuple[Secret | None, str]],
        *,
        longest_pause_s: float,
    ) -> None:
        self._shared = shared
        self._clock = clock
        self._find_account = find_account
        self._longest_pause_s = longest_pause_s
        self.tell: Callable[[Transition], None] | None = None
        self._worker = secrets.token_hex(8)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: RedisClient | None = None
        self._script: Script | None = None
        self._quotas: WeakKeyDictionary[SharedQuota, tuple[str, str | None, str]] = WeakKeyDictionary()
        self._tasks: dict[SharedQuota, asyncio.Task[None]] = {}
        self._reason: str | None = None  # why each goes alone; None while Redis answers
        self._retry_at = 0.0
        self._closed = False

    def make_quota(
        self, provider: str, credential: str | None, model: str, limits: RateLimits, *, is_bound: bool
    ) -> Quota:
        """A shared one where there are rates to share."""
        if limits.requests_per_minute is limits.tokens_per_minute is None:
            return Quota(limits, is_bound=is_bound)
        shared = self._shared
        quota = SharedQuota(limits, self._clock, self._ask, lease_s=shared.lease_s, at_least=shared.workers)
        self._quotas[quota] = (provider, credential, model)
        if self._reason is not None:
            quota.go_alone()
        return quota

    def health(self) -> SharingHealth:
        """Changes nothing, and may be asked for by any thread: of a copy, because calls add quotas meanwhile."""
        quotas = (known() for known in self._quotas.keyrefs())
        workers = max((quota.workers for quota in quotas if quota is not None), default=self._shared.workers)
        reason = self._reason
        if reason is None:
            return SharingHealth(str(self._shared.url), True, "", None, workers)
        retry_in_s = max(0.0, self._retry_at - self._clock.monotonic())
        return SharingHealth(str(self._shared.url), False, reason, retry_in_s, workers)

    async def close(self) -> None:
        """Ends what is under way, and the connections. Idempotent."""
        self._closed = True
        tasks = [task for task in self._tasks.values() if task.get_loop() is asyncio.get_running_loop()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for quota in list(self._quotas):  # nobody answers any more: whoever still comes must not wait for that
            quota.go_alone()
            quota.tell_change()
        client, self._client, self._script = self._client, None, None
        if client is not None and self._loop is asyncio.get_running_loop():
            try:
                await client.aclose()
            except Exception:  # the package's own: a connection that cannot be closed is gone  # noqa: S110
                pass

    def _ask(self, quota: SharedQuota) -> None:
        """A quota has a wish. One question is under way for each at a time."""
        if self._closed or (self._reason is not None and self._clock.monotonic() < self._retry_at):
            return
        task = self._tasks.get(quota)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a pause that is ended by hand, outside of any loop: told with the next wish
        if task is None or task.done() or task.get_loop() is not loop:
            self._tasks[quota] = loop.create_task(self._lease(quota))

    async def _lease(self, quota: SharedQuota) -> None:
        """Asks until there is nothing more to ask for."""
        alarm = Alarm(self._clock)
        try:
            while (wish := quota.wish()) is not None:
                asked_at = self._clock.monotonic()
                try:
                    reply = await alarm.wait(self._call(quota, wish), asked_at + self._shared.timeout_s)
                    granted = read_reply(reply)
                    if self._clock.monotonic() - asked_at >= self._shared.lease_s:
                        raise TimeoutError  # what it grants is over by now, and so would be the next
                except Exception as error:  # whatever the package raises: no call waits for Redis twice
                    self._go_alone(quota, error)
                    return
                now = self._clock.monotonic()
                quota.grant(wish, granted.due_after_s, asked_at, now, granted.workers)
                pause_s = min(granted.pause_s, self._longest_pause_s)
                if pause_s and quota.learn_pause(now + pause_s, _PAUSED_ELSEWHERE):
                    self._tell_pause(quota, pause_s)
                self._go_together()
                quota.tell_change()
        finally:
            alarm.cancel()
            if self._tasks.get(quota) is asyncio.current_task():
                del self._tasks[quota]

    async def _call(self, quota: SharedQuota, wish: Wish) -> object:
        loop = asyncio.get_running_loop()
        if self._script is None or self._loop is not loop:
            # A client belongs to its loop; that of a loop that has ended cannot be closed any more.
            self._loop = loop
            self._client = self._shared.connect()
            self._script = self._client.register_script(SCRIPT)
        name = self._name(quota)
        # Processes that were forked from one share its name, and count as several.
        worker = f"{self._worker}.{os.getpid()}"
        return await self._script(
            keys=[name, f"{name}:workers"],
            args=write_arguments(worker, wish, quota.rates(), self._shared.lease_s / 2, self._longest_pause_s),
        )

    def _name(self, quota: SharedQuota) -> str:
        """The same for the same account in all processes; of its key, nothing can be learned from it. Keys change, so read anew."""
        provider, credential, model = self._quotas[quota]
        key, base_url = self._find_account(provider, credential)
        secret = b"llmring" if key is None else key.reveal().encode()
        digest = hmac.digest(secret, f"limits\0{provider}\0{base_url}\0{model}".encode(), "sha256")
        # In braces: both keys of a target on one server of a cluster.
        return f"{self._shared.namespace}:limits:{{{digest.hex()[:32]}}}"

    def _go_alone(self, asking: SharedQuota, error: Exception) -> None:
        was = self._reason
        workers = max((quota.workers for quota in self._quotas), default=self._shared.workers)
        what = type(error.__cause__ or error).__name__  # not its text: what that quotes is not ours to know
        self._reason = f"{what}; of each limit, this process takes 1/{workers}"
        self._retry_at = self._clock.monotonic() + _RETRY_S
        # Those that were not alone before. Where all were, one question that fails is no news to the others: they would all ask again.
        quotas = list(self._quotas) if was is None else [asking]
        for quota in quotas:
            quota.go_alone()
        if was is None:
            self._tell(BreakerState.CLOSED, BreakerState.OPEN, self._reason, _RETRY_S)
        for quota in quotas:
            quota.tell_change()

    def _go_together(self) -> None:
        if self._reason is None:
            return
        self._reason = None
        self._tell(BreakerState.OPEN, BreakerState.CLOSED, "Redis answers again", None)
        for quota in list(self._quotas):
            quota.go_together()
            quota.tell_change()

    def _tell(self, old: BreakerState, new: BreakerState, reason: str, retry_in_s: float | None) -> None:
        if self.tell is not None:
            url = str(self._shared.url)
            self.tell(Transition(Scope.SHARED_LIMITS, url, old, new, reason, self._clock.now(), retry_in_s))

    def _tell_pause(self, quota: SharedQuota, pause_s: float) -> None:
        if self.tell is not None:
            provider, _, model = self._quotas[quota]
            target, closed = f"{provider}:{model}", BreakerState.CLOSED
            now = self._clock.now()
            self.tell(Transition(Scope.QUOTA, target, closed, BreakerState.OPEN, _PAUSED_ELSEWHERE, now, pause_s))


def _load() -> Callable[[str, float], RedisClient]:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise ConfigurationError(
            "limits shared over processes need the package redis, which is not installed",
            hint="install redis, or llmring with its extra [redis]",
        ) from None

    make = cast("Callable[..., Any]", Redis.from_url)  # pyright: ignore[reportUnknownMemberType]: its options are untyped

    def connect(url: str, timeout_s: float) -> RedisClient:
        # Once again, on a fresh connection: an old one may have been closed by the server or by what is on the way.
        client: RedisClient = make(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1),
        )
        return client

    return connect
