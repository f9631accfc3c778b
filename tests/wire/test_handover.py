"""The table of hand-overs is true: what it says that a dialect makes of another's conversation is what its encoder writes."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from llmring.exceptions import ConfigurationError
from llmring.providers.table import PROVIDERS
from llmring.registry.model_info import ModelInfo
from llmring.schemas.messages import FilePart, ImagePart, Message, ProviderPart, TextPart, ThinkingPart, ToolOutputPart
from llmring.schemas.request import ComputerUse, LLMRequest
from llmring.schemas.tools import ToolCall
from llmring.wire.base import Quirks, Target
from llmring.wire.handover import HANDOVER, Speaker, hand_over
from llmring.wire.table import DIALECTS

PIXEL = bytes.fromhex("89504e470d0a1a0a")
# One that no vendor who is strict about ids would take.
CALL_ID = "functions.look:0"
DIALECT_PAIRS = list(itertools.permutations(HANDOVER, 2))
# A provider of each dialect, with the quirks of a model that is not known.
ROWS = {
    dialect: next(row for row in PROVIDERS.values() if row.dialect == dialect)
    for dialect in HANDOVER
    if dialect != "openai_responses"
}


def quirks_of(dialect: str) -> Quirks:
    return ROWS[dialect].quirks if dialect in ROWS else ROWS["openai_chat"].quirks


@dataclass(frozen=True)
class Written:
    """What came of encoding. text: the body, empty where it was refused."""

    text: str
    warnings: list[str]
    refused: bool


def encode(dialect: str, *messages: Message, quirks: Quirks | None = None, **more: Any) -> Written:
    target = Target("under-test", "model", ModelInfo("under-test:model"), quirks or quirks_of(dialect))
    request = LLMRequest(model="under-test:model", messages=[Message(role="user", content="Look."), *messages], **more)
    try:
        encoded = DIALECTS[dialect].encode(request, target, stream=False)
    except ConfigurationError:
        return Written("", [], refused=True)
    return Written(orjson.dumps(encoded.body).decode(), encoded.warnings, refused=False)


def assistant(*parts: Any) -> Message:
    return Message(role="assistant", content=[*parts, TextPart(text="Done.")])


def test_every_dialect_of_chat_is_in_the_table() -> None:
    assert set(HANDOVER) == DIALECTS.keys() - {"cohere_embed"}


@pytest.mark.spec("X04")
@pytest.mark.parametrize(("source", "target"), DIALECT_PAIRS)
def test_thinking_and_blocks_of_another_dialect_are_left_out_with_a_warning(source: str, target: str) -> None:
    left = [
        ThinkingPart(text="SECRET-THOUGHT", signature="SEAL", dialect=source),
        ProviderPart(dialect=source, data={"type": "search", "what": "SECRET-BLOCK"}),
    ]
    fates = hand_over(Speaker("a", source, quirks_of(source)), Speaker("b", target, quirks_of(target)))
    for part, mark, kind in zip(left, ("SECRET-THOUGHT", "SECRET-BLOCK"), ("thinking", "blocks"), strict=True):
        written = encode(target, assistant(part))
        assert not written.refused
        # Where a dialect leaves nothing of a kind, there is nothing of it to lose; whoever hands it on all the same finds it dropped.
        leaves = (
            Speaker("a", source, quirks_of(source)).leaves_thinking
            if kind == "thinking"
            else HANDOVER[source].leaves_blocks
        )
        assert fates[kind] == ("dropped" if leaves else "kept")
        assert mark not in written.text
        assert "SEAL" not in written.text
        assert written.warnings


@pytest.mark.spec("X04")
@pytest.mark.parametrize("dialect", HANDOVER)
def test_thinking_that_nobody_sealed(dialect: str) -> None:
    # In OpenAI's dialect it is for the servers that want it back, under the name that they have for it.
    quirks = Quirks(thinking_back="reasoning_content") if dialect == "openai_chat" else None
    written = encode(dialect, assistant(ThinkingPart(text="PLAIN-THOUGHT")), quirks=quirks)
    assert ("PLAIN-THOUGHT" in written.text) is (HANDOVER[dialect].unsealed == "kept")


@pytest.mark.spec("X04")
@pytest.mark.parametrize("dialect", HANDOVER)
def test_ids_of_tool_calls(dialect: str) -> None:
    call = Message(role="assistant", content=None, tool_calls=[ToolCall(CALL_ID, "look", {"at": "it"})])
    answer = Message(role="tool", tool_call_id=CALL_ID, content="THE-ANSWER")
    tool: dict[str, Any] = {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
    }
    written = encode(dialect, call, answer, tools=[tool])
    assert not written.refused
    assert "THE-ANSWER" in written.text  # whatever becomes of the id, the answer stays with its call
    assert (CALL_ID in written.text) is (HANDOVER[dialect].call_ids == "kept")


@pytest.mark.spec("X04")
@pytest.mark.parametrize("dialect", HANDOVER)
def test_images_by_url_and_in_the_results_of_tools(dialect: str) -> None:
    quirks = quirks_of(dialect)
    one = Speaker("a", "openai_chat")
    fates = hand_over(one, Speaker("b", dialect, quirks))
    by_url = encode(dialect, Message(role="user", content=[ImagePart(url="https://example.org/a.png")]))
    # Where it is converted, a ring fetches it before the encoder sees it: calls/media.py goes by the quirk.
    assert by_url.refused is (fates["image_urls"] == "converted")
    assert (fates["image_urls"] == "kept") is quirks.image_urls
    call = Message(role="assistant", content=None, tool_calls=[ToolCall("call_1", "look", {})])
    shown = ToolOutputPart(tool_call_id="call_1", content=[ImagePart(data=PIXEL, media_type="image/png")])
    in_result = encode(dialect, call, Message(role="tool", content=[shown]))
    assert not in_result.refused
    users = in_result.text.count('"role":"user"')
    own_turn = encode(dialect, call, Message(role="tool", tool_call_id="call_1", content="x")).text.count(
        '"role":"user"'
    )
    assert (users > own_turn) is (fates["tool_media"] == "converted")


@pytest.mark.spec("X04")
@pytest.mark.parametrize("dialect", HANDOVER)
def test_what_a_dialect_has_no_words_for_is_refused(dialect: str) -> None:
    asked: Mapping[str, Written] = {
        "pdf": encode(dialect, Message(role="user", content=[FilePart(data=b"%PDF-1.4", media_type="application/pdf")])),
        "audio": encode(dialect, Message(role="user", content=[FilePart(data=b"RIFF", media_type="audio/wav")])),
        "video": encode(dialect, Message(role="user", content=[FilePart(data=b"mp4", media_type="video/mp4")])),
        "tool_choice": encode(
            dialect,
            tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
            tool_choice="required",
            quirks=quirks_of(dialect),
        ),
    }  # fmt: skip
    for cap, written in asked.items():
        assert written.refused is (cap in HANDOVER[dialect].cannot), cap


WEB_SEARCH: Mapping[str, dict[str, Any]] = {
    "openai_chat": {"web_search_options": {}},
    "openai_responses": {"tools": [{"type": "web_search"}]},
    "anthropic_messages": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "gemini_generate": {"tools": [{"google_search": {}}]},
    "ollama_chat": {"tools": [{"type": "web_search"}]},
}


@pytest.mark.spec("X04")
@pytest.mark.parametrize("dialect", HANDOVER)
def test_the_web_search_of_a_provider(dialect: str) -> None:
    asked = WEB_SEARCH[dialect]
    more: dict[str, Any] = asked if "tools" in asked else {"extra_params": asked}
    written = encode(dialect, **more)
    assert written.refused is ("web_search" in HANDOVER[dialect].cannot)
    assert written.refused or "search" in written.text


@pytest.mark.spec("X04")
@pytest.mark.parametrize("tool", ["known", None])
@pytest.mark.parametrize("dialect", HANDOVER)
def test_a_screen_to_work(dialect: str, tool: str | None) -> None:
    names = {
        "anthropic_messages": "computer_20251124",
        "gemini_generate": "computerUse",
        "openai_responses": "computer",
    }
    quirks = replace(quirks_of(dialect), computer_tool=tool and names.get(dialect))
    refused = "computer_use" in Speaker("a", dialect, quirks).cannot
    assert refused is (tool is None or dialect not in names)
    # Chat Completions is refused where the dialect is chosen: tests/service/test_responses_api.py.
    if dialect != "openai_chat":
        assert encode(dialect, quirks=quirks, computer_use=ComputerUse()).refused is refused


@pytest.mark.spec("X04")
@pytest.mark.parametrize("dialect", HANDOVER)
def test_schemas_are_rewritten_and_none_of_their_limits_is_lost(dialect: str) -> None:
    limits = {"pattern": "^a+$", "minLength": 11, "maxLength": 17}
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", **limits}, "count": {"type": "integer", "multipleOf": 13}},
        "required": ["name"],
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "out", "schema": schema, "strict": True}}
    written = encode(dialect, response_format=wanted)
    assert not written.refused
    assert (orjson.dumps(schema).decode() in written.text) is (HANDOVER[dialect].schemas == "kept")
    for keyword, limit in {**limits, "multipleOf": 13}.items():
        assert keyword in written.text
        assert str(limit) in written.text


@pytest.mark.spec("X04")
def test_one_dialect_at_several_providers() -> None:
    deepseek, groq = PROVIDERS["deepseek"].quirks, PROVIDERS["groq"].quirks
    chat = [Speaker("deepseek", "openai_chat", deepseek), Speaker("groq", "openai_chat", groq)]
    assert hand_over(*chat)["thinking"] == "dropped"  # groq wants none back
    assert hand_over(*reversed(chat))["thinking"] == "kept"  # and leaves none
    responses = [Speaker("openai", "openai_responses"), Speaker("azure", "openai_responses")]
    assert hand_over(*responses)["thinking"] == "unknown"  # nobody says whose seals are taken
    assert hand_over(responses[0], responses[0])["thinking"] == "kept"
    messages = [Speaker("anthropic", "anthropic_messages"), Speaker("bedrock", "anthropic_messages")]
    assert hand_over(*messages)["thinking"] == "kept"


@pytest.mark.spec("X04")
def test_uploads_stay_where_they_are() -> None:
    openai = Speaker("openai", "openai_chat", keeps_files=True)
    anthropic = Speaker("anthropic", "anthropic_messages", keeps_files=True)
    assert hand_over(openai, anthropic)["uploads"] == "refused"
    assert hand_over(openai, openai)["uploads"] == "kept"
    assert hand_over(Speaker("groq", "openai_chat"), anthropic)["uploads"] == "kept"  # it keeps none to begin with
