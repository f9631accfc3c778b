"""Pools: what moves a call on, what does not, and what is told when nobody answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmring import LLMRequest, LLMRing
from llmring.exceptions import (
    ConfigurationError,
    ContextLengthError,
    InvalidRequestError,
    LLMRingError,
    MissingCredentialError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    QuotaExhaustedError,
)
from llmring.testing import Answer, Exact, FakeProvider, Fault

# Every status of docs/reliability.md, with the class it becomes.
STATUSES: list[tuple[int, str | None, type[ProviderError]]] = [
    (400, None, InvalidRequestError),
    (400, "context_length_exceeded", ContextLengthError),
    (401, None, ProviderAuthenticationError),
    (402, None, QuotaExhaustedError),
    (403, None, ProviderAuthenticationError),
    (404, "model_not_found", ModelNotFoundError),
    (410, None, ModelNotFoundError),
    (408, None, ProviderTimeoutError),
    (409, None, ProviderResponseError),
    (413, None, InvalidRequestError),
    (422, None, InvalidRequestError),
    (425, None, ProviderResponseError),
    (429, None, ProviderRateLimitError),
    (429, "insufficient_quota", QuotaExhaustedError),
    (500, None, ProviderResponseError),
    (502, None, ProviderResponseError),
    (503, None, ProviderResponseError),
    (504, None, ProviderResponseError),
    (529, None, ProviderResponseError),
]


@pytest.mark.spec("U17", "S05", "S06", "S08")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "code", "kind"), STATUSES)
async def test_every_status_is_a_typed_error_that_says_who_and_why(
    ring: LLMRing, fake_provider: FakeProvider, status: int, code: str | None, kind: type[ProviderError], stream: bool
) -> None:
    headers = {"x-request-id": "req-7", "retry-after": "3"}
    fake_provider.script(Fault.status(status, "The vendor's own words.", code=code, headers=headers))
    with pytest.raises(kind) as caught:
        if stream:
            async for _ in ring.chat_stream("fast", "Hi"):
                pass
        await ring.chat("fast", "Hi")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.provider, error.model) == (status, "one", "m1")
    if code is not None:
        assert error.code == code
    assert (error.request_id, error.message) == ("req-7", "The vendor's own words.")
    assert [attempt.status for attempt in error.attempts] == [status]
    if status == 429:
        assert error.retry_after_s == 3.0


@pytest.mark.spec("U19")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        *(Fault.status(s, code=c) for s, c, kind in STATUSES if not issubclass(kind, InvalidRequestError)),
        Fault.reset(),
        Fault.close_before_reply(),
        Fault.garbage(),
        Fault.cut(0),
        Fault.error_in_stream(0),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.http_status}-{fault.code}",
)
async def test_a_failing_model_hands_over_to_the_next_one_at_once(
    ring: LLMRing, fake_provider: FakeProvider, fault: Fault, stream: bool
) -> None:
    fake_provider.script(fault, model="m1")
    fake_provider.script(Answer("from the second"), model="m2")
    if stream:
        chunks = [chunk async for chunk in ring.chat_stream("pool", "Hi")]
        response = chunks[-1].data
    else:
        response = await ring.chat("pool", "Hi")
    assert (response.content, response.called_model) == ("from the second", "two:m2")
    assert [attempt["model"] for attempt in response.attempts] == ["m1"]
    assert [received.model for received in fake_provider.received] == ["m1", "m2"]


async def test_a_body_shorter_than_it_said_spoils_a_plain_reply_and_not_a_stream_that_had_ended(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.wrong_content_length(), model="m1")
    assert (await ring.chat("pool", "Hi")).called_model == "two:m2"
    stream = ring.chat_stream("pool", "Hi")
    async for _ in stream:
        pass
    assert stream.response is not None
    assert stream.response.called_model == "one:m1"


@pytest.mark.spec("U19")
async def test_a_pool_member_of_an_unknown_provider_is_passed_over(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, tmp_path: Any
) -> None:
    path = tmp_path / "t.lock"
    path.write_text(
        'version = "1.1"\n[profiles.default]\nname = "default"\n[[profiles.default.bindings]]\nalias = "odd"\n'
        'models = ["one:m1", "nobody:m2", "two:m3"]\n'
    )
    ring = make_ring(lockfile_path=path)
    fake_provider.script(Fault.status(500), model="m1")
    response = await ring.chat("odd", "Hi")
    assert [attempt["error"] for attempt in response.attempts] == ["ProviderResponseError", "ProviderNotFoundError"]
    assert ring.explain("odd")["candidates"][1]["why"] == "provider nobody is not known"
    assert ring.resolve_alias("odd") == "one:m1"


@pytest.mark.spec("U19", "U27")
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_callers_mistake_is_told_at_once(ring: LLMRing, fake_provider: FakeProvider, status: int) -> None:
    fake_provider.script(Fault.status(status))
    with pytest.raises(InvalidRequestError):
        await ring.chat("pool", "Hi")
    assert len(fake_provider.received) == 1


@pytest.mark.spec("U19")
async def test_a_model_without_a_key_is_passed_over(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider
) -> None:
    ring = make_ring(providers={"one": {"base_url": fake_provider.base_url, "key_variable": "ONE_KEY"}})
    response = await ring.chat("pool", "Hi")
    assert response.called_model == "two:m2"
    assert [attempt["error"] for attempt in response.attempts] == ["MissingCredentialError"]
    assert [received.model for received in fake_provider.received] == ["m2"]


@pytest.mark.spec("U27")
async def test_every_candidate_gets_the_original_request(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.status(503), model="m1")
    fake_provider.script(Fault.status(503), model="m2")
    await ring.chat(LLMRequest(model="pool", messages="Hi", temperature=0.5, extra_params={"a": {"b": 1}}))
    bodies = [{**received.body, "model": ""} for received in fake_provider.received]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]


FAULTS: dict[str, tuple[Fault | None, type[LLMRingError]]] = {
    "auth": (Fault.status(401), ProviderAuthenticationError),
    "not found": (Fault.status(404, code="model_not_found"), ModelNotFoundError),
    "rate limit": (Fault.status(429), ProviderRateLimitError),
    "timeout": (Fault.status(408), ProviderTimeoutError),
    "response": (Fault.status(500), ProviderResponseError),
    "no key": (None, MissingCredentialError),
}


@pytest.mark.spec("U41")
@pytest.mark.parametrize("better", FAULTS)
@pytest.mark.parametrize("worse", FAULTS)
async def test_an_exhausted_pool_raises_the_most_useful_cause_and_lists_every_attempt(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, better: str, worse: str
) -> None:
    order = list(FAULTS)
    if order.index(better) > order.index(worse):
        better, worse = worse, better
    # The worse cause first and last, the better one in the middle.
    without_key: dict[str, Any] = {}
    for (name, model), cause in zip(
        (("one", "m1"), ("two", "m2"), ("three", "m3")), (worse, better, worse), strict=True
    ):
        fault = FAULTS[cause][0]
        if fault is None:
            without_key[name] = {"base_url": fake_provider.base_url, "key_variable": f"{name.upper()}_KEY"}
        else:
            fake_provider.script(fault, model=model)
    ring = make_ring(providers=without_key)
    with pytest.raises(FAULTS[better][1]) as caught:
        await ring.chat("pool", "Hi")
    assert isinstance(caught.value, ProviderError)
    assert [attempt.model for attempt in caught.value.attempts] == ["m1", "m2", "m3"]
    assert "3 attempts" in str(caught.value)


@pytest.mark.spec("U43")
async def test_a_fallback_with_a_smaller_temperature_range_is_skipped_and_listed(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, tmp_path: Any
) -> None:
    path = tmp_path / "t.lock"
    path.write_text(
        'version = "1.1"\n[profiles.default]\nname = "default"\n[[profiles.default.bindings]]\nalias = "warm"\n'
        'models = ["one:m1", "anthropic:m2", "two:m3"]\n'
    )
    ring = make_ring(
        lockfile_path=path, providers={"anthropic": {"base_url": fake_provider.base_url, "api_key": "k" * 20}}
    )
    fake_provider.script(Fault.status(500), model="m1")
    response = await ring.chat(LLMRequest(model="warm", messages="Hi", temperature=1.5))
    assert [(attempt["model"], attempt["error"]) for attempt in response.attempts] == [
        ("m1", "ProviderResponseError"),
        ("m2", "ConfigurationError"),
    ]
    assert [received.model for received in fake_provider.received] == ["m1", "m3"]
    assert fake_provider.received[-1].body["temperature"] == 1.5


@pytest.mark.spec("U43")
@pytest.mark.parametrize(("temperature", "fine"), [(1.0, True), (1.5, True), (2.0, True), (2.5, False)])
async def test_a_temperature_above_the_limit_is_an_error_before_any_io(
    ring: LLMRing, fake_provider: FakeProvider, temperature: float, fine: bool
) -> None:
    request = LLMRequest(model="fast", messages="Hi", temperature=temperature)
    if fine:
        await ring.chat(request)
        assert fake_provider.received[0].body["temperature"] == temperature
        return
    with pytest.raises(ConfigurationError, match="2"):
        await ring.chat(request)
    assert fake_provider.received == []


@pytest.mark.spec("U19", "U41")
async def test_a_dead_port_is_a_connection_error_with_the_providers_hint(make_ring: Callable[..., LLMRing]) -> None:
    ring = make_ring(providers={"ollama": {"base_url": "http://127.0.0.1:9"}})
    with pytest.raises(ProviderConnectionError, match="ollama serve"):
        await ring.chat("ollama:llama3.2:3b", "Hi")


@pytest.mark.spec("S06")
async def test_no_error_shows_a_key_even_where_the_server_quotes_it(
    ring: LLMRing, fake_provider: FakeProvider, keys: dict[str, str]
) -> None:
    key = keys["one"]
    for fault in (
        Fault.status(401, f"Incorrect API key provided: {key}."),
        Fault.status(400, "bad", code=key),
        Fault.error_in_stream(0, f"key {key} is bad"),
        Fault.error_in_stream(2, f"key {key} is bad"),
    ):
        fake_provider.script(fault)
        with pytest.raises(ProviderError) as caught:
            async for _ in ring.chat_stream("fast", "Hi"):
                pass
        error: BaseException | None = caught.value
        while error is not None:
            assert key not in f"{error!r} {error} {vars(error)}"
            error = error.__cause__ or error.__context__


@pytest.mark.spec("A09")
async def test_a_redirect_is_not_followed_and_the_key_goes_nowhere(ring: LLMRing, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.status(307, headers={"location": f"{fake_provider.base_url}/elsewhere"}))
    with pytest.raises(ProviderResponseError, match="redirect"):
        await ring.chat("fast", "Hi")
    assert [received.path for received in fake_provider.received] == ["/v1/chat/completions"]


@pytest.mark.spec("U17")
@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (400, {"content-length": "500"}, InvalidRequestError),
        (401, {"content-encoding": "br"}, ProviderAuthenticationError),
        (429, {"content-length": "500", "retry-after": "7"}, ProviderRateLimitError),
    ],
)
async def test_a_status_counts_also_where_its_body_breaks(
    ring: LLMRing, fake_provider: FakeProvider, status: int, headers: dict[str, str], kind: type[ProviderError]
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reply = f"HTTP/1.1 {status} X\r\n{head}\r\n{{".encode()
    fake_provider.script(Exact(None, chunks=[reply]))
    with pytest.raises(kind) as caught:
        await ring.chat("fast", "Hi")
    assert caught.value.status == status
    assert caught.value.retry_after_s == (7.0 if status == 429 else None)


@pytest.mark.spec("S06")
async def test_a_request_id_is_plain_text_without_a_key(
    ring: LLMRing, fake_provider: FakeProvider, keys: dict[str, str]
) -> None:
    value = f"\xff\x1b[31m{keys['one']}-7"
    fake_provider.script(Answer("fine", headers={"x-request-id": value}))
    response = await ring.chat("fast", "Hi")
    assert response.request_id == "[31m***-7"
    fake_provider.script(Fault.status(500, headers={"x-request-id": value}))
    with pytest.raises(ProviderError) as caught:
        await ring.chat("fast", "Hi")
    assert caught.value.request_id == "[31m***-7"
    assert keys["one"] not in repr(vars(caught.value))
