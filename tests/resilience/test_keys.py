"""Several keys a provider: which is taken, when the next one is, and that one bad key never stands in another's way."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing, OpenAIOptions
from llmring.exceptions import (
    ConfigurationError,
    MissingCredentialError,
    ProviderAuthenticationError,
)
from llmring.providers.declared import ProviderOptions, Trust, declare
from llmring.resilience.policy import RateLimits, RetryPolicy
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault
from llmring.testing.fake_provider import Received

KEYS = {"KEY_A": "sk-aaaa-0123456789abcdef", "KEY_B": "sk-bbbb-0123456789abcdef", "KEY_C": "sk-cccc-0123456789abcdef"}
MakeRing = Callable[..., LLMRing]
Step = Answer | Exact | Fault


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, fake_clock: FakeClock) -> AsyncIterator[MakeRing]:
    """Makes rings whose provider `one` has the keys A and B; every ring is closed at the end."""
    async with AsyncExitStack() as stack:

        def make(**given: Any) -> LLMRing:
            one = {"base_url": fake_provider.base_url, "keys": ["KEY_A", "KEY_B"]} | given.pop("one", {})
            settings: dict[str, Any] = {"clock": fake_clock, "random": Random("keys"), **given}
            ring = LLMRing(providers={"one": one, **settings.pop("providers", {})}, **settings)
            stack.push_async_callback(ring.close)
            return ring

        yield make


def key_of(received: Received) -> str:
    """The variable whose key came with a request."""
    sent = " ".join(received.headers.values())
    return next(name for name, value in KEYS.items() if value in sent)


def by_key(**steps: Step) -> Callable[[Received], Step]:
    """What the server does with each key; a good answer for those that are not named."""
    return lambda received: steps.get(key_of(received), Answer(f"by {key_of(received)}"))


def counts(fake: FakeProvider) -> Counter[str]:
    return Counter(key_of(received) for received in fake.received)


# RT09 ---------------------------------------------------------------------------------------------------------------

_PER_DAY = {
    "error": {
        "code": 429,
        "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota.",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"},
        ],
    }
}
# kind: its dialect, the server's reply, and how long the key rests.
REFUSALS: dict[str, tuple[str, Step, float]] = {
    "401": ("openai_chat", Fault.status(401), 60),
    "403": ("openai_chat", Fault.status(403, "This key may not do that."), 60),
    "402": ("openai_chat", Fault.status(402, "Payment required."), 900),
    "402 until its reset": ("openai_chat", Fault.status(402, "Pay.", headers={"retry-after": "3600"}), 3600),
    "insufficient_quota": ("openai_chat", Fault.status(429, code="insufficient_quota"), 900),
    "credit_balance_exhausted": ("openai_chat", Fault.status(429, code="credit_balance_exhausted"), 900),
    "enforced_spend_limit_reached": ("openai_chat", Fault.status(429, code="enforced_spend_limit_reached"), 900),
    "insufficient_quota over Responses": ("openai_responses", Fault.status(429, code="insufficient_quota"), 900),
    "Anthropic's billing_error": (
        "anthropic_messages",
        Exact(402, chunks=[b'{"type": "error", "error": {"type": "billing_error", "message": "Pay."}}']),
        900,
    ),
    "Gemini's quota of a day": ("gemini_generate", Exact(429, chunks=[json.dumps(_PER_DAY).encode()]), 900),
    "401 at Ollama": ("ollama_chat", Fault.status(401), 60),
}
PERIODS = 5


@pytest.mark.spec("RT09", "Z03")
@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_bad_key_is_asked_once_a_probe_period_and_every_call_is_served(
    kind: str,
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
    scale: float,
    record_property: Callable[[str, object], None],
) -> None:
    dialect, refusal, rest_s = REFUSALS[kind]
    auth = "header:x-goog-api-key" if dialect == "gemini_generate" else "bearer"
    ring = make_ring(one={"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "auth": auth})
    fake_provider.script(by_key(KEY_A=refusal))
    calls = round(200 * scale)
    served: list[str] = []
    for period in range(PERIODS):
        share = calls // PERIODS
        # At the first of all nobody knows that the key is bad; from then on many may ask at once, and one of them is the probe.
        first = [await ring.chat("one:m", "Hi")] if period == 0 else []
        served += [response.content for response in first]
        waves = await asyncio.gather(*(ring.chat("one:m", "Hi") for _ in range(share - 1 - len(first))))
        served += [response.content for response in waves]
        fake_clock.advance(rest_s - 0.5)
        served.append((await ring.chat("one:m", "Hi")).content)  # not before its time
        fake_clock.advance(0.5)
    record_property("served", f"{len(served)} of {calls}")
    record_property("upstream calls of the bad key", counts(fake_provider)["KEY_A"])
    record_property("probe periods", PERIODS)
    assert served == ["by KEY_B"] * calls
    assert counts(fake_provider) == {"KEY_A": PERIODS, "KEY_B": calls}


@pytest.mark.spec("Z03", "A06")
async def test_a_key_that_is_good_again_is_taken_again(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    fake_provider.script(by_key(KEY_A=Fault.status(401)))
    ring = make_ring()
    assert (await ring.chat("one:m", "Hi")).content == "by KEY_B"
    fake_provider.script(by_key())
    assert (await ring.chat("one:m", "Hi")).content == "by KEY_B"
    fake_clock.advance(60)
    assert [(await ring.chat("one:m", "Hi")).content for _ in range(2)] == ["by KEY_A"] * 2


@pytest.mark.spec("Z03")
async def test_keys_are_taken_in_order_and_the_next_model_comes_after_the_last_key(
    make_ring: MakeRing, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    lock = tmp_path / "pool.lock"
    lock.write_text(
        'version = "1.1"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n'
        '[[profiles.default.bindings]]\nalias = "pool"\nmodels = ["one:m", "two:n"]\n'
    )
    two = {"base_url": fake_provider.base_url, "key_variable": "KEY_C"}
    fake_provider.script(by_key())
    ring = make_ring(lockfile_path=lock, providers={"two": two})
    assert (await ring.chat("pool", "Hi")).content == "by KEY_A"
    fake_provider.script(by_key(KEY_A=Fault.status(401), KEY_B=Fault.status(402)))
    response = await ring.chat("pool", "Hi")
    assert (response.content, response.called_model) == ("by KEY_C", "two:n")
    assert [(a["model"], a["credential"], a["status"]) for a in response.attempts] == [
        ("m", "KEY_A", 401),
        ("m", "KEY_B", 402),
    ]
    streamed = [chunk.delta async for chunk in ring.chat_stream("pool", "Hi")]
    assert "".join(streamed) == "by KEY_C"


@pytest.mark.spec("Z03")
async def test_a_key_that_changes_is_tried_at_once_without_a_restart(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = KEYS["KEY_A"]
    fake_provider.script(
        lambda received: Fault.status(401) if refused in received.headers["authorization"] else Answer("served")
    )
    ring = make_ring()
    await ring.chat("one:m", "Hi")
    await ring.chat("one:m", "Hi")
    monkeypatch.setenv("KEY_A", "sk-rotated-0123456789abcdef")
    await ring.chat("one:m", "Hi")
    sent = [received.headers["authorization"].removeprefix("Bearer ") for received in fake_provider.received]
    assert sent == [refused, KEYS["KEY_B"], KEYS["KEY_B"], "sk-rotated-0123456789abcdef"]


@pytest.mark.spec("Z03")
async def test_one_key_alone_is_rotated_without_a_restart_too(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_provider.script(Fault.status(401), Answer("served"))
    ring = make_ring(one={"keys": (), "key_variable": "KEY_A"})
    with pytest.raises(ProviderAuthenticationError):
        await ring.chat("one:m", "Hi")
    monkeypatch.setenv("KEY_A", "sk-rotated-0123456789abcdef")
    assert (await ring.chat("one:m", "Hi")).content == "served"


@pytest.mark.spec("Z03")
async def test_a_refusal_of_the_old_key_that_comes_late_says_nothing_of_the_new_one(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()
    refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
    fake_provider.script(Exact(None, chunks=[gate, refusal]), Answer("served"))
    ring = make_ring(one={"keys": (), "key_variable": "KEY_A"})
    early = asyncio.create_task(ring.chat("one:m", "Hi"))
    await fake_provider.wait_received()
    monkeypatch.setenv("KEY_A", "sk-rotated-0123456789abcdef")
    gate.set()
    assert (await early).content == "served"
    assert ring.health().targets[0].available


@pytest.mark.spec("Z03")
async def test_a_variable_that_is_set_later_is_a_key_from_then_on(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_provider.script(by_key())
    monkeypatch.delenv("KEY_A")
    monkeypatch.delenv("KEY_B")
    ring = make_ring()
    with pytest.raises(MissingCredentialError, match="set KEY_A or KEY_B"):
        await ring.chat("one:m", "Hi")
    monkeypatch.setenv("KEY_B", KEYS["KEY_B"])
    assert (await ring.chat("one:m", "Hi")).content == "by KEY_B"
    monkeypatch.setenv("KEY_A", KEYS["KEY_A"])
    assert (await ring.chat("one:m", "Hi")).content == "by KEY_A"


@pytest.mark.spec("Z03")
async def test_weighted_keys_share_the_calls_by_their_weights(make_ring: MakeRing, fake_provider: FakeProvider) -> None:
    keys = [{"variable": "KEY_A", "weight": 3}, {"variable": "KEY_B", "weight": 1}, "KEY_C"]
    fake_provider.script(by_key())
    ring = make_ring(one={"keys": keys})
    await asyncio.gather(*(ring.chat("one:m", "Hi") for _ in range(300)))
    shares = counts(fake_provider)
    # 300 draws of 3 : 1 : 1; three standard deviations are 25 and 21.
    assert abs(shares["KEY_A"] - 180) <= 25
    assert abs(shares["KEY_B"] - 60) <= 21
    fake_provider.script(by_key(KEY_A=Fault.status(401)))
    await ring.embed("one:m", "Hi")
    served = [(await ring.chat("one:m", "Hi")).content for _ in range(20)]
    assert set(served) == {"by KEY_B", "by KEY_C"}


@pytest.mark.spec("Z03", "B05")
async def test_each_key_has_quotas_of_its_own(
    make_ring: MakeRing, fake_provider: FakeProvider, fake_clock: FakeClock
) -> None:
    """A 429 on A does not pause B, and limits count by key."""
    fake_provider.script(by_key(KEY_A=Fault.status(429, headers={"retry-after": "20"})))
    ring = make_ring()
    assert [(await ring.chat("one:m", "Hi")).content for _ in range(5)] == ["by KEY_B"] * 5
    assert counts(fake_provider) == {"KEY_A": 1, "KEY_B": 5}
    state = {target.credential: target.available for target in ring.health().targets}
    assert state == {"KEY_A": False, "KEY_B": True}
    fake_provider.script(by_key())
    fake_clock.advance(20)
    assert (await ring.chat("one:m", "Hi")).content == "by KEY_A"


@pytest.mark.spec("Z03", "B05")
async def test_a_pause_of_one_key_sends_those_who_wait_in_its_line_to_the_other(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    gate = asyncio.Event()
    limited = b"HTTP/1.1 429 Slow\r\nretry-after: 20\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
    fake_provider.script(
        lambda received: Exact(None, chunks=[gate, limited]) if key_of(received) == "KEY_A" else Answer("by KEY_B")
    )
    ring = make_ring(limits=RateLimits(max_concurrent=1))
    calls = [asyncio.create_task(ring.chat("one:m", "Hi")) for _ in range(2)]
    await fake_provider.wait_received()
    gate.set()
    assert [response.content for response in await asyncio.gather(*calls)] == ["by KEY_B"] * 2
    assert counts(fake_provider) == {"KEY_A": 1, "KEY_B": 2}


@pytest.mark.spec("Z03")
async def test_when_every_key_is_refused_the_error_is_the_providers_and_lists_them_all(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(401))
    ring = make_ring(one={"keys": ["KEY_A", "KEY_B", "KEY_C"]})
    with pytest.raises(ProviderAuthenticationError) as caught:
        await ring.chat("one:m", "Hi")
    assert [attempt.credential for attempt in caught.value.attempts] == ["KEY_A", "KEY_B", "KEY_C"]
    assert len(fake_provider.received) == 3


@pytest.mark.spec("Z03")
async def test_no_key_is_shown_anywhere(
    make_ring: MakeRing, fake_provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    transitions: list[object] = []
    fake_provider.script(lambda received: Fault.status(401, f"Incorrect API key provided: {KEYS[key_of(received)]}"))
    ring = make_ring(on_transition=transitions.append)
    with caplog.at_level(logging.DEBUG), pytest.raises(ProviderAuthenticationError) as caught:
        await ring.chat("one:m", "Hi")
    shown = [
        caplog.text,
        repr(transitions),
        repr(ring.health()),
        json.dumps(ring.health().to_dict()),
        json.dumps(ring.list_providers()),
        json.dumps(ring.explain("one:m")),
        repr(ring.get_provider("one", "KEY_B")),
        str(caught.value),
        repr(caught.value.attempts),
        repr(vars(ring)),
    ]
    for text in shown:
        for name in ("KEY_A", "KEY_B"):
            assert KEYS[name] not in text


@pytest.mark.spec("Z03")
async def test_the_client_and_direct_calls_have_the_first_key_unless_another_is_asked_for(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_provider.script(by_key())
    ring = make_ring()
    assert (await ring.get_provider("one").chat(LLMRequest(model="m", messages="Hi"))).content == "by KEY_A"
    assert (await ring.get_provider("one", "KEY_B").chat(LLMRequest(model="m", messages="Hi"))).content == "by KEY_B"
    assert ring.get_provider("one").client.api_key == KEYS["KEY_A"]
    assert ring.get_provider("one", "KEY_B").client.api_key == KEYS["KEY_B"]
    monkeypatch.delenv("KEY_A")
    assert (await ring.get_provider("one").chat(LLMRequest(model="m", messages="Hi"))).content == "by KEY_B"
    with pytest.raises(ConfigurationError, match="its keys: KEY_A, KEY_B"):
        ring.get_provider("one", "KEY_C")
    with pytest.raises(ConfigurationError, match="it has one alone"):
        ring.get_provider("openai", "OPENAI_API_KEY")


@pytest.mark.spec("Z03")
async def test_keys_are_told_by_their_variables(make_ring: MakeRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY_B")
    ring = make_ring(one={"keys": ["KEY_A", {"variable": "KEY_B", "weight": 2.5}]})
    told = next(told for told in ring.list_providers() if told["name"] == "one")
    keys = [
        {"variable": "KEY_A", "source": "KEY_A", "weight": 1.0},
        {"variable": "KEY_B", "source": None, "weight": 2.5},
    ]
    assert (told["keys"], told["why"]) == (keys, "has a key (KEY_A; not set: KEY_B)")
    (member,) = ring.explain("one:m")["candidates"]
    assert (member["keys"], member["why"]) == (keys, told["why"])


@pytest.mark.spec("Z03")
async def test_another_provider_of_the_name_has_other_keys_or_none(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(by_key(KEY_A=Fault.status(401)))
    ring = make_ring()
    await ring.chat("one:m", "Hi")
    ring.register_provider("one", {"base_url": fake_provider.base_url, "key_variable": "KEY_C"})
    assert (await ring.chat("one:m", "Hi")).content == "by KEY_C"
    ring.register_provider("one", {"base_url": fake_provider.base_url, "keys": ["KEY_A", "KEY_C"]})
    response = await ring.chat("one:m", "Hi")
    assert (response.content, [a["status"] for a in response.attempts]) == ("by KEY_C", [401])


@pytest.mark.spec("Z03")
async def test_the_users_config_file_may_name_several(
    fake_provider: FakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[providers.openai]\nbase_url = "{fake_provider.base_url}"\n'
        'keys = ["KEY_A", { variable = "KEY_B", weight = 2 }]\n'
    )
    monkeypatch.setenv("LLMRING_CONFIG", str(config))
    fake_provider.script(by_key(KEY_A=Fault.status(401), KEY_B=Fault.status(403)))
    async with LLMRing(retry=RetryPolicy(attempts=1)) as ring:
        with pytest.raises(ProviderAuthenticationError):
            await ring.chat("openai:gpt-4o", "Hi")
    assert counts(fake_provider) == {"KEY_A": 1, "KEY_B": 1}


# Declaring ----------------------------------------------------------------------------------------------------------


@pytest.mark.spec("Z03", "Z02")
def test_a_repository_names_no_other_key_than_its_providers_own() -> None:
    own = "LLMRING_ACME_API_KEY"
    assert declare("acme", {"base_url": "https://a.example", "keys": [own]}, Trust.REPOSITORY).row.key_variables == (
        own,
    )
    for keys in (["OPENAI_API_KEY"], [own, "OPENAI_API_KEY"], [{"variable": "AWS_SECRET_ACCESS_KEY", "weight": 1}]):
        with pytest.raises(ConfigurationError, match="may not be sent"):
            declare("acme", {"base_url": "https://a.example", "keys": keys}, Trust.REPOSITORY)


@pytest.mark.spec("Z03")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keys": "KEY_A"}, "wrong type"),
        ({"keys": ["not a name"]}, r"keys\[0\] is no name"),
        ({"keys": ["KEY_A", 5]}, r"keys\[1\] is none"),
        ({"keys": [{"name": "KEY_A"}]}, r"keys\[0\] is none"),
        ({"keys": [{"variable": "KEY_A", "weight": 0}]}, "weight 0"),
        ({"keys": [{"variable": "KEY_A", "weight": "2"}]}, "weight a str"),
        ({"keys": [{"variable": "KEY_A", "weight": float("nan")}]}, "weight nan"),
        ({"keys": ["KEY_A", "KEY_A"]}, "twice"),
        ({"keys": ["KEY_A"], "api_key": "k"}, "beside api_key"),
        ({"keys": ["KEY_A"], "key_variable": "K"}, "beside key_variable"),
        ({"keys": ["KEY_A"], "auth": "none"}, "beside auth none"),
    ],
)
def test_what_is_no_list_of_variables_is_refused_without_being_shown(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        declare("acme", {"base_url": "https://a.example", **options}, Trust.CODE)


@pytest.mark.spec("Z03")
def test_a_key_that_stands_where_its_variable_was_meant_is_not_shown() -> None:
    for given in (["sk-live-0123456789"], [{"variable": "sk-live-0123456789"}]):
        with pytest.raises(ConfigurationError) as caught:
            declare("acme", ProviderOptions(base_url="https://a.example", keys=given), Trust.CODE)
        assert "sk-live" not in str(caught.value)


@pytest.mark.spec("Z03")
def test_one_key_in_the_list_is_a_key_variable() -> None:
    row = declare("openai", {"keys": ["KEY_A"]}, Trust.CODE).row
    assert (row.key_variables, row.keys) == (("KEY_A",), ())


@pytest.mark.spec("Z03")
async def test_the_callers_own_mistake_is_told_though_the_first_key_rests(
    make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(by_key(KEY_A=Fault.status(401)))
    ring = make_ring()
    await ring.chat("one:m", "Hi")
    with pytest.raises(ConfigurationError, match="OpenAIOptions is for"):
        await ring.chat(LLMRequest(model="one:m", messages="Hi", provider_options=OpenAIOptions(store=False)))


@pytest.mark.spec("Z03")
async def test_one_key_under_two_names_is_one_key(
    make_ring: MakeRing, fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_B", KEYS["KEY_A"])
    fake_provider.script(*[Fault.status(401)] * 2)
    ring = make_ring()
    with pytest.raises(ProviderAuthenticationError):
        await ring.chat("one:m", "Hi")
    assert len(fake_provider.received) == 1
    monkeypatch.setenv("KEY_B", KEYS["KEY_B"])
    fake_provider.script(Answer("ok"))


def test_a_key_where_the_name_of_its_variable_was_meant_is_not_told() -> None:
    with pytest.raises(ConfigurationError, match="key_variable") as caught:
        declare("one", {"base_url": "http://127.0.0.1", "key_variable": "sk-aaaa-0123456789abcdef"}, Trust.CODE)
    assert "sk-aaaa" not in f"{caught.value} {caught.value.hint}"
