"""What an error says beside its class: whose request it was, what else was tried, and never a piece of a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from llmring import LLMRing
from llmring.exceptions import (
    InvalidRequestError,
    MalformedResponseError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderTimeoutError,
    ServiceClosedError,
    StreamInterruptedError,
)
from llmring.resilience.fallback import moves_on
from llmring.testing import Answer, Exact, FakeProvider, Fault
from llmring.transport.base import HTTPReply, HTTPRequest

JSON = {"content-type": "application/json", "x-request-id": "req-9"}
SSE = {"content-type": "text/event-stream", "x-request-id": "req-9"}
WORD = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'
ERROR = b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'


@pytest.mark.spec("S06")
@pytest.mark.parametrize(
    ("step", "stream", "kind"),
    [
        (Exact(headers=JSON, chunks=[ERROR]), False, ProviderRateLimitError),
        (Exact(headers=JSON, chunks=[b"no json"]), False, MalformedResponseError),
        (Exact(headers=SSE, chunks=[b"data: " + ERROR + b"\n\n"]), True, ProviderRateLimitError),
        (Exact(headers=SSE, chunks=[b"data: no json\n\n"]), True, MalformedResponseError),
        (Exact(headers=SSE, chunks=[]), True, StreamInterruptedError),
        (Exact(headers=SSE, chunks=[WORD]), True, StreamInterruptedError),
        (Exact(headers=SSE, chunks=[WORD, b"data: " + ERROR + b"\n\n"]), True, StreamInterruptedError),
    ],
)
async def test_an_answer_that_goes_wrong_after_its_head_keeps_the_request_id(
    ring: LLMRing, fake_provider: FakeProvider, step: Exact, stream: bool, kind: type[ProviderError]
) -> None:
    fake_provider.script(step)
    with pytest.raises(kind) as caught:
        if stream:
            async for _ in ring.chat_stream("fast", "Hi"):
                pass
        else:
            await ring.chat("fast", "Hi")
    assert type(caught.value) is kind
    assert caught.value.request_id == "req-9"
    assert (caught.value.provider, caught.value.model) == ("one", "m1")


class StalledReply:
    """A reply whose head has come and whose body never does."""

    status = 200
    headers: Mapping[str, str] = JSON
    closed = False

    async def read(self, until: float | None) -> bytes:
        raise TimeoutError

    async def read_some(self, until: float | None) -> bytes:
        raise TimeoutError

    def close(self) -> None:
        self.closed = True


class StalledTransport:
    """Answers every request with a stalled reply."""

    def __init__(self) -> None:
        self.reply = StalledReply()

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        return self.reply

    async def close(self) -> None:
        pass


@pytest.mark.spec("S06")
async def test_a_reply_that_stalls_after_its_head_keeps_the_request_id_and_is_closed(
    make_ring: Callable[..., LLMRing],
) -> None:
    transport = StalledTransport()
    with pytest.raises(ProviderTimeoutError, match="total") as caught:
        await make_ring(transport=transport).chat("fast", "Hi")
    assert caught.value.request_id == "req-9"
    assert transport.reply.closed


@pytest.mark.spec("S06", "U41")
async def test_an_interrupted_stream_says_which_models_were_tried_itself_included(
    ring: LLMRing, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.status(503), model="m1")
    fake_provider.script(Fault.cut(4, "fin", Answer("one two three four five six")), model="m2")
    with pytest.raises(StreamInterruptedError) as caught:
        async for _ in ring.chat_stream("pool", "Hi"):
            pass
    assert [(attempt.model, attempt.status) for attempt in caught.value.attempts] == [("m1", 503), ("m2", None)]


@pytest.mark.spec("S06")
async def test_a_key_that_the_cut_of_a_long_message_would_halve_is_gone_all_the_same(
    ring: LLMRing, fake_provider: FakeProvider, keys: dict[str, str]
) -> None:
    fake_provider.script(Fault.status(400, "x" * 490 + keys["one"]))
    with pytest.raises(InvalidRequestError) as caught:
        await ring.chat("fast", "Hi")
    assert "xxx" in caught.value.message
    assert "sk-" not in str(caught.value)


@pytest.mark.spec("S06", "A07")
async def test_a_key_of_the_environment_that_the_server_quotes_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, fake_provider: FakeProvider
) -> None:
    key = "sk-of-the-environment-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_BASE_URL", fake_provider.base_url)
    fake_provider.script(Fault.status(401, f"Incorrect API key provided: {key}."))
    async with LLMRing() as ring:
        with pytest.raises(ProviderError) as caught:
            await ring.chat("openai:m", "Hi")
    assert "Incorrect API key provided" in caught.value.message
    assert key not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


@pytest.mark.spec("U19", "U36")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_pool_whose_first_provider_is_unknown_goes_where_resolve_alias_points(
    make_ring: Callable[..., LLMRing], fake_provider: FakeProvider, tmp_path: Path, stream: bool
) -> None:
    path = tmp_path / "odd.lock"
    path.write_text(
        'version = "1.1"\n[profiles.default]\nname = "default"\n'
        '[[profiles.default.bindings]]\nalias = "odd"\nmodels = ["nobody:m", "one:m1"]\n'
        '[[profiles.default.bindings]]\nalias = "lost"\nmodels = ["nobody:m"]\n'
    )
    ring = make_ring(lockfile_path=path)
    if stream:
        response = [chunk async for chunk in ring.chat_stream("odd", "Hi")][-1].data
    else:
        response = await ring.chat("odd", "Hi")
    assert response.called_model == ring.resolve_alias("odd") == "one:m1"
    assert [attempt["error"] for attempt in response.attempts] == ["ProviderNotFoundError"]
    with pytest.raises(ProviderNotFoundError, match="nobody"):
        await ring.chat("lost", "Hi")


@pytest.mark.spec("U01")
def test_a_ring_that_was_closed_tries_no_further_model() -> None:
    assert not moves_on(ServiceClosedError("m"), first=True)
    assert not moves_on(ServiceClosedError("m"), first=False)
