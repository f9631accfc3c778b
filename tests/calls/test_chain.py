"""The wrappers around a call, on the seam that they wrap: a function that sends to one candidate."""

from __future__ import annotations

import pytest

from llmring.calls.call import Call, Reply
from llmring.calls.chain import build_chain
from llmring.calls.gates import Gates
from llmring.exceptions import DeadlineExceededError, ProviderResponseError
from llmring.registry.model_info import ModelInfo
from llmring.resilience.board import Board
from llmring.resolver import Candidate, Resolution
from llmring.schemas import LLMRequest
from llmring.schemas.model_ref import parse_model_ref
from llmring.testing import FakeClock


@pytest.mark.spec("U42", "U19")
async def test_no_further_model_is_tried_once_the_deadline_has_passed() -> None:
    clock = FakeClock()
    tried: list[str] = []

    async def send_slowly(call: Call, candidate: Candidate) -> Reply:
        tried.append(str(candidate.ref))
        clock.advance(6)
        raise ProviderResponseError("down")

    pool = tuple(Candidate(parse_model_ref(name), ModelInfo(name)) for name in ("one:a", "one:b", "one:c"))
    request = LLMRequest(model="pool", messages="Hi", deadline=10)
    call = Call(request, request, Resolution("pool", "default", pool, "sha256:", "t.lock"), False, clock.monotonic())
    with pytest.raises(DeadlineExceededError) as caught:
        await build_chain(send_slowly, Gates(Board(clock)))(call)
    assert tried == ["one:a", "one:b"]
    assert [attempt.model for attempt in caught.value.attempts] == ["a", "b"]
    assert [attempt.seconds for attempt in caught.value.attempts] == [6, 6]
    assert isinstance(caught.value.__cause__, ProviderResponseError)
