"""The fake provider as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

Start = Callable[..., tuple[str, "subprocess.Popen[str]"]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the process with these options; gives back the URL that it prints, and the process."""
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[str, subprocess.Popen[str]]:
        command = [sys.executable, "-m", "llmring.testing.serve", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip(), process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def ask(url: str, model: str, *, stream: bool = False) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "messages": [], "stream": stream, "stream_options": {"include_usage": True}}
    return httpx.post(f"{url}/chat/completions", json=body)


def words(reply: httpx.Response) -> list[str]:
    events = [json.loads(line[6:]) for line in reply.text.split("\n\n") if line and line != "data: [DONE]"]
    deltas = [choice["delta"].get("content") for event in events for choice in event["choices"]]
    assert reply.text.endswith("data: [DONE]\n\n")
    assert events[-1]["usage"]["completion_tokens"] == len([delta for delta in deltas if delta])
    return [delta for delta in deltas if delta]


def test_it_prints_its_url_serves_what_the_model_name_says_and_ends_on_sigterm(start: Start) -> None:
    url, process = start("--text", "Said so.")
    assert url.startswith("http://127.0.0.1:")
    assert ask(url, "any").json()["choices"][0]["message"]["content"] == "Said so."
    assert ask(url, "chunks-7").json()["usage"]["completion_tokens"] == 7
    assert words(ask(url, "any", stream=True)) == ["Said", " so."]
    for model in ("chunks-7", "chunks-7-pace-1", "chunks-7-joined"):
        assert words(ask(url, model, stream=True)) == ["word"] + [" word"] * 6
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


def test_it_answers_with_an_error_where_asked_to(start: Start) -> None:
    url, _ = start("--status", "503")
    assert ask(url, "any").status_code == 503
