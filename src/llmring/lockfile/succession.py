"""What an audit says of aliases with a dated successor: that the day is coming, or that it has come. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from llmring.lockfile.escaping import quote_shell
from llmring.lockfile.finding import Finding
from llmring.lockfile.model import Lock


def find_successions(lock: Lock, as_of: str) -> Iterator[Finding]:
    """A warning for each alias whose lock names a successor. as_of: YYYY-MM-DD."""
    for profile in lock.profiles.values():
        for alias, binding in profile.bindings.items():
            if binding.until is None or not binding.then:
                continue
            then, serves = ", ".join(binding.then), binding.is_succeeded(as_of)
            yield Finding(
                "alias.succession",
                f"{profile.name}/{alias}",
                f"{then} {'serves it since' if serves else 'will serve it from'} {binding.until}"
                f"{'; the lock still names' if serves else ' on, in place of'} {', '.join(binding.models)}",
                severity="warning",
                hint=f"llmring bind {alias} {' '.join(map(quote_shell, binding.then))}, and take until and then out of the manifest"
                if serves
                else None,
                facts={
                    "until": binding.until,
                    "models": list(binding.models),
                    "then": list(binding.then),
                    "serves": serves,
                },
            )
