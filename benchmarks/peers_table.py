"""One row for each contestant, gathered from a run's results: what a call, a chunk and the imports cost. Plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.result import Result, Series

FLOOR = "bare aiohttp"


@dataclass(frozen=True, slots=True)
class Row:
    """call_us, chunk_us, import_ms: CPU. None: not measured, or it has no such thing."""

    who: str
    call_us: float | None
    ratio: float | None
    calls_per_s: float | None
    chunk_us: float | None
    import_ms: float | None


def gather_rows(results: Sequence[Result], labels: Iterable[str]) -> list[Row]:
    """The floor first, then llmring, then the others, from cheap to dear."""
    chats, streams, starts = (_series_of(results, budget) for budget in ("PB01", "PB03", "PB07"))
    floor = chats.get(FLOOR)
    rows: list[Row] = []
    for who in (FLOOR, "llmring", *labels):
        call = chats.get(who)
        rows.append(
            Row(
                who=who,
                call_us=_median(call),
                ratio=call.median / floor.median if call is not None and floor is not None else None,
                calls_per_s=_median(chats.get(f"{who}, calls/s")),
                chunk_us=_median(streams.get(who)),
                import_ms=_median(starts.get(f"{who}, imports")),
            )
        )
    return rows[:2] + sorted(rows[2:], key=lambda row: row.call_us or 0.0)


def _series_of(results: Sequence[Result], budget: str) -> dict[str, Series]:
    return {one.who: one for result in results if result.budget == budget for one in result.series}


def _median(series: Series | None) -> float | None:
    return None if series is None else series.median
