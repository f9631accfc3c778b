"""One question to the pool, whether its answer comes whole or as a stream."""

from __future__ import annotations

from typing import Any

from llmring import LLMRequest, LLMResponse, LLMRing


async def ask(ring: LLMRing, stream: bool = False, model: str = "pool", **given: Any) -> LLMResponse:
    """given: what else the request says."""
    request = LLMRequest.model_validate({"model": model, "messages": "Hi", **given})
    if not stream:
        return await ring.chat(request)
    chunks = [chunk async for chunk in ring.chat_stream(request)]
    response = chunks[-1].data
    assert isinstance(response, LLMResponse)
    return response
