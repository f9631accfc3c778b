"""What applications test their LLM code with: a fake provider, a fake clock, recorded answers, a small real model, and a pytest plugin.

Names load when they are first used: the pytest plugin makes every pytest run import this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmring.lazy import lazy_names

if TYPE_CHECKING:
    from llmring.testing.cassette import Cassette
    from llmring.testing.clock import FakeClock
    from llmring.testing.fake_provider import FakeProvider, Received
    from llmring.testing.local_model import LocalModel
    from llmring.testing.offline import refuse_live_requests
    from llmring.testing.steps import Answer, Exact, Fault

__all__ = [
    "Answer",
    "Cassette",
    "Exact",
    "FakeClock",
    "FakeProvider",
    "Fault",
    "LocalModel",
    "Received",
    "refuse_live_requests",
]

_load = lazy_names(
    __name__,
    {
        "cassette": ("Cassette",),
        "clock": ("FakeClock",),
        "fake_provider": ("FakeProvider", "Received"),
        "local_model": ("LocalModel",),
        "offline": ("refuse_live_requests",),
        "steps": ("Answer", "Exact", "Fault"),
    },
)

# Hidden from type checkers: a module with `__getattr__` has every name for them, misspelt ones too.
if not TYPE_CHECKING:
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)
