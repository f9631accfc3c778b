"""The road of one call, as docs/decisions/001 promises it to a newcomer: seven files, in this order."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import pytest

import llmring
from llmring import LLMRing

ROAD = [
    "service.py",
    "resolver.py",
    "calls/chain.py",
    "calls/exchange.py",
    "wire/openai_chat/request.py",
    "wire/openai_chat/stream.py",
    "schemas/fold.py",
]
PACKAGE = str(Path(llmring.__file__).parent) + "/"


@pytest.mark.spec("U04")
async def test_a_streamed_call_walks_the_seven_files_in_reading_order(ring: LLMRing) -> None:
    async for _ in ring.chat_stream("fast", "so that everything is imported"):
        pass
    entered: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(PACKAGE) and path.removeprefix(PACKAGE) not in entered:
            entered.append(path.removeprefix(PACKAGE))

    sys.setprofile(note)
    try:
        async for _ in ring.chat_stream("fast", "Hi"):
            pass
    finally:
        sys.setprofile(None)
    assert [path for path in entered if path in ROAD] == ROAD
