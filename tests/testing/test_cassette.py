"""What was recorded is what is played: every dialect, plain and streamed, without a server, a key or a secret in the file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from llmring import (
    ConfigurationError,
    LLMRequest,
    LLMResponse,
    LLMRing,
    ProviderRateLimitError,
    RetryPolicy,
    StreamChunk,
    StreamInterruptedError,
)
from llmring.exceptions import LiveRequestError
from llmring.testing import Answer, Cassette, FakeProvider, Fault

KEY = "sk-test-0123456789abcdef"
DIALECTS = {
    "openai_chat": "openai",
    "openai_responses": "responses",
    "anthropic_messages": "anthropic",
    "gemini_generate": "google",
    "ollama_chat": "ollama",
}


def providers_at(fake: FakeProvider) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: {"base_url": fake.base_url_of(dialect), "api_key": KEY} for dialect, name in DIALECTS.items()
    }
    found["responses"] |= {"like": "openai", "dialect": "openai_responses"}
    return found


async def ask(
    cassette: Cassette, providers: dict[str, Any], request: LLMRequest, *, stream: bool
) -> tuple[LLMResponse, list[StreamChunk]]:
    async with LLMRing(transport=cassette.transport, providers=providers) as ring:
        if not stream:
            return await ring.chat(request), []
        calls = ring.chat_stream(request)
        chunks = [chunk async for chunk in calls]
        assert calls.response is not None
        return calls.response, chunks


def facts(response: LLMResponse) -> dict[str, Any]:
    known = response.to_dict()
    return {name: known[name] for name in ("content", "usage", "tool_calls", "reasoning", "finish_reason", "id")}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("dialect", "name"), DIALECTS.items())
async def test_every_dialect_is_recorded_and_played(
    fake_provider: FakeProvider, tmp_path: Path, dialect: str, name: str, stream: bool
) -> None:
    # A server that quotes the key, as some do where it is wrong.
    call = {"id": "call_1", "name": "look", "arguments": {"at": "it"}}
    fake_provider.script(Answer(f"Your key is {KEY}, ü.", tool_calls=[call], reasoning="Well."))
    providers, path = providers_at(fake_provider), tmp_path / "new" / "answer.json"
    request = LLMRequest(model=f"{name}:m", messages="Which key?")
    async with Cassette(path, record="missing") as recording:
        assert recording.is_recording
        recorded, chunks = await ask(recording, providers, request, stream=stream)
    await fake_provider.close()
    assert KEY not in path.read_text()
    exchange = json.loads(path.read_text())["exchanges"][0]
    assert "Which key?" in json.dumps(exchange["request"]["body"]["json"])  # as JSON, to be read in a review

    providers[name]["api_key"] = "another-key-of-no-worth"
    async with Cassette(path) as played:
        again, chunks_again = await ask(played, providers, request, stream=stream)
        assert played.unused == []
    assert again.content == recorded.content.replace(KEY, "***")
    expected = json.loads(json.dumps(facts(recorded)).replace(KEY, "***"))
    assert json.loads(json.dumps(facts(again))) == expected
    assert len(chunks_again) == len(chunks) or KEY in recorded.content


async def test_a_stream_comes_in_the_pieces_that_it_came_in(fake_provider: FakeProvider, tmp_path: Path) -> None:
    fake_provider.script(Answer("one two three four"))
    path, request = tmp_path / "stream.json", LLMRequest(model="openai:m", messages="Count.")
    async with Cassette(path, record="all") as recording:
        _, chunks = await ask(recording, providers_at(fake_provider), request, stream=True)
    pieces = json.loads(path.read_text())["exchanges"][0]["reply"]["chunks"]
    assert all(isinstance(piece, str) and piece.endswith("\n\n") for piece in pieces)
    async with Cassette(path) as played:
        _, again = await ask(played, providers_at(fake_provider), request, stream=True)
    assert [chunk.delta for chunk in again] == [chunk.delta for chunk in chunks]
    assert len(fake_provider.received) == 1


async def test_what_went_wrong_is_played_too(fake_provider: FakeProvider, tmp_path: Path) -> None:
    fake_provider.script(Fault.status(429, "Slow down."), Fault.cut(3))
    path = tmp_path / "wrong.json"
    request = LLMRequest(model="openai:m", messages="Hi", retry=RetryPolicy(attempts=1))
    for record in ("missing", "none"):
        async with Cassette(path, record=record) as cassette:
            providers = providers_at(fake_provider)
            with pytest.raises(ProviderRateLimitError, match=r"Slow down\."):
                await ask(cassette, providers, request, stream=False)
            with pytest.raises(StreamInterruptedError):
                await ask(cassette, providers, request, stream=True)
    assert len(fake_provider.received) == 2


async def test_where_nothing_is_recorded_it_is_said_how_to(tmp_path: Path) -> None:
    with pytest.raises(LiveRequestError, match=r"nothing is recorded in .*none\.json") as caught:
        Cassette(tmp_path / "none.json")
    assert "--llmring-record=missing" in (caught.value.hint or "")
    with pytest.raises(ConfigurationError, match="record='sometimes'"):
        Cassette(tmp_path / "none.json", record="sometimes")  # pyright: ignore[reportArgumentType]: a caller's mistake
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="no recording of version 1"):
        Cassette(tmp_path / "other.json")


async def test_another_request_is_told_with_the_place_and_not_its_words_and_no_sibling_is_asked(
    fake_provider: FakeProvider, tmp_path: Path
) -> None:
    (tmp_path / "t.lock").write_text(
        'version = "1.1"\n[profiles.default]\nname = "default"\n'
        '[[profiles.default.bindings]]\nalias = "pool"\nmodels = ["openai:m", "anthropic:m"]\n'
    )
    providers, path = providers_at(fake_provider), tmp_path / "one.json"

    async def say(cassette: Cassette, text: str) -> None:
        async with LLMRing(
            transport=cassette.transport, providers=providers, lockfile_path=tmp_path / "t.lock"
        ) as ring:
            await ring.chat("pool", text)

    async with Cassette(path, record="all") as recording:
        await say(recording, "Hi")
    async with Cassette(path) as played:
        with pytest.raises(LiveRequestError, match=r"differs at messages\[0\]\.content") as caught:
            await say(played, "A SECRET PROMPT")
        assert "SECRET" not in str(caught.value)
        assert played.unused == [f"POST {fake_provider.base_url}/chat/completions"]
        await say(played, "Hi")
        with pytest.raises(LiveRequestError, match="no recorded exchange is left"):
            await say(played, "Hi")
    assert len(fake_provider.received) == 1


async def test_what_is_hidden_by_hand_is_found_all_the_same(fake_provider: FakeProvider, tmp_path: Path) -> None:
    fake_provider.script(Answer("Dear ada@example.org"))
    request = LLMRequest(model="openai:m", messages="Write to ada@example.org.")
    for record in ("missing", "none"):
        async with Cassette(tmp_path / "mail.json", record=record) as cassette:
            cassette.hide("ada@example.org")
            response, _ = await ask(cassette, providers_at(fake_provider), request, stream=False)
    assert response.content == "Dear ***"
    assert "ada@" not in (tmp_path / "mail.json").read_text()


def test_the_fixture_records_when_asked_and_plays_without_server_or_keys(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nllmring_no_live_requests = true"
    )
    pytester.makepyfile(
        test_recorded="""
        import os
        import pytest
        from llmring import LLMRing
        from llmring.testing import Answer, FakeProvider

        @pytest.fixture
        async def server(cassette):
            if not cassette.is_recording:
                yield None
                return
            async with FakeProvider(port=PORT) as server:
                yield server

        async def ask(cassette):
            base_url = "http://127.0.0.1:PORT/v1"
            async with LLMRing(transport=cassette.transport, providers={"openai": {"base_url": base_url}}) as ring:
                response = await ring.chat("openai:m", "Hi")
                assert response.content == "Hello from the fake provider."
            assert not os.environ.get("ANTHROPIC_API_KEY")

        @pytest.mark.parametrize("n", [1, "a/b"])
        async def test_by_its_name(cassette, server, n):
            await ask(cassette)

        @pytest.mark.cassette("shared")
        async def test_by_another(cassette, server):
            await ask(cassette)
        """.replace("PORT", str(_free_port()))
    )
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(errors=3)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    pytester.runpytest_inprocess("--llmring-record=missing").assert_outcomes(passed=3)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)  # of whoever runs it; there was none when it was recorded
    pytester.runpytest_inprocess().assert_outcomes(passed=3)
    assert os.environ["ANTHROPIC_API_KEY"] == KEY
    files = sorted(path.relative_to(pytester.path).as_posix() for path in pytester.path.rglob("cassettes/**/*.json"))
    assert files == [
        "cassettes/shared.json",
        "cassettes/test_recorded/test_by_its_name-1.json",
        "cassettes/test_recorded/test_by_its_name-a-b.json",
    ]
    text = (pytester.path / "cassettes" / "shared.json").read_text()
    assert KEY not in text
    assert json.loads(text)["keys"] == ["OPENAI_API_KEY"]


def _free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
