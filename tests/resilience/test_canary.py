"""A key, quoted by a server in every place that it has, shows nowhere: not in errors and their tracebacks, not in what the gates say of
themselves, not in logs. (Part of RT18: what telemetry and stores keep is tested where they are.)"""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from llmring import LLMRing, LLMRingError
from llmring.resilience.breaker import Transition
from llmring.resilience.policy import RateLimits, RetryPolicy
from llmring.testing import Answer, Exact, FakeClock, FakeProvider, Fault, Received

KEY = "sk-canary/one+0123456789abcdef"
SECOND = "sk-canary/two+fedcba9876543210"
PASSWORD = "canary-password-0123456789"
PROMPT = "tell nobody about the purple walrus"
SPELLINGS = [
    spelling
    for secret in (KEY, SECOND, PASSWORD)
    for spelling in (secret, quote(secret, safe=""), quote(secret), secret.replace("/", "\\/"))
]
Scene = Callable[[str], Exact | Fault]


def echo(sent: str) -> dict[str, str]:
    return {
        "x-request-id": sent,
        "request-id": sent,
        "x-debug": f"Bearer {sent}",
        "location": f"https://elsewhere.example/?key={quote(sent)}",
        "www-authenticate": f'Bearer realm="{sent}"',
        "x-ratelimit-limit-requests": sent,
        "x-ratelimit-reset-requests": sent,
        "date": sent,
    }


def error_body(status: int, code: str, sent: str) -> bytes:
    said = f"{status}: Incorrect API key provided: {sent}; you said {PROMPT}; see https://x.example/?key={quote(sent, safe='')}"
    error = {"message": said, "type": f"{code}-{sent}", "code": code, "param": sent}
    return json.dumps({"error": error}).replace("/", "\\/").encode()


def failing(status: int, code: str = "odd", **headers: str) -> Scene:
    def scene(sent: str) -> Exact:
        given = {"content-type": "application/json", **echo(sent)}
        given |= {name.replace("_", "-"): value or sent for name, value in headers.items()}
        return Exact(status, given, [error_body(status, code, sent)])

    return scene


def exact(status: int | None, text: str, **headers: str) -> Scene:
    """With {key} in the text."""

    def scene(sent: str) -> Exact:
        given = {name.replace("_", "-"): value or sent for name, value in headers.items()}
        return Exact(status, {} if status is None else echo(sent) | given, [text.replace("{key}", sent).encode()])

    return scene


SO = '{"id":"x","choices":[{"index":0,"delta":{"content":"so"}}]}'
SSE = "text/event-stream"
SCENES: Mapping[str, Scene] = {
    "400": failing(400, "invalid_request_error"),
    "401": failing(401, "invalid_api_key"),
    "402": failing(402, "insufficient_quota"),
    "403": failing(403),
    "404": failing(404, "model_not_found"),
    "408": failing(408),
    "413": failing(413),
    "429 with a hint": failing(429, "rate_limit_exceeded", retry_after="7"),
    "429 with a key for a hint": failing(429, "rate_limit_exceeded", retry_after=""),
    "429 of the day": failing(429, "insufficient_quota"),
    "500": failing(500),
    "503": failing(503, "overloaded"),
    "529": failing(529, "overloaded_error"),
    "a redirect": failing(307),
    "an odd status": failing(499),
    "an error that is no JSON": exact(500, "{key}" * 3),
    "an answer that is no JSON": exact(200, "<{key}>", content_type="application/json"),
    "an answer that is another's": exact(200, '{"key": "{key}"}', content_type="application/json"),
    "no HTTP": exact(None, "HTTP/1.1 200 OK\r\n{key}\r\n\r\n"),
    "a header line that is too long": exact(None, "HTTP/1.1 200 OK\r\nx: " + "{key}" * 1000 + "\r\n\r\n"),
    "an odd coding": exact(200, "x", content_encoding=""),
    "an odd type": exact(200, "x", content_type=""),
    "an error in a stream": exact(
        200, f'data: {SO}\n\ndata: {{"error": {{"message": "no {{key}}"}}}}\n\n', content_type=SSE
    ),
    "a stream that breaks": exact(200, f"data: {SO}\n\ndata: {{key}}\n\n", content_type=SSE),
    "a stream that is cut": exact(200, f"data: {SO}\n\ndata: {{key}}", content_type=SSE),
    "a stream of nothing": exact(200, ": {key}\n\n", content_type=SSE),
    "a line that is too long": exact(200, "data: " + "{key}" * 40_000, content_type=SSE),
}


class Found:
    """Everything that was said, by where it was said."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, str]] = []

    def add(self, where: str, text: object) -> None:
        self.texts.append((where, text if isinstance(text, str) else repr(text)))

    def add_pickled(self, where: str, thing: object) -> None:
        data = pickle.dumps(thing)
        self.add(where, data.decode("latin-1"))
        self.add(where, base64.b64encode(data).decode())

    def add_error(self, where: str, error: BaseException) -> None:
        self.add(f"{where}: str", str(error))
        self.add(f"{where}: repr", repr(error))
        for lines in (
            traceback.format_exception(error),
            traceback.TracebackException.from_exception(error, capture_locals=True).format(),
        ):
            self.add(f"{where}: traceback", "".join(lines))
        seen: BaseException | None = error
        while seen is not None:
            self.add(f"{where}: fields", f"{vars(seen)!r} {seen.args!r}")
            self.add_pickled(f"{where}: pickle", seen)
            self.add(f"{where}: copy", repr(copy.copy(seen)))
            seen = seen.__cause__ or seen.__context__

    def hits(self, spellings: list[str]) -> list[str]:
        return [
            f"{where}: …{text[max(0, text.find(s) - 60) : text.find(s) + 40]}…"
            for where, text in self.texts
            for s in spellings
            if s in text
        ]


def note_gates(found: Found, ring: LLMRing, transitions: list[Transition]) -> None:
    health = ring.health()
    found.add("health", health)
    found.add("health: dict", json.dumps(health.to_dict()))
    found.add_pickled("health: pickle", health)
    for change in transitions:
        found.add("transition", change)
        found.add("transition: dict", json.dumps(change.to_dict()))
        found.add_pickled("transition: pickle", change)


@pytest.mark.spec("RT18")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("scene", SCENES)
async def test_a_key_that_a_server_quotes_shows_nowhere(
    scene: str,
    stream: bool,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ONE_KEY", KEY)
    monkeypatch.setenv("TWO_KEY", SECOND)

    def answer(received: Received) -> Exact | Fault:
        sent = received.headers.get("x-login") or received.headers["authorization"].removeprefix("Bearer ")
        assert sent in (KEY, SECOND, PASSWORD)
        return SCENES[scene](sent)

    fake_provider.script(answer)
    transitions: list[Transition] = []
    found = Found()
    ring = LLMRing(
        providers={
            "one": {"base_url": fake_provider.base_url, "keys": ["ONE_KEY", "TWO_KEY"]},
            "open": {"base_url": fake_provider.base_url, "auth": "none", "extra_headers": {"X-Login": PASSWORD}},
        },
        clock=fake_clock,
        retry=RetryPolicy(attempts=1, max_rate_limit_wait_s=0.0),
        limits={"*": RateLimits(max_concurrent=4)},
        on_transition=transitions.append,
        dotenv=False,
    )
    async with ring:
        errors: list[LLMRingError] = []
        for model in ("one:m", "open:m"):
            for _ in range(6):  # enough for its breaker to open
                try:
                    if stream:
                        async for part in ring.chat_stream(model, PROMPT):
                            found.add("chunk", part)
                    else:
                        await ring.chat(model, PROMPT)
                except LLMRingError as error:
                    errors.append(error)
        assert len(errors) == 12
        for number, error in enumerate(errors):
            found.add_error(f"error {number}", error)
        note_gates(found, ring, transitions)
        ring.isolate("one:m", "by hand")
        with pytest.raises(LLMRingError) as refused:
            await ring.chat("one:m", PROMPT)
        found.add_error("refused", refused.value)
        found.add("ring", ring)
        found.add("providers", json.dumps(ring.list_providers()))
    for record in caplog.records:
        found.add("log", record.getMessage())
        found.add("log: fields", f"{vars(record)!r}")
    assert len(found.texts) > 80
    assert found.hits(SPELLINGS) == []
    said = Found()
    said.texts = [(where, text) for where, text in found.texts if where.startswith(("log", "health", "transition"))]
    assert said.hits([PROMPT]) == []


@pytest.mark.spec("RT18")
async def test_a_key_in_a_good_answer_s_head_shows_nowhere(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ONE_KEY", KEY)
    fake_provider.script(Answer("fine", headers=echo(KEY)))
    found = Found()
    async with LLMRing(
        providers={"one": {"base_url": fake_provider.base_url, "key_variable": "ONE_KEY"}}, dotenv=False
    ) as ring:
        response = await ring.chat("one:m", PROMPT)
        found.add("response", response)
        found.add("response: dict", json.dumps(response.to_dict(), default=repr))
        found.add(
            "response: fields", str({name: getattr(response, name, None) for name in dir(response) if name[0] != "_"})
        )
        stream = ring.chat_stream("one:m", PROMPT)
        async for part in stream:
            found.add("chunk", part)
        found.add("stream", stream)
        note_gates(found, ring, [])
    found.add("log", caplog.text)
    assert found.hits([spelling for spelling in SPELLINGS if "one" in spelling]) == []
