"""What a check tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from llmring.cli.failures import ACT, FINE, UNDETERMINED

Status = Literal["ok", "warn", "fail", "unknown", "skipped"]

# A warning is worth reading, and no reason for a script to stop.
_CODES: Final[dict[Status, int]] = {"ok": FINE, "warn": FINE, "fail": ACT, "unknown": UNDETERMINED, "skipped": FINE}


@dataclass(frozen=True, slots=True)
class Check:
    """id: the same in every version, with the name of what was looked at where there are several: `key.openai`.

    text: what was found. hint: what to do about it. code: its exit code, where it is another than its status has.
    """

    id: str
    status: Status
    text: str
    hint: str | None = None
    code: int | None = None

    @property
    def exit_code(self) -> int:
        return _CODES[self.status] if self.code is None else self.code

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "status": self.status, "text": self.text, "hint": self.hint}
