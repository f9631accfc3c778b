"""Takes turns: A B C A B C …, so that a machine that slows down slows everybody down alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def take_turns(measures: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each measure gave, round by round. The first turn of each warms it up and is dropped."""
    taken: dict[str, list[T]] = {who: [] for who in measures}
    for turn in range(rounds + 1):
        for who, measure in measures.items():
            value = measure()
            if turn:
                taken[who].append(value)
    return taken
