"""Requests in this dialect: what the cases do not show, because it is refused, or because several vendors meet in one history."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from llmring.exceptions import ConfigurationError
from llmring.providers.table import PROVIDERS
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, Message
from llmring.schemas.fold import fold
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.gemini_generate import DIALECT

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


def target(model: str = "gemini-2.5-flash", **quirks: Any) -> Target:
    return Target("google", model, ModelInfo(f"google:{model}"), Quirks(**quirks))


def encode(
    model: str = "gemini-2.5-flash", quirks: Quirks | None = None, under: dict[str, Any] | None = None, **given: Any
) -> EncodedRequest:
    request = LLMRequest.model_validate({"model": model, "messages": "hi", **given})
    where = Target("google", model, ModelInfo(f"google:{model}"), quirks or Quirks())
    return DIALECT.encode(request, where, stream=False, under=under)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("models/gemini-2.5-flash", "/models/gemini-2.5-flash"),
        ("../../secrets?x=1#y", "/models/..%2F..%2Fsecrets%3Fx%3D1%23y"),
        ("a b:generateContent\r\nHost: evil", "/models/a%20b%3AgenerateContent%0D%0AHost%3A%20evil"),
        ("modèle", "/models/mod%C3%A8le"),
        ("models/", "/models/models%2F"),
    ],
)
def test_a_models_name_is_made_safe_for_the_path(model: str, path: str) -> None:
    assert encode(model).path == f"{path}:generateContent"


def test_a_stream_is_another_method_of_the_same_body() -> None:
    request = LLMRequest(model="m", messages="hi")
    plain, streamed = (DIALECT.encode(request, target("m"), stream=stream) for stream in (False, True))
    assert streamed.path == "/models/m:streamGenerateContent?alt=sse"
    assert streamed.body == plain.body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


UNSAYABLE: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"role": "system", "content": "x"}]}, "a message of the user"),
    ({"stop": list("abcdef")}, "takes 5 texts at most"),
    ({"temperature": 2.5}, "above the limit"),
    ({"tool_choice": "required"}, "no tool to choose"),
    ({"tool_choice": "lok", "tools": [TOOL]}, "did you mean look"),
    ({"tool_choice": {"type": "odd"}, "tools": [TOOL]}, "names a function"),
    ({"computer_use": {}}, "not known to work a computer"),
    ({"temperature": 0.5, "extra_params": {"generationConfig": {"temperature": 1}}}, "another value"),
    ({"extra_params": {"contents": []}}, "another value"),
    ({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}, "no message before it makes"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "data": "R0lGODlhAQABAAAAACw="}]}]}, "image/gif"),
]


@pytest.mark.parametrize(("given", "said"), UNSAYABLE)
def test_what_the_dialect_cannot_say_is_refused_before_any_io(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        encode(**given)


def test_a_tool_message_may_name_its_tool_itself() -> None:
    messages = [
        {"role": "user", "content": "go"},
        {"role": "tool", "tool_call_id": "c9", "name": "look", "content": "x"},
    ]
    response = {"functionResponse": {"id": "c9", "name": "look", "response": {"output": "x"}}}
    assert encode(messages=messages).body["contents"][-1] == {"role": "user", "parts": [response]}


def test_no_choice_of_tools_is_sent_where_there_are_none() -> None:
    assert encode(tool_choice="auto").body.keys() == {"contents"}
    assert encode(tool_choice="none").body.keys() == {"contents"}


@pytest.mark.spec("D10")
def test_what_lies_under_a_request_fills_in_what_it_leaves_open() -> None:
    under = {"generation_config": {"topK": 5, "temperature": 1.0}, "cachedContent": "cachedContents/a"}
    body = encode(temperature=0.5, under=under).body
    assert body["generationConfig"] == {"topK": 5, "temperature": 0.5}
    assert body["cachedContent"] == "cachedContents/a"
    assert under["generation_config"] == {"topK": 5, "temperature": 1.0}
    assert encode(under=under).body["generationConfig"] == under["generation_config"]


def test_what_extra_params_say_stands_beside_what_the_request_says() -> None:
    extra: dict[str, Any] = {
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}, "mediaResolution": "MEDIA_RESOLUTION_LOW"}
    }
    body = encode(reasoning_effort="high", extra_params=extra).body
    assert body["generationConfig"] == {
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    }
    assert extra["generationConfig"]["thinkingConfig"] == {"includeThoughts": True}
    with pytest.raises(ConfigurationError, match=r"generationConfig\.thinkingConfig\.thinkingLevel"):
        encode(reasoning_effort="high", extra_params={"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW"}}})


def test_top_logprobs_alone_ask_for_logprobs_too() -> None:
    assert encode(top_logprobs=3).body["generationConfig"] == {"responseLogprobs": True, "logprobs": 3}


def test_media_of_a_result_stand_before_what_the_model_then_says() -> None:
    image = {"type": "image", "url": "https://h/i.png"}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [{"id": "c1", "name": "look", "arguments": {}}]},
        {"role": "tool", "content": [{"type": "tool_output", "tool_call_id": "c1", "content": [image]}]},
        {"role": "assistant", "content": "A cat."},
    ]
    contents = encode(messages=messages).body["contents"]
    roles = [(content["role"], [key for part in content["parts"] for key in part]) for content in contents]
    assert roles == [
        ("user", ["text"]),
        ("model", ["functionCall"]),
        ("user", ["functionResponse"]),
        ("user", ["text", "fileData"]),
        ("model", ["text"]),
    ]
    assert contents[3]["parts"][0] == {"text": "This is what look gave:"}
    assert encode(messages=messages[:-1]).body["contents"][-1]["parts"][1].keys() == {"fileData"}


# Seals --------------------------------------------------------------------------------------------------------------

SIGNATURE = "c2VhbGVk"


def turns_of(parts: list[dict[str, Any]], **quirks: Any) -> tuple[list[dict[str, Any]], EncodedRequest]:
    """What of an answer's parts goes back with the next request, and that request."""
    answer = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}], "responseId": "r"}
    response = fold(DIALECT.decode(json_bytes(answer)))
    calls = response.tool_calls or []
    results = [Message.tool_result(call.id, "done") for call in calls] or [Message.user("Go on.")]
    request = LLMRequest(model="m", messages=[Message.user("hi"), response.to_message(), *results])
    encoded = DIALECT.encode(request, target("m", **quirks), stream=False)
    return encoded.body["contents"][1]["parts"], encoded


def json_bytes(value: Any) -> bytes:
    return orjson.dumps(value)


@pytest.mark.spec("K06", "U15")
@pytest.mark.parametrize(
    "parts",
    [
        [{"text": "Yes.", "thoughtSignature": SIGNATURE}],
        [{"text": "Hm.", "thought": True, "thoughtSignature": SIGNATURE}, {"text": "Yes."}],
        [{"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}, "thoughtSignature": SIGNATURE}],
        [
            {"text": "I look.", "thoughtSignature": SIGNATURE},
            {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "YQ=="},
            {"functionCall": {"name": "g", "args": {}}},
        ],
        [{"text": "One. "}, {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": SIGNATURE}],
        [{"text": "", "thoughtSignature": SIGNATURE}],
        [{"text": "a", "thoughtSignature": "YQ=="}, {"text": "b", "thoughtSignature": "Yg=="}],
    ],
)
def test_what_is_sealed_goes_back_exactly_where_it_came_from(parts: list[dict[str, Any]]) -> None:
    back, encoded = turns_of(parts, sealed_calls=True)
    assert back == parts
    assert encoded.warnings == []


@pytest.mark.spec("K06")
def test_a_thought_that_nobody_sealed_stays_behind_without_a_word() -> None:
    back, encoded = turns_of([{"text": "Hm.", "thought": True}, {"text": "Yes."}])
    assert back == [{"text": "Yes."}]
    assert encoded.warnings == []


def test_ids_that_the_model_did_not_give_are_not_sent_and_differ_within_a_conversation() -> None:
    reply = {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}]}
    first, second, nameless = (
        fold(DIALECT.decode(json_bytes({**reply, **extra})))
        for extra in ({"responseId": "one"}, {"responseId": "../" * 30 + "two"}, {})
    )
    ids = [response.tool_calls[0].id for response in (first, second, nameless) if response.tool_calls]
    assert len(set(ids)) == 3
    assert all(len(id) <= 40 and id.replace("_", "").replace("-", "").isalnum() for id in ids)
    assert ids[2] == "call_0"
    messages = [Message.user("hi")]
    for response, id in zip((first, second, nameless), ids, strict=True):
        messages += [response.to_message(), Message.tool_result(id, "done")]
    body = encode(messages=messages).body
    assert not [part for content in body["contents"] for part in content["parts"] if '"id"' in str(part)]
    assert [content["parts"][0].get("functionResponse") for content in body["contents"][2::2]] == [
        {"name": "f", "response": {"output": "done"}}
    ] * 3


# What Google's models take ------------------------------------------------------------------------------------------


@pytest.mark.spec("D04", "U15")
@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-preview-09-2025", "low", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-flash", "max", {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-2.5-flash-lite", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-pro", "xhigh", {"includeThoughts": True, "thinkingBudget": 32768}),
        ("gemini-3-flash-preview", "minimal", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-3-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
        ("gemini-3.5-flash-lite", "none", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.8-flash", "minimal", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-3.8-flash", "none", {"thinkingLevel": "LOW"}),
        ("gemini-2.0-flash", "high", None),
    ],
)
@pytest.mark.parametrize("provider", ["google", "vertex"])
def test_each_model_is_asked_to_think_in_its_own_way(
    provider: str, model: str, effort: str, thinking: dict[str, Any] | None, make_provider: Any
) -> None:
    where = make_provider(provider).target(model, ModelInfo(f"{provider}:{model}"))
    request = LLMRequest.model_validate({"model": model, "messages": "hi", "reasoning_effort": effort})
    encoded = DIALECT.encode(request, where, stream=False)
    assert encoded.body.get("generationConfig", {}).get("thinkingConfig") == thinking
    asked_for_less = effort == "none" and thinking != {"thinkingBudget": 0}
    assert bool(encoded.warnings) == (
        asked_for_less or thinking is None or model.startswith(("gemini-3-pro", "gemini-3.8"))
    )


@pytest.mark.parametrize(
    ("model", "is_sealed"), [("gemini-3.8-flash", True), ("gemini-2.5-pro", False), ("gemini-next", True)]
)
def test_models_from_gemini_3_on_want_their_calls_sealed(model: str, is_sealed: bool, make_provider: Any) -> None:
    where = make_provider("google").target(model, ModelInfo(f"google:{model}"))
    assert where.quirks.sealed_calls is is_sealed
    assert where.quirks.tool_media is is_sealed


@pytest.mark.spec("D11")
def test_a_model_that_refuses_penalties_is_not_sent_any(make_provider: Any) -> None:
    where = make_provider("google").target("gemini-3.5-flash-lite", ModelInfo("google:gemini-3.5-flash-lite"))
    request = LLMRequest(model="m", messages="hi", presence_penalty=1.0, top_k=4, seed=3)
    encoded = DIALECT.encode(request, where, stream=False)
    assert encoded.body["generationConfig"] == {"seed": 3}
    assert len(encoded.warnings) == 2


def test_google_is_reached_in_its_own_dialect_with_the_key_in_a_header_of_its_own(make_provider: Any) -> None:
    row = PROVIDERS["google"]
    assert (row.dialect, row.auth) == ("gemini_generate", "header:x-goog-api-key")
    provider = make_provider("google", {"GOOGLE_GEMINI_BASE_URL": "https://proxy.example"})
    assert provider.base_url == "https://proxy.example/v1beta"
    assert (
        make_provider("google", {"GOOGLE_GEMINI_BASE_URL": "https://h/v1beta/openai/"}).base_url == "https://h/v1beta"
    )
