"""What the commands of the lock have to say: findings with stable ids, and the exit code that they come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Severity = Literal["error", "warning", "note"]

# Exit codes: 1 act, 3 could not be determined, 4 refused. 2, bad input, is an exception and no finding.
ACT: Final = 1
UNDETERMINED: Final = 3
REFUSED: Final = 4
_IN_ORDER: Final = (REFUSED, 2, UNDETERMINED, ACT)

EXIT_CODES: Final[Mapping[str, int]] = {
    "lock.stale": ACT,
    "lock.missing": ACT,
    "lock.orphan": ACT,
    "facts.mismatch": REFUSED,
    "pin.too-weak": ACT,
    "pin.drift": ACT,
    "constraint.failed": ACT,
    "constraint.unknown": UNDETERMINED,
    "handover.lossy": ACT,
    "handover.unknown": UNDETERMINED,
    "alias.succession": ACT,
    "model.retired": ACT,
    "model.retiring": ACT,
    "model.deprecated": ACT,
    "model.gone": ACT,
    "model.unknown": UNDETERMINED,
    "price.increased": ACT,
    "price.unknown": UNDETERMINED,
    "price.halved": REFUSED,
    "cap.lost": ACT,
    "source.disagree": ACT,
    "source.unreachable": UNDETERMINED,
    "source.stale": UNDETERMINED,
    "registry.rollback": REFUSED,
    "extends.changed": REFUSED,
    "extends.missing": UNDETERMINED,
    "digest.mismatch": REFUSED,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a command has found.

    id: a key of EXIT_CODES. subject: what it is about: `profile/alias`, or `provider:model`. severity: an error counts towards the exit
    code, a warning and a note do not. source: who says so. facts: what a program may want of it, as JSON data.
    """

    id: str
    subject: str
    message: str
    severity: Severity = "error"
    hint: str | None = None
    source: str | None = None
    facts: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """What a manifest's `[[audit.ignore]]` names it by."""
        return f"{self.id}:{self.subject}"

    def to_dict(self) -> dict[str, Any]:
        said = {"id": self.id, "severity": self.severity, "subject": self.subject, "message": self.message}
        more = {"hint": self.hint, "source": self.source, "facts": None if self.facts is None else dict(self.facts)}
        return said | {name: value for name, value in more.items() if value is not None}


def exit_code(findings: Iterable[Finding]) -> int:
    """The highest of the errors' codes, in the order 4 > 2 > 3 > 1; 0 where there is no error."""
    codes = {EXIT_CODES[finding.id] for finding in findings if finding.severity == "error"}
    return next((code for code in _IN_ORDER if code in codes), 0)
