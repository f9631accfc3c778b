"""What a lock pins holds at run time: parameters, the model that answers, its content, and the day of its successor."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import (
    ConfigurationError,
    DeadlineExceededError,
    DigestMismatchError,
    LLMRequest,
    LLMRing,
    ModelDriftError,
    ProviderUnreachableError,
    RequestOptions,
)
from llmring.calls.drift import has_drifted
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault

MakeRing = Callable[..., LLMRing]


def write(lock: Path, bindings: str, *, profile: str = "", rows: str = "") -> None:
    lock.write_text(
        f'version = "1.1"\n[profiles.default]\n{profile}\n[[profiles.default.bindings]]\n{bindings}\n{rows}'
    )


ALIAS = 'alias = "pinned"\nmodels = ["one:m1"]\n'

# Parameters


@pytest.mark.spec("Z01", "U45")
@pytest.mark.parametrize(
    ("request_", "alias", "instance", "provider", "sent", "layer"),
    [
        (0.1, 0.2, 0.3, 0.4, 0.1, "request"),
        (None, 0.2, 0.3, 0.4, 0.2, "alias"),
        (None, 0.2, None, 0.4, 0.2, "alias"),
        (None, None, 0.3, 0.4, 0.3, "instance"),
        (None, None, None, 0.4, 0.4, "provider"),
        (0.0, 0.2, 0.3, None, 0.0, "request"),
        (None, 0, 0.3, None, 0.0, "alias"),
    ],
)
async def test_of_several_layers_the_nearest_to_the_request_wins(
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    lock: Path,
    request_: float | None,
    alias: float | None,
    instance: float | None,
    provider: float | None,
    sent: float,
    layer: str,
) -> None:
    write(lock, ALIAS + ("" if alias is None else f"temperature = {alias}"))
    one: dict[str, Any] = {"base_url": fake_provider.base_url, "api_key": "k" * 20}
    if provider is not None:
        one["default_temperature"] = provider
    ring = make_ring(
        providers={"one": one}, defaults=None if instance is None else RequestOptions(temperature=instance)
    )
    request = LLMRequest(model="pinned", messages="Hi", temperature=request_)
    await ring.chat(request)
    assert fake_provider.received[0].body["temperature"] == sent
    assert request.temperature == request_  # the caller's object is as it was
    explained = ring.explain(request)
    options = explained["options"] | explained["candidates"][0]["options"]
    assert options["temperature"] == {"value": sent, "layer": layer}


@pytest.mark.spec("Z01")
async def test_every_parameter_is_sent_where_the_request_is_silent_and_key_by_key(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, ALIAS + 'temperature = 0.2\nmax_tokens = 7\nreasoning_effort = "low"\nsystem = "reviewer"')
    ring = make_ring(prompts={"reviewer": "You review."}, defaults=RequestOptions(max_tokens=99, top_p=0.5))
    await ring.chat("pinned", "Hi")
    await ring.chat(LLMRequest(model="pinned", messages="Hi", max_tokens=3))
    async with ring.chat_stream("pinned", "Hi") as stream:
        async for _ in stream:
            pass
    first, second, third = (received.body for received in fake_provider.received)
    assert (first["temperature"], first["max_tokens"], first["top_p"]) == (0.2, 7, 0.5)
    assert first["reasoning_effort"] == "low"
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert "You review." in str(first["messages"][0])
    assert (second["temperature"], second["max_tokens"]) == (0.2, 3)
    assert third["messages"] == first["messages"]
    assert ring.explain("pinned")["options"]["system"] == {"value": "reviewer", "layer": "alias"}


@pytest.mark.spec("Z01")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "dialect", ["openai_chat", "openai_responses", "anthropic_messages", "gemini_generate", "ollama_chat"]
)
async def test_parameters_reach_every_dialect(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path, dialect: str, stream: bool
) -> None:
    write(lock, ALIAS + 'temperature = 0.25\nmax_tokens = 4321\nsystem = "reviewer"')
    one = {"base_url": fake_provider.base_url, "dialect": dialect, "api_key": "k" * 20}
    ring = make_ring(providers={"one": one}, prompts={"reviewer": "You review."})
    fake_provider.script(Answer('{"yes": true}'))
    request = LLMRequest(model="pinned", messages="Hi", response_format={"type": "json_object"})
    if stream:
        async with ring.chat_stream(request) as chunks:
            async for _ in chunks:
                pass
    else:
        await ring.chat(request)
    sent = json.dumps(fake_provider.received[0].body)
    assert all(sent.count(value) == 1 for value in ("0.25", "4321", "You review."))


@pytest.mark.spec("Z01")
async def test_a_key_of_the_requests_own_body_wins_over_a_parameter(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, ALIAS + "max_tokens = 7")
    request = LLMRequest(model="pinned", messages="Hi", extra_params={"max_completion_tokens": 9})
    await make_ring(defaults=RequestOptions(extra_params={"max_tokens": 5})).chat(request)
    body = fake_provider.received[0].body
    assert [value for name, value in body.items() if "tokens" in name] == [9]


@pytest.mark.spec("Z01")
async def test_a_system_prompt_of_the_request_wins_and_needs_nobody_elses(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, ALIAS + 'system = "reviewer"')
    messages = [{"role": "system", "content": "Mine."}, {"role": "user", "content": "Hi"}]
    await make_ring().chat(LLMRequest.model_validate({"model": "pinned", "messages": messages}))
    assert str(fake_provider.received[0].body["messages"]).count("system") == 1


@pytest.mark.spec("Z01")
async def test_a_prompt_that_nobody_gave_is_an_error_before_anything_is_sent(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, ALIAS + 'system = "reviewer"')
    with pytest.raises(ConfigurationError, match=r"reviewer.*LLMRing\(prompts="):
        await make_ring(prompts={"other": "x"}).chat("pinned", "Hi")
    assert fake_provider.received == []


@pytest.mark.spec("Z01")
async def test_a_model_that_is_named_itself_has_no_parameters(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, ALIAS + "temperature = 0.2")
    await make_ring().chat("one:m1", "Hi")
    assert "temperature" not in fake_provider.received[0].body


# The model that answers


SNAPSHOT = '[[locked]]\nid = "one:m1"\npin = "snapshot"'


@pytest.mark.spec("X02")
@pytest.mark.parametrize("stream", [False, True])
async def test_another_model_is_warned_of_once_in_the_log_and_in_every_response(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    write(lock, ALIAS, rows=SNAPSHOT)
    fake_provider.script(Answer("Hi", model="m1-mini"))
    ring = make_ring()
    for _ in range(2):
        response = await (finish(ring) if stream else ring.chat("pinned", "Hi"))
        assert response.model == "m1-mini"
        assert response.warnings == ["pin.drift: one:m1 is locked, and 'm1-mini' answered"]
    assert caplog.text.count("pin.drift") == 1


async def finish(ring: LLMRing) -> Any:
    async with ring.chat_stream("pinned", "Hi") as stream:
        async for _ in stream:
            pass
    return stream.response


@pytest.mark.spec("X02")
@pytest.mark.parametrize("stream", [False, True])
async def test_under_fail_nothing_of_another_models_answer_is_given_out(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path, stream: bool
) -> None:
    write(lock, ALIAS, profile='on_drift = "fail"', rows=SNAPSHOT)
    fake_provider.script(Answer("secret", model="m1-mini"))
    chunks: list[object] = []
    with pytest.raises(ModelDriftError, match="one:m1 is locked") as raised:
        if stream:
            chunks.append(await anext(make_ring().chat_stream("pinned", "Hi")))
        else:
            await make_ring().chat("pinned", "Hi")
    assert chunks == []
    error = raised.value
    assert (error.served, error.provider, error.model, error.retryable) == ("m1-mini", "one", "m1", False)
    await fake_provider.wait_idle()


@pytest.mark.spec("X02")
async def test_under_fail_the_pools_next_model_is_tried(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, 'alias = "pinned"\nmodels = ["one:m1", "two:m2"]', profile='on_drift = "fail"')
    fake_provider.script(Answer(model="other"), model="m1")
    response = await make_ring().chat("pinned", "Hi")
    assert response.model == "m2"
    assert [attempt["error"] for attempt in response.attempts] == ["ModelDriftError"]


@pytest.mark.spec("X02")
async def test_under_ignore_and_for_models_that_are_not_locked_nothing_is_said(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, ALIAS, profile='on_drift = "ignore"', rows=SNAPSHOT)
    fake_provider.script(Answer(model="m1-mini"))
    ring = make_ring()
    assert (await ring.chat("pinned", "Hi")).warnings == []
    assert (await ring.chat("one:m1", "Hi")).warnings == []


@pytest.mark.spec("X02")
@pytest.mark.parametrize(
    ("locked", "served", "pin", "points_to", "requested", "drifted"),
    [
        ("gpt-5", "gpt-5", "snapshot", None, None, False),
        ("gpt-5", "gpt-5-2025-08-07", "pointer", None, None, False),
        ("gpt-5", "gpt-5-2025-08-07", None, None, None, False),
        ("gpt-5", "gpt-5-2025-08-07", "pointer", "gpt-5-2025-08-07", None, False),
        ("gpt-5", "gpt-5-2025-12-01", "pointer", "gpt-5-2025-08-07", None, True),
        ("gpt-5-2025-08-07", "gpt-5", "snapshot", None, "openai:gpt-5", False),
        ("gpt-5-2025-08-07", "gpt-5", "snapshot", None, None, True),
        ("gpt-5-2025-08-07", "gpt-5-2025-12-01", "snapshot", None, "openai:gpt-5", True),
        ("gpt-5", "gpt-5-mini", "pointer", None, None, True),
        ("gpt-5", "gpt-50", "pointer", None, None, True),
        ("gpt-5", "gpt-5-mini-2025-08-07", None, None, None, True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "pointer", None, None, False),
        ("gemini-3-flash", "models/gemini-3-flash-001", "pointer", None, None, False),
        ("openai/gpt-5", "gpt-5", None, None, None, False),
        ("llama3.2", "llama3.2:latest", "content", None, None, False),
        ("llama3.2:3b", "llama3.2:1b", "content", None, None, True),
        ("nomic-embed-text:latest", "nomic-embed-text", None, None, None, False),
        ("gpt-5.6-luna", "gpt-5.6-terra", "snapshot", None, None, True),
        ("o3.mini", "mini", "snapshot", None, None, True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929", "snapshot", None, None, False),
        ("anthropic.claude-sonnet-5", "claude-sonnet-5", None, None, None, False),
        ("us.anthropic.claude-sonnet-5", "claude-opus-5", None, None, None, True),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929", "snapshot", None, None, False),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1", None, None, None, False),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-v4:free", None, None, None, True),
        ("mistral-large-latest", "mistral-large-2512", "pointer", None, None, False),
        ("gemini-flash-latest", "gemini-3.8-flash", "pointer", "gemini-3.8-flash", None, False),
        ("gemini-flash-latest", "gemini-4-argon", "pointer", "gemini-3.8-flash", None, True),
        ("text-embedding-ada-002", "text-embedding-ada-002-v2", None, None, None, False),
    ],
)
def test_which_names_are_the_locked_model(
    locked: str, served: str, pin: str | None, points_to: str | None, requested: str | None, drifted: bool
) -> None:
    assert has_drifted(locked, served, pin, points_to, requested) is drifted


@pytest.mark.spec("X02")
@pytest.mark.parametrize("policy", ["warn", "fail", "ignore"])
async def test_vectors_of_another_model_are_told_apart_too(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path, policy: str
) -> None:
    write(lock, ALIAS, profile=f'on_drift = "{policy}"', rows=SNAPSHOT)
    body = {"object": "list", "model": "m1-mini", "data": [{"index": 0, "embedding": [0.5, 1.0]}]}
    fake_provider.script(Exact(200, {"content-type": "application/json"}, [json.dumps(body).encode()]))
    ring = make_ring()
    if policy == "fail":
        with pytest.raises(ModelDriftError, match="one:m1 is locked, and 'm1-mini' answered"):
            await ring.embed("pinned", "Hi")
    else:
        said = ["pin.drift: one:m1 is locked, and 'm1-mini' answered"] if policy == "warn" else []
        assert (await ring.embed("pinned", "Hi")).warnings == said


@pytest.mark.spec("X02")
async def test_an_azure_deployment_may_be_called_anything(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, 'alias = "pinned"\nmodels = ["azure:our-deployment"]')
    fake_provider.script(Answer(model="gpt-4o-2024-08-06"))
    ring = make_ring(providers={"azure": {"base_url": fake_provider.base_url, "api_key": "k" * 20}})
    assert (await ring.chat("pinned", "Hi")).warnings == []


@pytest.mark.spec("X02")
async def test_a_pointer_that_the_lock_resolved_may_answer_by_its_own_name(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, 'alias = "pinned"\nmodels = ["one:m1-2026-01-01"]\nrequested = ["one:m1"]')
    fake_provider.script(Answer(model="m1"))
    ring = make_ring()
    assert (await ring.chat("pinned", "Hi")).warnings == []
    assert ring.explain("pinned")["candidates"][0]["requested"] == "one:m1"


# Content


DIGEST = "ab" * 32
OLLAMA = 'alias = "pinned"\nmodels = ["ollama:tiny:1b", "two:m2"]\n'
CONTENT = f'[[locked]]\nid = "ollama:tiny:1b"\npin = "content"\ndigest = "sha256:{DIGEST}"\n'


def tags(digest: str = DIGEST, name: str = "tiny:1b") -> Exact:
    body = json.dumps({"models": [{"name": name, "model": name, "digest": digest}]}).encode()
    return Exact(200, {"content-type": "application/json"}, [body])


def ollama(fake_provider: FakeProvider) -> dict[str, Any]:
    return {"ollama": {"base_url": f"{fake_provider.url}/api"}}


@pytest.mark.spec("V13", "X02")
async def test_content_is_verified_once_before_the_first_use(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(tags(), Answer("Hi"))
    ring = make_ring(providers=ollama(fake_provider))
    for _ in range(2):
        assert (await ring.chat("pinned", "Hi")).warnings == []
    assert [received.path for received in fake_provider.received] == ["/api/tags", "/api/chat", "/api/chat"]


@pytest.mark.spec("V13", "X02")
@pytest.mark.parametrize(
    ("step", "words"),
    [
        (tags("cd" * 32), "Ollama has sha256:cdcdcdcdcdcd"),
        (tags(name="tiny:3b"), "does not have it"),
        (Exact(200, {"content-type": "application/json"}, [b"[]"]), "does not have it"),
    ],
)
async def test_changed_or_missing_content_is_refused_and_the_pool_does_not_hide_it(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path, step: Exact, words: str
) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(step)
    before = lock.read_bytes()
    with pytest.raises(DigestMismatchError, match=words) as raised:
        await make_ring(providers=ollama(fake_provider)).chat("pinned", "Hi")
    assert "ollama pull tiny:1b" in str(raised.value.hint)
    assert raised.value.locked == f"sha256:{DIGEST}"
    assert [received.path for received in fake_provider.received] == ["/api/tags"]
    assert lock.read_bytes() == before


@pytest.mark.spec("V13", "X02")
async def test_fifty_first_calls_at_once_ask_once(make_ring: MakeRing, fake_provider: FakeProvider, lock: Path) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(tags(), Answer("Hi"))
    ring = make_ring(providers=ollama(fake_provider))
    await asyncio.gather(*(ring.chat("pinned", "Hi") for _ in range(50)))
    assert [received.path for received in fake_provider.received].count("/api/tags") == 1


@pytest.mark.spec("V13", "X02")
async def test_fifty_first_calls_are_refused_together_and_the_next_one_asks_again(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(tags("cd" * 32), tags(), Answer("Hi"))
    ring = make_ring(providers=ollama(fake_provider))
    errors = await asyncio.gather(*(ring.chat("pinned", "Hi") for _ in range(50)), return_exceptions=True)
    assert [type(error) for error in errors] == [DigestMismatchError] * 50
    assert len({id(error) for error in errors}) == 50  # each call writes its own attempts into its own
    assert (await ring.chat("pinned", "Hi")).content == "Hi"  # pulled meanwhile
    assert [received.path for received in fake_provider.received] == ["/api/tags", "/api/tags", "/api/chat"]


@pytest.mark.spec("V13", "X02")
async def test_a_server_that_does_not_answer_is_not_waited_for_past_the_deadline(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(Fault.hang())
    fake_provider.script(Answer("Hi"), model="m2")
    clock = FakeClock()
    ring = make_ring(providers=ollama(fake_provider), clock=clock)
    calls = [asyncio.create_task(ring.chat(LLMRequest(model="pinned", messages="Hi", deadline=2))) for _ in range(3)]
    patient = asyncio.create_task(ring.chat("pinned", "Hi"))
    await fake_provider.wait_received(1)
    clock.advance(2)
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [DeadlineExceededError] * 3
    assert not patient.done()
    clock.advance(8)
    assert (await patient).model == "m2"
    assert len(fake_provider.received) == 2


@pytest.mark.spec("V13", "X02")
async def test_content_that_changed_is_not_hidden_wherever_it_stands_in_the_pool(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    pool = 'alias = "pinned"\nmodels = ["one:m1", "ollama:tiny:1b", "two:m2"]\n'
    write(lock, pool, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(Fault.status(503), model="m1")
    fake_provider.script(tags("cd" * 32))
    with pytest.raises(DigestMismatchError):
        await make_ring(providers=ollama(fake_provider)).chat("pinned", "Hi")


@pytest.mark.spec("V13")
async def test_vectors_are_of_the_content_that_was_pinned(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    fake_provider.script(tags("cd" * 32))
    with pytest.raises(DigestMismatchError):
        await make_ring(providers=ollama(fake_provider)).embed("pinned", "Hi")


@pytest.mark.spec("V13")
async def test_other_profiles_ask_for_no_digest(make_ring: MakeRing, fake_provider: FakeProvider, lock: Path) -> None:
    write(lock, OLLAMA, profile='min_pin = "snapshot"', rows=CONTENT)
    await make_ring(providers=ollama(fake_provider)).chat("pinned", "Hi")
    assert [received.path for received in fake_provider.received] == ["/api/chat"]


@pytest.mark.spec("V13")
async def test_a_server_that_is_not_there_is_a_failure_like_any_other(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path
) -> None:
    write(lock, OLLAMA, profile='min_pin = "content"', rows=CONTENT)
    ring = make_ring(providers={"ollama": {"base_url": "http://127.0.0.1:9/api"}})
    response = await ring.chat("pinned", "Hi")
    assert (response.model, response.attempts[0]["error"]) == ("m2", ProviderUnreachableError.__name__)


# The successor


@pytest.mark.spec("X06")
async def test_the_successor_serves_from_its_day_on_and_both_are_logged_once(
    make_ring: MakeRing, fake_provider: FakeProvider, lock: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "llmring")
    write(lock, ALIAS + 'until = "2030-01-02"\nthen = ["two:m2"]')
    clock = FakeClock()  # 2030-01-01T00:00:00Z
    ring = make_ring(clock=clock)
    for _ in range(2):
        assert ring.resolve_alias("pinned") == "one:m1"
    clock.advance(86_400 - 0.5)
    assert ring.resolve_alias("pinned") == "one:m1"
    assert ring.explain("pinned")["successor"] == {
        "until": "2030-01-02",
        "models": ["one:m1"],
        "then": ["two:m2"],
        "serves": False,
    }
    clock.advance(0.5)  # the cache, which would keep the entry for an hour, does not outlive the day
    for _ in range(2):
        assert (await ring.chat("pinned", "Hi")).model == "m2"
    assert ring.explain("pinned")["successor"]["serves"] is True
    assert ring.list_aliases() == {"pinned": ["two:m2"]}
    said = [record.message for record in caplog.records if record.name == "llmring.resolver"]
    assert said == [
        "alias 'pinned' of profile 'default' will be served by its reviewed successor from 2030-01-02 on: two:m2",
        "alias 'pinned' of profile 'default' is served by its reviewed successor since 2030-01-02: two:m2",
    ]


async def test_a_locked_model_that_has_retired_keeps_working_and_the_log_says_so_once(
    make_ring: MakeRing, lock: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(lock, ALIAS, rows='[[locked]]\nid = "one:m1"\nretires = "2029-12-31"')
    ring = make_ring(clock=FakeClock(), alias_cache_size=0)
    for _ in range(3):
        assert (await ring.chat("pinned", "Hi")).content
    assert [record.message for record in caplog.records if "retired" in record.message] == [
        "one:m1 is retired since 2029-12-31; `llmring lock audit` says what may take its place"
    ]
