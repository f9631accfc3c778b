"""Three calls to a real model on this machine, by alias, through this repository's llmring.lock. Run it with `make demo`.

The model is tiny (135M) and often wrong; what matters is the road that its answers take. No key, no network, no file written.
"""

# ruff: noqa: T201
import asyncio
import socket
from pathlib import Path

from pydantic import BaseModel

from llmring import LLMRequest, LLMResponse, LLMRing, Message, RequestOptions
from llmring.testing.local_model import LocalModel

LOCKFILE = Path(__file__).parents[2] / "llmring.lock"
PROFILE = "local"

TEXT = (
    "A lockfile records the exact version of every package that a project uses. Everyone who installs the project "
    "gets the same versions. Updates happen on purpose, in a reviewed change."
)


class Book(BaseModel):
    """What the second call asks for. The server is held to this schema, and llmring checks the answer against it."""

    title: str
    author: str
    year: int


async def streamed(ring: LLMRing) -> LLMResponse:
    stream = ring.chat_stream("summarizer", f"Summarize in one sentence: {TEXT}", PROFILE)
    async for chunk in stream:
        print(chunk.delta, end="", flush=True)
    print()
    assert stream.response is not None
    return stream.response


async def structured(ring: LLMRing) -> LLMResponse:
    question = (
        "Extract the book, its author and the year as JSON.\n\n"
        "The Time Machine was written by H. G. Wells and came out in 1895."
    )
    request = LLMRequest(model="extractor", messages=[Message.user(question)], response_format=Book)
    response = await ring.chat(request, PROFILE)
    book = response.parsed
    assert isinstance(book, Book)
    print(repr(book))
    return response


async def failed_over(ring: LLMRing) -> LLMResponse:
    response = await ring.chat("resilient", "In two sentences, what is a lighthouse?", PROFILE)
    print(response.content)
    for attempt in response.attempts:
        print(f"  (tried first: {attempt['provider']}:{attempt['model']}, {attempt['error']})")
    return response


def summary(ring: LLMRing, response: LLMResponse) -> str:
    """alias → model, tokens, time, cost."""
    cost = ring.calculate_cost(response)
    price = f"cost unknown: {cost['reason']}" if cost["total_cost"] is None else f"${cost['total_cost']:.6f}"
    usage = response.usage
    tokens = f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"
    return (
        f"  {response.requested_model} → {response.provider}:{response.model}, "
        f"{tokens}, {response.timing.latency:.2f} s, {price}"
    )


async def main() -> None:
    # A port that is taken but that nobody answers on: the dead server of the third call.
    with LocalModel() as model, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        providers = {
            "llamacpp": {"base_url": model.base_url},
            "lmstudio": {"base_url": f"http://127.0.0.1:{dead.getsockname()[1]}/v1"},
        }
        # Temperature 0: the same answers every time.
        defaults = RequestOptions(temperature=0, max_tokens=80)
        async with LLMRing(origin="demo", lockfile_path=LOCKFILE, providers=providers, defaults=defaults) as ring:
            for title, call in [
                ("1. A streamed answer, as it comes", streamed),
                ("2. A structured answer, checked against its schema", structured),
                ("3. The first model of the pool is dead; the second answers", failed_over),
            ]:
                print(f"\n{title}")
                print(summary(ring, await call(ring)))


if __name__ == "__main__":
    asyncio.run(main())
