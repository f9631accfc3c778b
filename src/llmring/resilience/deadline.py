"""How long to wait, and which clock it was that ran out. Times are a clock's `monotonic()` seconds."""

from __future__ import annotations

from llmring.exceptions import DeadlineExceededError, ProviderTimeoutError
from llmring.schemas.request import Timeouts

# docs/reliability.md, "something takes long": a local server may have to load the model first, and may be slow without being stuck.
LOCAL_TIMEOUTS = Timeouts(first_token=300.0, total=None)
DEFAULT_TIMEOUTS = Timeouts()


def effective_timeouts(asked: float | Timeouts | None, *, local: bool) -> Timeouts:
    """The clocks of a call. A plain number limits the whole reply, and the first content of a stream."""
    if isinstance(asked, Timeouts):
        return asked
    base = LOCAL_TIMEOUTS if local else DEFAULT_TIMEOUTS
    if asked is None:
        return base
    return Timeouts(connect=base.connect, first_token=asked, idle=base.idle, total=asked)


_NEVER = float("inf")


def _after(start: float, seconds: float | None) -> float:
    return _NEVER if seconds is None else start + seconds


class ReplyClock:
    """The clocks of one reply: total for a plain one; first token, content and idle for a stream; the deadline over all. `started` is
    when its request began.

    Before the first content of a stream only the first-token clock runs. After it, idle is reset by anything that arrives,
    content only by part of the answer: a server that sends nothing but pings is stuck too.
    """

    __slots__ = (
        "_content_at",
        "_deadline_at",
        "_has_content",
        "_heard_at",
        "_idle_at",
        "_timeouts",
        "_total_at",
        "started",
    )

    def __init__(self, timeouts: Timeouts, *, started: float, deadline: float | None, stream: bool) -> None:
        self.started = started
        self._timeouts = timeouts
        self._deadline_at = _NEVER if deadline is None else deadline
        self._total_at = _NEVER if stream else _after(started, timeouts.total)
        self._content_at = _after(started, timeouts.first_token) if stream else _NEVER
        self._idle_at = _NEVER
        self._heard_at = started
        self._has_content = False

    def until(self) -> float | None:
        """When to stop waiting for the next byte; None = never."""
        limit = min(self._deadline_at, self._total_at, self._content_at, self._idle_at)
        return None if limit == _NEVER else limit

    def heard(self, now: float) -> None:
        """Something arrived that is no part of the answer: a keep-alive ping."""
        self._heard_at = now
        if self._has_content:
            self._idle_at = _after(now, self._timeouts.idle)

    def heard_content(self, now: float) -> None:
        """Part of the answer arrived."""
        self._heard_at = now
        self._has_content = True
        self._content_at = _after(now, self._timeouts.first_token)
        self._idle_at = _after(now, self._timeouts.idle)

    def resume(self, now: float) -> None:
        """The reader is back: how long it was away with what it got is no fault of the server's. The deadline runs on."""
        if self._has_content:
            away = now - self._heard_at
            self._idle_at += away
            self._content_at += away
            self._heard_at = now

    def error(self) -> ProviderTimeoutError:
        """What to raise once `until()` has passed: it names the clock and the setting that moves it."""
        limit = self.until()
        if limit == self._deadline_at:
            return DeadlineExceededError(
                "the call's deadline has passed", hint="LLMRequest.deadline sets it, in seconds"
            )
        if limit == self._total_at:
            name, what = "total", "no whole reply"
        elif limit == self._content_at:
            name, what = "first_token", "no more content" if self._has_content else "no content"
        else:
            name, what = "idle", "nothing more"
        return ProviderTimeoutError(
            f"{what} within {getattr(self._timeouts, name):g} s",
            hint=f"Timeouts.{name} sets this limit: LLMRequest(timeout=Timeouts({name}=…))",
        )


def deadline_passed() -> DeadlineExceededError:
    """What to raise where no time is left to try anything."""
    return DeadlineExceededError(
        "the call's deadline has passed before another model could be tried",
        hint="LLMRequest.deadline sets it, in seconds over all attempts",
    )
