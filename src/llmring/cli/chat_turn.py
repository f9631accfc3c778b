"""One question and its answer, as `llmring chat` shows them: the answer on stdout, what is to be said about it on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmring.cli.output import note, say, warn, write

if TYPE_CHECKING:
    from llmring.schemas.request import LLMRequest
    from llmring.schemas.response import LLMResponse
    from llmring.service import LLMRing


async def show_stream(ring: LLMRing, request: LLMRequest, profile: str | None, heard: list[str]) -> LLMResponse:
    """Prints the answer as it comes, and adds its pieces to `heard`, which so holds what came before an error or Ctrl-C.

    Whatever happens on the way, what was printed ends with a newline.
    """
    try:
        async with ring.chat_stream(request, profile) as stream:
            async for chunk in stream:
                if chunk.delta:
                    heard.append(chunk.delta)
                    write(chunk.delta)
            response = stream.response
        assert response is not None
        if not heard and response.refusal:
            heard.append(response.refusal)
            write(response.refusal)
    finally:
        if heard and not heard[-1].endswith("\n"):
            write("\n")
    return response


async def show_whole(ring: LLMRing, request: LLMRequest, profile: str | None) -> LLMResponse:
    """Waits for the whole answer and prints it."""
    response = await ring.chat(request, profile)
    text = response.content or response.refusal or ""
    write(text if text.endswith("\n") else f"{text}\n")
    return response


def say_about(response: LLMResponse, ring: LLMRing, *, verbose: bool) -> None:
    """What the answer's reader should know of it: warnings, that it was cut off; verbose: who answered, tokens, time, cost."""
    for warning in response.warnings:
        warn(warning)
    if response.finish_reason == "length":
        note("the answer was cut off at its cap of tokens")
    if verbose:
        say(_summary(response, ring.calculate_cost(response)))


def _summary(response: LLMResponse, cost: dict[str, Any]) -> str:
    """alias → model, tokens, time, cost."""
    usage = response.usage
    price = f"cost unknown: {cost['reason']}" if cost["total_cost"] is None else f"${cost['total_cost']:.6f}"
    return (
        f"{response.requested_model} → {response.provider}:{response.model}, "
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens, {response.timing.latency or 0:.2f} s, {price}"
    )
