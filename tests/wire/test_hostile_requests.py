"""Conversations that come from anywhere: a store, another vendor, a program's mistake. Every dialect writes a body or says with a
ConfigurationError what it cannot say; it changes nothing that it was given, and what one API sealed goes to no other.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest
from pydantic import ValidationError
from tests.wire.matrix import CASES, dialects

from llmring.exceptions import ConfigurationError, LLMRingError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, LLMResponse
from llmring.schemas.fold import fold
from llmring.schemas.messages import Message, Role
from llmring.wire.base import EncodedRequest, Quirks, Target
from llmring.wire.table import DIALECTS

SEED = 20261121
REQUESTS = 3000


def _target(model: str = "m", **quirks: Any) -> Target:
    return Target("p", model, ModelInfo("p:m"), Quirks(**quirks))


def _encode(name: str, request: LLMRequest, target: Target | None = None, **more: Any) -> EncodedRequest:
    return DIALECTS[name].encode(request, target or _target(), stream=False, **more)


def _body(name: str, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return _encode(name, LLMRequest.model_validate({"model": "m", "messages": list(messages), **fields})).body


# Any conversation ---------------------------------------------------------------------------------------------------

_IDS = ("", "a", "call_0", "functions.f:0", "é", "x" * 200, "a b", "../x", '"')
_TEXTS = ("", "hi", "\u2028\x00", "\u202e", "x" * 500)
_NAMES = ("f", "computer", "é x", "wait", "")
_OWN: tuple[dict[str, Any], ...] = (
    *({}, {"type": None}, {"type": []}, {"type": "text"}, {"text": "a"}, {"type": "message", "phase": 1}),
    *(
        {"type": "computer_call"},
        {"type": "computer_call", "call_id": ["x"]},
        {"type": "thinking"},
        {"cache_control": 1},
    ),
    *({"reasoning_details": 5}, {"reasoning_details": "abc"}, {"reasoning_details": [1]}, {"type": "tool_result"}),
)
_REQUIRED: tuple[Any, ...] = (5, "a", [["a"]], {"a": 1}, None, ["z"])
_DEFAULTS: tuple[Any, ...] = ({1}, b"x", float("nan"))
_SCHEMAS: list[Any] = [
    *cast(
        "list[Any]", [True, {}, {"type": 5}, {"type": [[]]}, {"enum": 5}, {"const": [1]}, {"format": []}, {"$ref": 5}]
    ),
    {"minItems": []},
    {"$ref": "#"},
    {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
    {"properties": 5},
    {"anyOf": 5},
    {"type": "object", "properties": {"a": {"type": "array", "items": {"$ref": "#"}}}, "required": ["a"]},
]
_SCHEMAS.extend({"type": "object", "properties": {"a": {}}, "required": odd} for odd in _REQUIRED)
_SCHEMAS.extend({"type": "object", "properties": {"a": {"type": "string", "default": odd}}} for odd in _DEFAULTS)
_EXTRAS = (
    *("stream_options", "options", "input", "contents", "include", "reasoning", "text", "generationConfig", "tools"),
    *("output_config", "thinking", "max_tokens", "max_output_tokens", "system", "seed", "anthropic_version", "store"),
    *("num_ctx", "think", "toolConfig", "cache_control", "stop"),
)
_QUIRKS: tuple[dict[str, Any], ...] = (
    *(
        {},
        {"strict_tools": True},
        {"json_schema": False, "json_object": False},
        {"envelope": "vertex"},
        {"efforts": ()},
    ),
    *({"thinking_back": back} for back in ("reasoning_content", "reasoning_details", "content")),
    *({"sealed_calls": True, "tool_media": True}, {"efforts": ("low", "high"), "image_strings": True}),
    *({"rejected": frozenset({"temperature", "logprobs", "tools", "stop"})}, {"thinking_form": "budget"}),
)
_UNDER: tuple[dict[str, Any] | None, ...] = (
    *(None, {"max_tokens": 5}, {"options": {"a": 1}, "include": ["x"], "generationConfig": {"a": 1}}),
    {"options": 5, "include": 5, "generationConfig": 5, "stream_options": 5, "reasoning": 5},
)


def _part(draw: random.Random) -> dict[str, Any]:
    kinds = ("text", "text", "image", "thinking", "thinking", "provider", "tool_use", "tool_use", "tool_output", "file")
    dialect = draw.choice((*dialects(), "other"))
    match draw.choice(kinds):
        case "image":
            return {"type": "image", "url": "https://e.example/a.png"}
        case "file":
            return {"type": "file", "data": b"a", "media_type": draw.choice(("text/plain", "application/zip"))}
        case "thinking":
            seal = {
                "signature": draw.choice((None, "s")),
                "id": draw.choice((None, "i")),
                "redacted": draw.random() < 0.3,
            }
            return {"type": "thinking", "text": draw.choice(_TEXTS), "dialect": draw.choice((None, dialect)), **seal}
        case "provider":
            return {"type": "provider", "dialect": dialect, "data": copy.deepcopy(draw.choice(_OWN))}
        case "tool_use":
            name, arguments = draw.choice(_NAMES), draw.choice(({}, {"input": 5}, {"input": "x"}))
            return {"type": "tool_use", "id": draw.choice(_IDS), "name": name, "arguments": arguments}
        case "tool_output":
            image = {"type": "image", "url": "https://e.example/a.png"}
            content = draw.choice((*_TEXTS, [], [{"type": "text", "text": "x"}], [image]))
            return {"type": "tool_output", "tool_call_id": draw.choice(_IDS), "content": content}
        case _:
            return {"type": "text", "text": draw.choice(_TEXTS)}


def _message(draw: random.Random) -> dict[str, Any]:
    role = draw.choice(("system", "user", "user", "assistant", "assistant", "tool", "tool"))
    parts = [_part(draw) for _ in range(draw.randrange(4))]
    written: dict[str, Any] = {"role": role, "content": draw.choice((None, draw.choice(_TEXTS), parts, parts))}
    if role == "assistant" and draw.random() < 0.5:
        arguments = ("{}", "", "[1]", "{bad", "null", '"s"')
        written["tool_calls"] = [
            {"id": draw.choice(_IDS), "name": draw.choice(_NAMES), "arguments": draw.choice(arguments)}
            for _ in range(draw.randrange(4))
        ]
    written["tool_call_id"] = draw.choice((None, *_IDS))
    written["name"] = draw.choice((None, None, "n", "é \n", ""))
    written["metadata"] = draw.choice((None, None, {}, {"cache_control": {"type": "ephemeral"}}, {"cache_control": 1}))
    return written


def _tool(draw: random.Random) -> dict[str, Any]:
    schema = copy.deepcopy(draw.choice(_SCHEMAS))
    function = {
        "name": draw.choice((*_NAMES, None, 5)),
        "parameters": schema,
        "strict": draw.choice((True, False, None)),
    }
    odd: tuple[dict[str, Any], ...] = ({}, {"type": "custom", "name": "c"}, {"type": [1]}, {"name": 5})
    forms = ({"type": "function", "function": function}, {"type": "function", **function}, draw.choice(odd))
    return dict(draw.choice((forms[0], *forms)))


def _fields(draw: random.Random) -> dict[str, Any]:
    given: dict[str, Any] = {"model": "m", "messages": [_message(draw) for _ in range(draw.choice((1, 1, 2, 3)))]}
    values: tuple[Any, ...] = (None, 5, "x", [], {}, {"a": 1}, {"effort": "low"}, True)
    schema = {"name": "x", "schema": copy.deepcopy(draw.choice(_SCHEMAS)), "strict": draw.random() < 0.5}
    choices: tuple[Any, ...] = (
        "auto",
        "none",
        "required",
        "f",
        "zz",
        {},
        {"type": "function", "function": {"name": "f"}},
        {"type": 5},
    )
    caches = ("automatic", "tools_only", "system_and_tools", "last_user_message")
    may: dict[str, Any] = {
        "tools": [_tool(draw) for _ in range(draw.randrange(3))],
        "tool_choice": draw.choice(choices),
        "response_format": draw.choice(("json_object", {"type": "json_schema", "json_schema": schema})),
        "extra_params": {draw.choice(_EXTRAS): copy.deepcopy(draw.choice(values)) for _ in range(3)},
        "reasoning_effort": draw.choice(("none", "low", "high")),
        "prompt_cache": draw.choice(caches),
        "logprobs": True,
        "parallel_tool_calls": False,
    }
    return given | {name: value for name, value in may.items() if draw.random() < 0.3}


def _requests(draw: random.Random) -> Iterator[LLMRequest]:
    for _ in range(REQUESTS):
        try:
            yield LLMRequest.model_validate(_fields(draw))
        except (ValidationError, ConfigurationError):
            continue


def test_any_conversation_is_written_or_refused_with_a_word_of_ours_and_never_changed() -> None:
    draw, written = random.Random(SEED), 0
    for request in _requests(draw):
        before = repr(request)
        for name in dialects():
            target, under = _target(**draw.choice(_QUIRKS)), copy.deepcopy(draw.choice(_UNDER))
            count = DIALECTS[name].token_count
            try:
                DIALECTS[name].encode(request, target, stream=draw.random() < 0.5, under=under)
                written += 1
                if count is not None:
                    count.encode(request, target, under=under)
            except ConfigurationError:
                pass
            assert repr(request) == before, name
    assert written > 1500  # the rest is refused


@pytest.mark.parametrize("name", ["anthropic_messages", "gemini_generate"])
@pytest.mark.parametrize(
    "model", ["../x", "a?b#c%2e", "models/..", "é", "a/b", "..", "x\n", "models/a/../../b", "\ud800", "a:b"]
)
def test_a_model_in_a_path_leads_to_no_other_path(name: str, model: str) -> None:
    target = _target(model, envelope="vertex")
    path = _encode(name, LLMRequest(model="m", messages="x"), target).path
    assert re.fullmatch(r"/models/[A-Za-z0-9._~@%-]+:[A-Za-z]+", path)
    assert "%2e" not in path


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("openai_chat", {"stream_options": 5}),
        ("anthropic_messages", {"max_tokens": "x"}),
        ("openai_responses", {"include": "x"}),
        ("ollama_chat", {"options": 5}),
        ("ollama_chat", {"options": "x", "seed": 1}),
    ],
)
def test_extra_params_of_another_type_than_the_api_has_are_named(name: str, extra: dict[str, Any]) -> None:
    request = LLMRequest(model="m", messages="x", reasoning_effort="low", extra_params=extra)
    with pytest.raises(ConfigurationError, match=f"extra_params: {next(iter(extra))}"):
        DIALECTS[name].encode(request, _target(), stream=True)


def test_a_block_of_the_callers_own_is_not_changed_by_a_seal_after_it() -> None:
    own = {"text": "a"}
    seal = {"type": "thinking", "text": "", "signature": "s", "dialect": "gemini_generate"}
    part = {"type": "provider", "dialect": "gemini_generate", "data": own}
    body = _body("gemini_generate", {"role": "user", "content": "q"}, {"role": "assistant", "content": [part, seal]})
    assert body["contents"][1]["parts"] == [{"text": "a", "thoughtSignature": "s"}]
    assert own == {"text": "a"}


# Ids of calls -------------------------------------------------------------------------------------------------------


def _call(id: str, name: str = "f") -> dict[str, Any]:
    return {"id": id, "name": name, "arguments": "{}"}


def _turns(*ids: list[str]) -> list[dict[str, Any]]:
    """Answers with these calls, each followed by its results, which say where they come from."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "q"}]
    for turn, calls in enumerate(ids):
        messages.append({"role": "assistant", "tool_calls": [_call(id) for id in calls]})
        messages += [{"role": "tool", "tool_call_id": id, "content": f"{turn}.{n}"} for n, id in enumerate(calls)]
    return messages


def _pairs(name: str, messages: list[dict[str, Any]]) -> tuple[list[str], dict[str, str]]:
    """The ids of the calls in order, and the results by the ids that they name, as a body has them."""
    body = _body(name, *messages)
    if name == "openai_responses":
        items = cast("list[dict[str, Any]]", body["input"])
        calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
        return calls, {item["call_id"]: item["output"] for item in items if item.get("type") == "function_call_output"}
    blocks = [block for turn in body["messages"] if isinstance(turn["content"], list) for block in turn["content"]]
    results = {block["tool_use_id"]: block["content"] for block in blocks if block["type"] == "tool_result"}
    return [block["id"] for block in blocks if block["type"] == "tool_use"], results


STRICT = pytest.mark.parametrize("name", ["anthropic_messages", "openai_responses"])


@STRICT
def test_ids_that_every_vendor_takes_stay_as_they_are(name: str) -> None:
    ids = ["toolu_01A09q90qw90lq917835lq9", "call_abc-1", "x" * 64]
    assert _pairs(name, _turns(ids))[0] == ids


@STRICT
@pytest.mark.parametrize("id", ["functions.get_weather:0", "a b", "é", "x" * 65, "", "a\nb", "x" * 2000])
def test_an_id_of_another_vendor_becomes_one_that_is_taken_the_same_for_call_and_result(name: str, id: str) -> None:
    calls, results = _pairs(name, _turns([id, "b"]))
    assert list(results) == calls
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", calls[0])
    assert _pairs(name, _turns([id, "b"]))[0] == calls  # the same each time: prompts are cached by what they begin with


@STRICT
def test_ids_that_differ_in_what_is_taken_away_stay_two(name: str) -> None:
    calls, results = _pairs(name, _turns(["a.0", "a:0", "a_0"]))
    assert len(set(calls)) == 3
    assert [results[id] for id in calls] == ["0.0", "0.1", "0.2"]


@STRICT
def test_ids_that_come_again_are_told_apart_and_each_result_stays_with_its_call(name: str) -> None:
    # Servers that give none get the same ones in each answer; some give the tool's name to all of its calls.
    calls, results = _pairs(name, _turns(["call_0"], ["call_0", "call_0"], ["call_0_2"]))
    assert len(set(calls)) == 4
    assert [results[id] for id in calls] == ["0.0", "1.0", "1.1", "2.0"]


@STRICT
def test_a_call_that_nobody_answered_takes_no_result_of_a_later_one(name: str) -> None:
    first, second = _turns(["a"]), _turns(["a"])[1:]
    calls, results = _pairs(name, [*first[:-1], *second])
    assert results == {calls[1]: "0.0"}


@pytest.mark.parametrize("name", dialects())
@pytest.mark.parametrize("in_parts", [False, True])
def test_calls_with_one_id_are_all_sent(name: str, in_parts: bool) -> None:
    calls = [_call("f", tool) for tool in ("f", "g", "h")]
    message: dict[str, Any] = {"role": "assistant", "content": "x", "tool_calls": calls}
    if in_parts:
        message["content"] = [{"type": "tool_use", "id": "f", "name": tool, "arguments": {}} for tool in ("f", "g")]
    body = orjson.dumps(_body(name, {"role": "user", "content": "q"}, message)).decode()
    assert re.findall(r'"name":"(.)"', body) == ["f", "g", "h"]


# From one dialect to every other ------------------------------------------------------------------------------------


def _answers() -> list[tuple[str, LLMResponse]]:
    """Every answer of every case that is one, plain and streamed."""
    found: list[tuple[str, LLMResponse]] = []
    for path in sorted(CASES.glob("*/*/wire_*")):
        dialect = DIALECTS[path.parent.parent.name]
        try:
            if path.name == "wire_reply.json":
                found.append((dialect.name, fold(dialect.decode(path.read_bytes()))))
            elif path.name.startswith("wire_stream"):
                decoder = dialect.decode_stream()
                found.append((dialect.name, fold([*decoder.feed(path.read_bytes()), *decoder.close()])))
        except LLMRingError:
            continue  # a case of an error
    return found


def _result(call: Any) -> Message:
    if call.name != "computer":
        return Message(role=Role.TOOL, tool_call_id=call.id, content="r")
    image = {"type": "image", "data": b"pixels", "media_type": "image/png"}
    return Message(role=Role.TOOL, tool_call_id=call.id, content=[image])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        items = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        for item in items:
            yield from _texts(item)


def test_every_answer_goes_back_with_its_seals_and_to_every_other_api_without_them() -> None:
    answers = _answers()
    assert len(answers) > 200
    sealed = 0
    for origin, answer in answers:
        stored = Message.model_validate_json(answer.to_message().model_dump_json())
        assert stored == answer.to_message()
        results = [_result(call) for call in answer.tool_calls or ()]
        messages = [Message(role=Role.USER, content="q"), stored, *results, Message(role=Role.USER, content="go")]
        request = LLMRequest(model="m", messages=messages)
        seals = {block["signature"] for block in answer.blocks or () if block.get("signature")}
        seals |= (
            {call.signature for call in answer.tool_calls or () if call.signature} if origin != "openai_chat" else set()
        )
        for name in dialects():
            said = set(_texts(_encode(name, request, _target(thinking_back="content", efforts=("low",))).body))
            if name == origin:
                assert seals <= said, (origin, answer.response_id)
                sealed += len(seals)
            else:
                assert not seals & said - {call.id for call in answer.tool_calls or ()}, (origin, name)
    assert sealed > 20
