"""`llmring chat`: one question, one answer, streamed as it comes."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import click

from llmring.cli.output import say, write, write_json

if TYPE_CHECKING:
    from llmring.schemas.request import LLMRequest
    from llmring.schemas.response import LLMResponse
    from llmring.service import LLMRing


@click.command("chat", short_help="Ask a model and print its answer.")
@click.argument("model", default="fast")
@click.argument("message", required=False)
@click.option("--profile", help="Profile of the lockfile.")
@click.option("--lockfile", type=click.Path(), help="Lockfile to use.")
@click.option("--system", help="System prompt.")
@click.option("--temperature", type=float, help="Sent only if given.")
@click.option("--max-tokens", type=int, help="Cap on the answer. Sent only if given.")
@click.option("--no-stream", is_flag=True, help="Wait for the whole answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole response as one JSON object.")
@click.option("-v", "--verbose", is_flag=True, help="Say on stderr which model answered, tokens, time and cost.")
def command(
    model: str,
    message: str | None,
    profile: str | None,
    lockfile: str | None,
    system: str | None,
    temperature: float | None,
    max_tokens: int | None,
    no_stream: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Ask MODEL (an alias such as `fast`, or provider:model) the MESSAGE and print its answer.

    MODEL defaults to `fast`. MESSAGE `-` is read from stdin; what is piped in beside a MESSAGE is put below it.
    """
    text = _read_message(message)
    from llmring.schemas.messages import Message
    from llmring.schemas.request import LLMRequest

    messages = [Message.user(text)] if system is None else [Message.system(system), Message.user(text)]
    request = LLMRequest(model=model, messages=messages, temperature=temperature, max_tokens=max_tokens)
    asyncio.run(_ask(request, profile, lockfile, stream=not (no_stream or as_json), as_json=as_json, verbose=verbose))


async def _ask(
    request: LLMRequest, profile: str | None, lockfile: str | None, *, stream: bool, as_json: bool, verbose: bool
) -> None:
    from llmring.service import LLMRing

    async with LLMRing(origin="llmring-cli", lockfile_path=lockfile) as ring:
        if stream:
            response = await _stream(ring, request, profile)
        else:
            response = await ring.chat(request, profile)
            if as_json:
                write_json(response.to_dict())
            else:
                text = response.content or response.refusal or ""
                write(text if text.endswith("\n") else f"{text}\n")
        for warning in response.warnings:
            say(f"warning: {warning}")
        if response.finish_reason == "length":
            say("note: the answer was cut off at its cap of tokens")
        if verbose:
            say(_summary(response, ring.calculate_cost(response)))


async def _stream(ring: LLMRing, request: LLMRequest, profile: str | None) -> LLMResponse:
    """Prints the answer as it comes. Whatever happens on the way, what was printed ends with a newline."""
    last = ""
    try:
        async with ring.chat_stream(request, profile) as stream:
            async for chunk in stream:
                if chunk.delta:
                    last = chunk.delta
                    write(last)
            response = stream.response
        assert response is not None
        if not last and response.refusal:
            last = response.refusal
            write(last)
    finally:
        if last and not last.endswith("\n"):
            write("\n")
    return response


def _summary(response: LLMResponse, cost: dict[str, Any]) -> str:
    """alias → model, tokens, time, cost."""
    usage = response.usage
    price = f"cost unknown: {cost['reason']}" if cost["total_cost"] is None else f"${cost['total_cost']:.6f}"
    return (
        f"{response.requested_model} → {response.provider}:{response.model}, "
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens, {response.timing.latency or 0:.2f} s, {price}"
    )


def _read_message(message: str | None) -> str:
    if message == "-" or (message is None and not sys.stdin.isatty()):
        text = sys.stdin.read()
    elif message is None:
        text = ""
    else:
        piped = sys.stdin.read() if _is_piped() else ""
        text = f"{message}\n\n{piped}" if piped.strip() else message
    if not text.strip():
        raise click.UsageError("no message: give one, or pipe it in")
    return text


def _is_piped() -> bool:
    """Whether stdin is a pipe or a file, as opposed to a terminal, /dev/null, or a daemon's socket that never ends."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
