"""RT11: streams that end in every way there is leave nothing behind. soak.py says how; `make soak` runs it for ten minutes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOAK = Path(__file__).with_name("soak.py")


@pytest.mark.spec("RT11", "B22")
@pytest.mark.timeout(300)
async def test_streams_that_end_in_every_way_leave_nothing_behind(
    scale: float, record_property: Callable[[str, object], None]
) -> None:
    """In a process of its own, so that its memory and its sockets are all there is to count."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *(SOAK, "--streams", str(round(20_000 * scale))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, wrong = await child.communicate()
    found = json.loads(output)
    for name, value in found.items():
        if name != "outcomes":
            record_property(name.replace("_", " "), value)
    assert (child.returncode, wrong.decode()) == (0, "")
    outcomes = found["outcomes"]
    for ending in (
        "read: ended",
        "leave: ended",
        "drop: ended",
        "cancel: cancelled",
        "timeout: ProviderTimeoutError",
        "timeout: StreamInterruptedError",
        "disconnect: StreamInterruptedError",
        "disconnect: ProviderConnectionError",
        "gate of model: half_open",
    ):
        assert outcomes.get(ending), f"no stream came to this: {ending}"
