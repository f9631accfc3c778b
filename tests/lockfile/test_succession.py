"""What CI hears of a dated successor: a warning before its day, and from it on that the lock still names the old pool."""

from __future__ import annotations

import pytest

from llmring.lockfile.audit import Rules, audit_lock
from llmring.lockfile.finding import exit_code
from llmring.lockfile.known import Gathered
from llmring.lockfile.parse import parse_lock

LOCK = b"""\
version = "1.1"
[profiles.prod]
[[profiles.prod.bindings]]
alias = "fast"
models = ["ollama:a"]
until = "2030-01-02"
then = ["ollama:b"]
[[profiles.prod.bindings]]
alias = "slow"
models = ["ollama:a"]
"""


@pytest.mark.spec("X06")
@pytest.mark.parametrize(
    ("day", "words", "serves"),
    [
        ("2029-12-31", "ollama:b will serve it from 2030-01-02 on, in place of ollama:a", False),
        ("2030-01-01", "ollama:b will serve it from 2030-01-02 on, in place of ollama:a", False),
        ("2030-01-02", "ollama:b serves it since 2030-01-02; the lock still names ollama:a", True),
        ("2031-01-01", "ollama:b serves it since 2030-01-02; the lock still names ollama:a", True),
    ],
)
def test_the_audit_warns_of_a_successor_until_it_is_the_pool(day: str, words: str, serves: bool) -> None:
    lock = parse_lock(LOCK, "l")
    audit = audit_lock(lock, Gathered(day), Rules(as_of=day, local=frozenset({"ollama"})))
    (found,) = [finding for finding in audit.findings if finding.id == "alias.succession"]
    assert (found.subject, found.severity, found.message) == ("prod/fast", "warning", words)
    assert found.facts is not None
    assert found.facts["serves"] is serves
    assert exit_code([found]) == 0
