"""RT02 and RT19 for every dialect, through the whole of a ring: cut streams, and bodies that are bombs."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Callable

import pytest

from llmring import LLMRing, StreamInterruptedError
from llmring.exceptions import ProviderResponseError
from llmring.testing import Answer, FakeProvider, Fault
from llmring.testing.dialects import SERVER_DIALECTS

MakeRing = Callable[..., LLMRing]
MIB = 1024 * 1024
every_dialect = pytest.mark.parametrize("dialect", [dialect.name for dialect in SERVER_DIALECTS if dialect.speaks_chat])
WORDS = "one two three four five six seven eight nine ten eleven twelve"
CALL = {"id": "c1", "name": "look", "arguments": '{"at": "the moon", "with": "a telescope"}'}


@pytest.mark.spec("RT02", "X01")
@every_dialect
async def test_every_cut_stream_is_a_typed_error_with_its_partial_answer(
    dialect: str,
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    scale: float,
    record_property: Callable[[str, object], None],
) -> None:
    ring = make_ring(
        providers={"one": {"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "auth": "none"}}
    )
    dice = random.Random("RT02")
    cuts = round(400 * scale)
    errors: list[tuple[str, ProviderResponseError]] = []
    for _ in range(cuts):
        answer = Answer(
            " ".join(WORDS.split()[: dice.randint(1, 12)]),
            reasoning=dice.choice([None, "let me think"]),
            tool_calls=dice.choice([None, [CALL], [CALL, CALL | {"id": "c2"}]]),
        )
        # Past the end counts as "before the last event".
        fake_provider.script(Fault.cut(dice.randrange(30), dice.choice(("fin", "rst")), answer))
        text = ""
        with pytest.raises(ProviderResponseError) as caught:
            async for chunk in ring.chat_stream("fast", "Hi"):
                text += chunk.delta
                assert chunk.finish_reason is None, "a finish was invented"
        errors.append((text, caught.value))
    with_partial = [(text, error) for text, error in errors if error.partial is not None]
    for text, error in with_partial:
        assert isinstance(error, StreamInterruptedError)
        assert error.partial is not None
        assert (error.partial.content, error.partial.finish_reason) == (text, "error")
    assert not [text for text, error in errors if error.partial is None and text], "text came, and no partial answer"
    assert 0 < len(with_partial) < cuts == len(errors), "cuts before and after the first content were met"
    record_property("cut", f"{cuts}, typed errors {len(errors)}, with partial {len(with_partial)}, invented finishes 0")


# Asks for each model of the list, plain and streamed, and prints what came of it. In a process of its own, so that the memory
# it is charged for is the client's alone.
CLIENT = """
import asyncio, json, sys, time
from llmring import LLMRing, LLMRingError

def resident_bytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

async def main(base_url, dialect, models):
    found = []
    async with LLMRing(providers={"one": {"base_url": base_url, "dialect": dialect}}, dotenv=False) as ring:
        await ring.chat("one:fine", "warm up")
        for model in models:
            for stream in (False, True):
                before, started, kind = resident_bytes(), time.perf_counter(), "none"
                try:
                    if stream:
                        async for chunk in ring.chat_stream("one:" + model, "Hi"):
                            pass
                    else:
                        await ring.chat("one:" + model, "Hi")
                except LLMRingError as error:
                    kind = type(error).__name__
                seconds = time.perf_counter() - started
                found.append([model, stream, kind, resident_bytes() - before, seconds])
    print(json.dumps(found))

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
"""

BOMBS: dict[str, tuple[Fault, set[str]]] = {
    "gzip-200-MB": (Fault.gzip_bomb(200 * MIB), {"ResponseTooLargeError", "StreamInterruptedError"}),
    "line-100-MB": (Fault.long_line(100 * MIB), {"ResponseTooLargeError"}),
    "json-100000-deep": (Fault.deep_json(100_000), {"ResponseTooLargeError"}),
    "endless": (Fault.endless(), {"ResponseTooLargeError", "StreamInterruptedError"}),
}


@pytest.mark.spec("RT19")
@every_dialect
async def test_bombs_are_typed_errors_and_take_no_memory(
    dialect: str, fake_provider: FakeProvider, scale: float, record_property: Callable[[str, object], None]
) -> None:
    rounds = round(10 * scale)
    for model, (fault, _) in BOMBS.items():
        fake_provider.script(fault, model=model)
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", CLIENT, fake_provider.base_url_of(dialect), dialect, *[*BOMBS] * rounds),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await client.communicate()
    found = json.loads(output)
    assert len(found) == 2 * len(BOMBS) * rounds
    slowest: dict[str, float] = {}
    most: dict[str, float] = {}
    for model, stream, kind, grown_bytes, seconds in found:
        where = f"{model} {'streamed' if stream else 'plain'} {kind}"
        slowest[where] = max(seconds, slowest.get(where, 0))
        most[where] = max(grown_bytes, most.get(where, 0))
        assert kind in BOMBS[model][1], where
        assert grown_bytes < 32 * MIB, f"{where}: {grown_bytes / MIB:.0f} MiB"
    for where, seconds in slowest.items():
        record_property(where, f"≤ {seconds * 1000:.0f} ms, ≤ +{most[where] / MIB:.0f} MiB")


@pytest.mark.spec("RT19")
async def test_a_bomb_moves_the_call_on_to_the_next_model(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.gzip_bomb(50 * MIB), model="m1")
    fake_provider.script(Answer("sane"), model="m2")
    assert (await ring.chat("pool", "Hi")).content == "sane"
