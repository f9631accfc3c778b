"""JSON from untrusted servers: what it may cost is known before it is parsed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from llmring.exceptions import MalformedResponseError, ResponseTooLargeError
from llmring.wire.base import MAX_BODY_BYTES, MAX_JSON_CONTAINERS, MAX_JSON_DEPTH, parse_json


def as_text(data: bytes) -> bytes | str:
    return data.decode()


def as_bytes(data: bytes) -> bytes | str:
    return data


both_ways = pytest.mark.parametrize("given", [as_bytes, as_text])
Given = Callable[[bytes], bytes | str]


@pytest.mark.spec("RT19")
@both_ways
@pytest.mark.parametrize("item", [b"[]", b"{}", b'{"a":[]}', b"[[", b"{"])
def test_too_many_lists_and_objects_are_refused_whether_or_not_they_are_json(given: Given, item: bytes) -> None:
    data = b"[" + b",".join([item] * (MAX_JSON_CONTAINERS // (item.count(b"[") + item.count(b"{")))) + b"]"
    with pytest.raises(ResponseTooLargeError, match=f"^reply: JSON of more than {MAX_JSON_CONTAINERS} lists"):
        parse_json(given(data), "reply")


@both_ways
def test_as_many_as_the_cap_are_read(given: Given) -> None:
    data = b"[" + b",".join([b"{}"] * (MAX_JSON_CONTAINERS - 1)) + b"]"
    assert len(parse_json(given(data), "reply")) == MAX_JSON_CONTAINERS - 1


def test_the_densest_real_reply_that_a_body_can_hold_is_under_the_cap() -> None:
    """20 alternatives for each token, as in https://platform.openai.com/docs/api-reference/chat/object."""

    def alternative(token: str) -> dict[str, object]:
        return {"token": token, "logprob": -0.1234, "bytes": list(token.encode())}

    token = json.dumps({**alternative(" a"), "top_logprobs": [alternative(" a")] * 20}, separators=(",", ":"))
    containers = token.count("{") + token.count("[")
    assert MAX_BODY_BYTES / len(token) * containers < MAX_JSON_CONTAINERS


@both_ways
def test_nesting_past_the_cap_is_refused(given: Given) -> None:
    for depth, is_read in ((MAX_JSON_DEPTH, True), (MAX_JSON_DEPTH + 1, False), (100_000, False)):
        data = given(b"[" * depth + b"]" * depth)
        if is_read:
            assert parse_json(data, "reply")
        else:
            with pytest.raises(ResponseTooLargeError, match="nested deeper"):
                parse_json(data, "reply")


def test_what_is_no_json_says_what_it_was_to_be() -> None:
    with pytest.raises(MalformedResponseError, match=r"^reply: no JSON"):
        parse_json(b"<html>", "reply")
