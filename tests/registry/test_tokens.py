"""Estimates: what is counted of a request, what usage teaches, and what is called exact."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import Any

import pytest

from llmring import FilePart, ImagePart, LLMRequest, LLMResponse, Message, TextPart, Usage
from llmring.registry.tokens import TokenEstimator, estimate_tokens
from llmring.schemas.messages import ProviderPart, ThinkingPart, ToolOutputPart, ToolUsePart
from llmring.schemas.tools import ToolCall

CLAUDE = "anthropic:claude-sonnet-5"
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


def png(width: int, height: int) -> bytes:
    """The head of a PNG: what says its size, and no pixel."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def ask(*parts: object, model: str = CLAUDE, **given: object) -> int:
    request = LLMRequest.model_validate({"model": "a", "messages": [{"role": "user", "content": list(parts)}], **given})
    count = estimate_tokens(request, model)
    assert not count.exact
    return count.tokens


@pytest.mark.spec("P06")
def test_bytes_and_not_characters_are_what_is_divided_by_four() -> None:
    for text, tokens in [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("你好吗啊", 3), ("😀", 1), ("\ud83d", 1)]:
        count = estimate_tokens(text, CLAUDE)
        assert (count.tokens, count.exact, count.model) == (tokens, False, CLAUDE)
        assert count.source == "4.00 bytes a token (a guess)"


@pytest.mark.spec("P06")
@pytest.mark.parametrize(
    ("model", "exact", "source"),
    [
        ("openai:gpt-5.6-terra", True, "tiktoken o200k_base"),
        ("azure:gpt-4o", False, "tiktoken o200k_base"),  # a deployment may be called after another model
        ("openrouter:openai/gpt-5", False, "tiktoken o200k_base"),
        ("ollama:gpt-oss:20b", False, "tiktoken o200k_base"),
        ("openai:of-tomorrow", False, "4.00 bytes a token (a guess)"),
        ("ollama:llama3.2:3b", False, "4.00 bytes a token (a guess)"),
        ("mine:gpt-4o", False, "4.00 bytes a token (a guess)"),
    ],
)
def test_exact_is_only_what_openai_itself_reads(model: str, exact: bool, source: str) -> None:
    count = estimate_tokens("Some words.", model)
    assert (count.exact, count.source) == (exact, source)


@pytest.mark.spec("P06")
def test_a_text_that_is_cut_where_a_token_may_be_is_not_called_exact() -> None:
    assert estimate_tokens("word " * 4_000, "openai:gpt-5").exact
    assert not estimate_tokens("x" * 20_000, "openai:gpt-5").exact


@pytest.mark.spec("P06")
def test_a_request_is_its_texts_and_what_stands_around_each_message() -> None:
    # The recipe of OpenAI's cookbook, by hand: 3 a message, 3 for the answer; "Some words." has 3 tokens.
    request = LLMRequest(model="a", messages=[Message.system("Some words."), Message.user("Some words.")])
    count = estimate_tokens(request, "openai:gpt-4")
    assert (count.tokens, count.exact) == (3 + 3 + 3 + 3 + 3, False)


@pytest.mark.spec("P06")
def test_everything_that_is_sent_is_counted() -> None:
    alone = ask(TextPart(text="x" * 400))
    assert alone == 100 + 6
    assert ask(TextPart(text="x" * 400), tools=[TOOL]) > alone + 20
    assert ask(TextPart(text="x" * 400), response_format={"type": "object", "properties": {}}) > alone + 5
    long = "y" * 400
    for message in (
        Message.assistant(tool_calls=[ToolCall("1", "look", {"at": long})]),
        Message.assistant([ToolUsePart(id="1", name="look", arguments={"at": long})]),
        Message.assistant([ThinkingPart(text=long)]),
        Message.assistant([ProviderPart(dialect="d", data={"at": long})]),
        Message.tool_result("1", long),
        Message(role="tool", content=[ToolOutputPart(tool_call_id="1", content=long)]),
        Message(role="tool", content=[ToolOutputPart(tool_call_id="1", content=[TextPart(text=long)])]),
        Message(role="user", content="hi", name=long),
    ):
        assert estimate_tokens(LLMRequest(model="a", messages=[message]), CLAUDE).tokens > 100


@pytest.mark.spec("P06")
@pytest.mark.parametrize(
    ("model", "size", "tokens"),
    [
        # https://platform.claude.com/docs/en/build-with-claude/vision (2026-11-21): 1000 × 1000 is 36 × 36 patches
        (CLAUDE, (1000, 1000), 1296),
        (CLAUDE, (200, 200), 64),
        (CLAUDE, (8000, 8000), 4784),
        # https://ai.google.dev/gemini-api/docs/tokens and …/media-resolution (2026-11-21)
        ("google:gemini-2.5-flash", (384, 384), 258),
        ("google:gemini-2.5-flash", (960, 540), 516),
        ("google:gemini-3-flash", (100, 100), 1120),
        # https://community.openai.com/t/gpt-5-mini-image-input-token-calculation-discrepancy-with-official-faq-formula/1344040
        ("openai:gpt-5-mini", (256, 256), 77),
        ("openai:gpt-5-mini", (1024, 1024), 1229),
        ("openai:gpt-5-mini", (2048, 768), 1844),
        ("ollama:llava", (100, 100), 1000),
    ],
)
def test_an_image_costs_what_its_vendor_says(model: str, size: tuple[int, int], tokens: int) -> None:
    assert ask(ImagePart(data=png(*size)), model=model) == tokens + 6


@pytest.mark.spec("P06")
def test_an_image_that_is_not_here_or_has_no_size_is_a_guess() -> None:
    for part in (
        ImagePart(url="https://example.org/a.png"),
        ImagePart(file_id="f1"),
        ImagePart(data=png(0, 0)),
        ImagePart(data=b"\x89PNG\r\n\x1a\n"),
        ImagePart(data=b"?", media_type="image/heic"),
    ):
        assert ask(part) == 1000 + 6
    assert ask(ImagePart(data=png(900, 900), detail="low"), model="openai:gpt-4o") == 85 + 6


@pytest.mark.spec("P06")
def test_a_document_costs_by_the_page_and_a_text_by_its_words() -> None:
    pdf = b"%PDF-1.4\n" + b"<< /Type /Page >>\n" * 3 + b"<< /Type /Pages >>"
    assert ask(FilePart(data=pdf)) == 3 * 3000 + 6
    assert ask(FilePart(data=pdf), model="google:gemini-3-flash") == 3 * 560 + 6
    assert ask(FilePart(url="https://example.org/a.pdf")) == 3000 + 6
    assert ask(FilePart(data=b"x" * 400, media_type="text/plain")) == 100 + 6
    assert ask(ToolOutputPart(tool_call_id="1", content=[ImagePart(file_id="f")])) == 1000 + 6


def answer(prompt: str, content: str, usage: Usage, model: str = CLAUDE, **given: object) -> LLMResponse:
    request = LLMRequest.model_validate({"model": "a", "messages": prompt, **given})
    return LLMResponse(content, called_model=model, usage=usage, request=request)


@pytest.mark.spec("P06")
def test_usage_teaches_the_bytes_of_a_token_for_that_model_alone() -> None:
    estimator = TokenEstimator()
    estimator.learn(answer("p" * 3000, "c" * 1000, Usage(1000 + 6, 500)))
    assert estimator.bytes_per_token(CLAUDE) == pytest.approx(4000 / 1500)
    assert estimator.bytes_per_token("anthropic:other") == 4.0
    count = estimator.estimate("x" * 4000, CLAUDE)
    assert (count.tokens, count.exact, count.source) == (1500, False, "2.67 bytes a token (learned from usage)")


@pytest.mark.spec("P06")
def test_what_says_nothing_of_texts_teaches_nothing() -> None:
    estimator = TokenEstimator()
    for taught in (
        answer("p" * 3000, "", Usage(1000, 0, estimated=True)),
        answer("p" * 3000, "", Usage(1000, 0), tools=[TOOL]),
        answer("p" * 3000, "", Usage(1000, 0), response_format="json_object"),
        answer("p" * 100, "", Usage(100, 0)),  # short
        answer("p" * 3000, "", Usage(30, 0)),  # 100 bytes a token: that was not this text
        answer("p" * 3000, "", Usage(300_000, 0)),
        answer("p", "c" * 3000, Usage(0, 1000, reasoning_tokens=900)),
        answer("p" * 3000, "", Usage(1000, 0), model=""),
        answer("p", "", Usage(9000, 0), messages=[{"role": "user", "content": [{"type": "image", "file_id": "f"}]}]),
        LLMResponse("c" * 3000, called_model=CLAUDE, usage=Usage(0, 1000), tool_calls=[ToolCall("1", "look")]),
    ):
        estimator.learn(taught)
    assert estimator.bytes_per_token(CLAUDE) == 4.0


@pytest.mark.spec("P06")
def test_a_model_that_changes_is_followed() -> None:
    estimator = TokenEstimator()
    for _ in range(1000):
        estimator.observe(CLAUDE, 4000, 1000)
    for _ in range(1000):
        estimator.observe(CLAUDE, 2000, 1000)
    assert estimator.bytes_per_token(CLAUDE) == pytest.approx(2.0, rel=0.05)


@pytest.mark.spec("P06")
def test_what_is_learned_has_a_bound() -> None:
    estimator = TokenEstimator()
    tracemalloc.start()
    try:
        for number in range(20_000):
            estimator.observe(f"ollama:{number}", 4000, 1000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1024 * 1024
    assert estimator.bytes_per_token("ollama:19999") == 4.0
    assert "learned" in estimator.estimate("x", "ollama:19999").source


@pytest.mark.spec("P06")
def test_a_request_that_json_cannot_write_is_estimated_all_the_same() -> None:
    request = LLMRequest(
        model="a", messages="x", tools=[{**TOOL, "odd": {1: b"\xff", "s": "\ud83d", "n": float("nan")}}]
    )
    assert estimate_tokens(request, CLAUDE).tokens > 20
    endless: dict[str, Any] = {}
    endless["again"] = endless
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"deeper": deep}
    for odd in (endless, deep):
        request = LLMRequest(model="a", messages="x" * 400, tools=[{**TOOL, "odd": odd}])
        assert estimate_tokens(request, CLAUDE).tokens > 100
