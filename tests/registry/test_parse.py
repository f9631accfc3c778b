"""Registry files: bytes into models and back; whatever the bytes are, nothing but RegistryError comes of it."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import ConfigurationError, RegistryError
from llmring.registry.parse import MAX_REGISTRY_BYTES, parse_registry
from llmring.registry.render import render_registry

DOCUMENT: dict[str, Any] = {
    "schema": "1",
    "provider": "openai",
    "as_of": "2026-11-21",
    "sources": {
        "litellm": {
            "what": "litellm 1.109.1",
            "url": "https://pypi.org/project/litellm/1.109.1/",
            "date": "2026-11-21",
        },
        "page": {
            "what": "OpenAI, Models",
            "url": "https://developers.openai.com/api/docs/models",
            "date": "2026-10-10",
        },
    },
    "models": {
        "tiny": {
            "category": {"value": "chat", "source": "litellm"},
            "max_input": {"value": 272000, "source": "litellm"},
            "reasoning_efforts": {"value": ["low", "high"], "source": "page"},
            "retires": {"value": "2026-12-11", "source": "page"},
            "caps": {"tools": {"value": True, "source": "litellm"}, "audio": {"value": False, "source": "litellm"}},
            "price": {
                "input": {"value": "1.25", "source": "litellm"},
                "batch_input_above_272000": {"value": "1.25", "source": "page"},
            },
        },
        "bare": {},
    },
}


def changed(**values: Any) -> bytes:
    """The document with some values replaced; a key is a path, joined by two underscores; `...` deletes."""
    document = copy.deepcopy(DOCUMENT)
    for path, value in values.items():
        *way, last = path.split("__")
        table: Any = document
        for step in way:
            table = table[step]
        if value is ...:
            del table[last]
        else:
            table[last] = value
    return orjson.dumps(document)


@pytest.mark.spec("P01")
def test_a_file_becomes_models_with_the_source_of_each_fact() -> None:
    file = parse_registry(orjson.dumps(DOCUMENT), "openai.json")
    tiny = file.models["tiny"]
    assert (tiny.id, tiny.category, tiny.max_input, tiny.retires) == ("openai:tiny", "chat", 272000, "2026-12-11")
    assert tiny.reasoning_efforts == ("low", "high")
    assert tiny.price == {"input": Decimal("1.25"), "batch_input_above_272000": Decimal("1.25")}
    assert (tiny.can("tools"), tiny.can("audio"), tiny.can("vision")) == (True, False, None)
    assert (tiny.price_source, tiny.price_as_of, tiny.facts_source) == (
        "litellm 1.109.1",
        "2026-11-21",
        "litellm 1.109.1",
    )
    assert tiny.sources["retires"] == "OpenAI, Models, 2026-10-10"
    assert tiny.sources["caps.tools"] == "litellm 1.109.1, 2026-11-21"
    bare = file.models["bare"]
    assert (bare.caps, bare.category, bare.max_input, bare.price, bare.facts_source) == (None, None, None, {}, None)


def test_what_is_written_is_read_back_as_the_same_and_written_the_same_again() -> None:
    file = parse_registry(orjson.dumps(DOCUMENT), "openai.json")
    written = render_registry(file)
    again = parse_registry(written, "openai.json")
    assert again == file
    assert render_registry(again) == written


def test_one_fact_is_one_line() -> None:
    lines = render_registry(parse_registry(orjson.dumps(DOCUMENT), "openai.json")).decode().splitlines()
    assert '      "max_input": {"value": 272000, "source": "litellm"},' in lines
    assert '        "tools": {"value": true, "source": "litellm"}' in lines


BROKEN: list[tuple[bytes, str]] = [
    (b"", "no JSON"),
    (b"[]", "the file is no object"),
    (b'{"schema": NaN}', "no JSON"),
    (b"[" * 100_000, "no JSON"),
    (b" " * (MAX_REGISTRY_BYTES + 1), "more than"),
    (changed(schema="2"), "schema is '2'"),
    (changed(schema=1), "schema is missing"),
    (changed(extra=1), "'extra' is not known"),
    (changed(provider="Open AI"), "provider is no provider's name"),
    (changed(as_of="2026-02-30"), "as_of: no date"),
    (changed(sources__litellm__url="http://pypi.org/"), "url is no https:// address"),
    (changed(sources__litellm__url="https://user@pypi.org/"), "url is no https:// address"),
    (changed(sources__litellm__what="a\x1b[31m"), "what: no text"),
    (changed(sources__litellm=...), "its source is not among the file's sources"),
    (changed(models__tiny__caps__telepathy={"value": True, "source": "page"}), "'caps.telepathy' is not known"),
    (changed(models__tiny__caps__tools={"value": 1, "source": "page"}), "caps.tools: 1 is not what it may be"),
    (changed(models__tiny__price__input={"value": 1.25, "source": "page"}), "price.input: 1.25 is not what it may be"),
    # As deep as the JSON parser goes, which is deeper than `repr` does.
    (
        changed(models__tiny__max_input={"value": "DEEP", "source": "page"}).replace(
            b'"DEEP"', b"[" * 1000 + b"]" * 1000
        ),
        "max_input: a list or an object is not what it may be",
    ),
    (changed(models__tiny__price__input={"value": "1e9", "source": "page"}), "price.input"),
    (changed(models__tiny__price__input={"value": "-1", "source": "page"}), "price.input"),
    (changed(models__tiny__price__input={"value": "1" * 4000, "source": "page"}), "price.input"),
    (changed(models__tiny__price__coffee={"value": "1", "source": "page"}), "'price.coffee' is not known"),
    (changed(models__tiny__max_input={"value": True, "source": "page"}), "max_input: True"),
    (
        changed(models__tiny__max_input={"value": 9, "source": "page"}).replace(b":9,", b":" + b"9" * 30 + b","),
        "max_input",
    ),
    (changed(models__tiny__max_input={"value": 5}), "its source is not among"),
    (changed(models__tiny__max_input=5), "a fact is an object with value and source"),
    (changed(models__tiny__pin={"value": "nailed", "source": "page"}), "pin: 'nailed'"),
    (changed(models__tiny__successor={"value": "two words", "source": "page"}), "successor"),
    (changed(models__tiny__reasoning_efforts={"value": ["low", "low"], "source": "page"}), "reasoning_efforts"),
    (changed(models__tiny__reasoning_efforts={"value": ["LOW"], "source": "page"}), "reasoning_efforts"),
    (changed(models={"two words": {}}), "no name of a model"),
    (changed(models__tiny__max_input={"value": 5, "source": "page", "why": "x"}), "'why' is not known"),
]


@pytest.mark.parametrize(("data", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_what_is_no_registry_is_refused_by_name(data: bytes, said: str) -> None:
    with pytest.raises(RegistryError) as caught:
        parse_registry(data, "odd.json")
    assert caught.value.message.startswith("odd.json: ")
    assert said in caught.value.message
    assert len(caught.value.message) < 400
    assert isinstance(caught.value, ConfigurationError)


def test_a_newer_minor_schema_is_read_without_what_is_not_known() -> None:
    file = parse_registry(
        changed(
            schema="1.3",
            mood="good",
            models__tiny__smell={"value": "nice", "source": "page"},
            models__tiny__pin={"value": "riveted", "source": "page"},
            models__tiny__caps__telepathy={"value": True, "source": "page"},
        ),
        "openai.json",
    )
    tiny = file.models["tiny"]
    assert tiny.pin is None
    assert tiny.caps == {"tools"}
    assert tiny.max_input == 272000


def test_a_newer_minor_schema_does_not_excuse_a_wrong_number() -> None:
    with pytest.raises(RegistryError, match="max_input"):
        parse_registry(
            changed(schema="1.3", models__tiny__max_input={"value": "many", "source": "page"}), "openai.json"
        )


def test_a_price_of_zero_is_one_that_its_vendor_states() -> None:
    file = parse_registry(changed(models__tiny__price__input={"value": "0", "source": "page"}), "openai.json")
    assert file.models["tiny"].price["input"] == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("litellm"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    ("schema",), ("provider",), ("as_of",), ("sources",), ("sources", "litellm"), ("sources", "litellm", "url"), ("models",),
    ("models", "tiny"), ("models", "tiny", "max_input"), ("models", "tiny", "max_input", "value"), ("models", "tiny", "caps"),
    ("models", "tiny", "caps", "tools"), ("models", "tiny", "price"), ("models", "tiny", "price", "input", "value"),
    ("models", "tiny", "reasoning_efforts", "value"), ("models", "tiny", "retires", "value"),
]  # fmt: skip


@given(st.sampled_from(PATHS), JSON)
def test_any_value_in_any_place_gives_models_or_a_registry_error(path: tuple[str, ...], value: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    table: Any = document
    for step in path[:-1]:
        table = table[step]
    table[path[-1]] = value
    try:
        file = parse_registry(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS), "odd.json")
    except RegistryError:
        return
    except orjson.JSONEncodeError:  # a lone surrogate, or an integer that JSON of this kind cannot say
        return
    assert parse_registry(render_registry(file), "odd.json").facts == file.facts


@given(st.binary(max_size=200))
def test_garbage_gives_a_registry_error(data: bytes) -> None:
    with pytest.raises(RegistryError):
        parse_registry(data, "odd.json")
