"""RT02 for every dialect, through the whole of a ring: cut streams. And a bomb that is no end of the call."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from llmring import LLMRing, StreamInterruptedError
from llmring.exceptions import ProviderResponseError
from llmring.resilience.policy import BreakerPolicy
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
        providers={"one": {"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "auth": "none"}},
        breaker=BreakerPolicy(min_calls=10**6, consecutive_failures=10**6),  # each is to reach the server
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


@pytest.mark.spec("RT19")
async def test_a_bomb_moves_the_call_on_to_the_next_model(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.gzip_bomb(50 * MIB), model="m1")
    fake_provider.script(Answer("sane"), model="m2")
    assert (await ring.chat("pool", "Hi")).content == "sane"
