"""JSON out of answers that hold more than JSON: what is found, what is not, and that no text takes long."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.schemas.lenient_json import LoadedJSON, try_load_json

FENCE = "```"

# What is found: the text, the value, and whether it took a repair.
FOUND: dict[str, tuple[str, Any, bool]] = {
    "an object": ('{"a": 1}', {"a": 1}, False),
    "a list": ("[1, 2]", [1, 2], False),
    "a text": ('"yes"', "yes", False),
    "null": ("null", None, False),
    "white space around": (' \n{"a": 1}\n', {"a": 1}, False),
    "a byte order mark": ('\ufeff{"a": 1}', {"a": 1}, True),
    "a fence": (f'{FENCE}json\n{{"a": 1}}\n{FENCE}', {"a": 1}, True),
    "a fence without a language": (f'{FENCE}\n{{"a": 1}}\n{FENCE}', {"a": 1}, True),
    "a fence with words around": (f'Sure!\n{FENCE}json\n{{"a": 1}}\n{FENCE}\nAnything else?', {"a": 1}, True),
    "a fence on one line": (f'{FENCE}json {{"a": 1}} {FENCE}', {"a": 1}, True),
    "a fence that is not closed": (f'{FENCE}json\n{{"a": 1}}', {"a": 1}, True),
    "a fence within a text": (f'{FENCE}json\n{{"a": "{FENCE}"}}\n{FENCE}', {"a": FENCE}, True),
    "Windows line ends": (f'{FENCE}json\r\n{{"a": 1}}\r\n{FENCE}', {"a": 1}, True),
    "words before": ('Here it is: {"a": 1}', {"a": 1}, True),
    "words after": ('{"a": 1} Hope that helps!', {"a": 1}, True),
    "quotation marks in the words": ('A 5" disk: {"a": "b"}, as you "asked', {"a": "b"}, True),
    "a comma at the end of an object": ('{"a": 1,}', {"a": 1}, True),
    "a comma at the end of a list": ('{"a": [1, 2, ]\n}', {"a": [1, 2]}, True),
    "commas in texts": ('{"a": ",}", "b": ",]",}', {"a": ",}", "b": ",]"}, True),
    "brackets in texts": ('See {"a": "}{"} there', {"a": "}{"}, True),
    "escapes in texts": ('See {"a": "\\"}\\\\"} there', {"a": '"}\\'}, True),
    "an object within an object": ('x {"a": {"b": {}}} x', {"a": {"b": {}}}, True),
    "a footnote": ('As said [1], {"a": [2]} [3]', {"a": [2]}, True),
    "braces that are none": ('In {curly} braces: {"a": 1}', {"a": 1}, True),
    "a brace that is not closed": ('Use { for that. {"a": 1}', {"a": 1}, True),
    "a list among words": ("The answer is [1, 2].", [1, 2], True),
    "thinking aloud": ('<think>maybe {"a": 0}?</think>\n{"a": 1}', {"a": 1}, True),
    "thinking and a fence": (f'<think>{{}}</think>{FENCE}json\n{{"a": 1,}}\n{FENCE}', {"a": 1}, True),
}
NOTHING: dict[str, str] = {
    "no JSON": "I cannot say.",
    "nothing": "",
    "cut in a text": '{"a": "b',
    "cut in an object": '{"a": 1, "b": {"c": 2}',
    "cut in a list": '[{"a": 1}, {"a": 2}, {"a"',
    "two objects": '{"a": 1} or {"a": 2}',
    "two lists": "[1] or [2]",
    "quotes of another kind": "{'a': 1}",
    "missing quotes": "{a: 1}",
    "a comma too many": '{"a": 1,, "b": 2}',
    "half a surrogate": '{"a": "\ud800"}',
    "two fences": f'{FENCE}\n{{"a": 1}}\n{FENCE}\nor\n{FENCE}\n{{"a": 2}}\n{FENCE}',
}


@pytest.mark.spec("L10")
@pytest.mark.parametrize("case", FOUND)
def test_json_is_found_and_what_was_repaired_is_said_to_be(case: str) -> None:
    text, value, repaired = FOUND[case]
    assert try_load_json(text) == LoadedJSON(value, repaired)


@pytest.mark.spec("L10")
@pytest.mark.parametrize("case", NOTHING)
def test_nothing_is_guessed(case: str) -> None:
    assert try_load_json(NOTHING[case]) is None


# A line of Python counted as a step: a measure that no other process on the machine disturbs.
def _steps(text: str) -> int:
    count = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        try_load_json(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.spec("L10", "RT19")
@pytest.mark.parametrize(
    "unit", ["{", "[", '{"', '{"\\"', '"\\', "{}", "[]", "{ ", ", ", "```\n", "```", "{[", '{"a":', "[{},", "</think>"]
)
@pytest.mark.parametrize("end", ["", "}", "]"])
def test_twice_the_text_takes_no_more_than_twice_the_steps(unit: str, end: str) -> None:
    short, long = _steps(unit * 1_000 + end), _steps(unit * 2_000 + end)
    assert long <= 2.1 * short + 50


@pytest.mark.spec("L10")
@given(
    st.recursive(st.none() | st.integers(-99, 99) | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_json_itself_is_read_as_it_is(value: Any) -> None:
    assert try_load_json(json.dumps(value)) == LoadedJSON(value, False)


@pytest.mark.spec("L10", "RT19")
@given(st.text(alphabet='{}[]",:\\ `\n1a', max_size=60))
def test_any_text_gives_json_or_nothing(text: str) -> None:
    loaded = try_load_json(text)
    assert loaded is None or loaded.repaired or json.loads(text) == loaded.value
