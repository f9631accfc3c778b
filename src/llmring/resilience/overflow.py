"""A prompt that does not fit its model, and the models of the pool that hold more. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmring.resolver import Candidate


def find_window(candidate: Candidate) -> int | None:
    """How many tokens a prompt may have there at most, by the facts that the call goes by; None where nobody knows."""
    known = [limit for limit in (candidate.info.max_input, candidate.info.context_window) if limit is not None]
    return min(known, default=None)


def holds_more(window: int | None, than: int | None) -> bool:
    """Whether one window is larger than another; not where either is unknown, because a guess would be paid for."""
    return window is not None and than is not None and window > than


def explain_overflow(overflowed: Candidate, pool: Sequence[Candidate], *, moves: bool) -> str | None:
    """What to do about it, for the error's hint; None in a pool of one. moves: whether the policy goes on to a larger window."""
    than = find_window(overflowed)
    windows = {str(candidate.ref): find_window(candidate) for candidate in pool}
    if len(windows) < 2:
        return None
    larger = ", ".join(_tell(name, window) for name, window in windows.items() if holds_more(window, than))
    if not larger:
        told = ", ".join(_tell(name, window) for name, window in windows.items())
        return f"no model of the pool is known to hold more: {told}"
    if not moves:
        return f"RetryPolicy(on_overflow='larger_window') goes on to a model of the pool that holds more: {larger}"
    return f"no answer came from what holds more either, {larger}: `attempts` says why"


def _tell(name: str, window: int | None) -> str:
    return f"{name} ({'unknown' if window is None else f'{window:,} tokens'})"
