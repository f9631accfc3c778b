"""What a model's lifecycle means on a given day, and its facts by name."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from llmring.registry.facts import describe_model, find_standing, list_facts, name_source
from llmring.registry.model_info import CAPS, ModelInfo

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("facts", "state", "days", "words"),
    [
        ({}, "fine", None, None),
        ({"lifecycle": "active"}, "fine", None, None),
        ({"lifecycle": "retired"}, "retired", None, "retired"),
        ({"retires": "2026-11-21"}, "retired", 0, "retired since 2026-11-21"),
        ({"retires": "2026-11-20", "retires_kind": "firm", "successor": "b"}, "retired", -1, "names b in its place"),
        ({"retires": "2026-11-20", "retires_kind": "earliest"}, "retiring", -1, "may be retired at any time"),
        ({"retires": "2026-11-22"}, "retiring", 1, "retires in 1 day, 2026-11-22"),
        ({"retires": "2027-01-20"}, "retiring", 60, "in 60 days"),
        ({"retires": "2027-01-21"}, "fine", 61, None),
        ({"retires": "2027-01-20", "retires_kind": "earliest"}, "retiring", 60, "at the earliest in 60 days"),
        ({"lifecycle": "deprecated"}, "deprecated", None, "deprecated"),
        ({"deprecated": "2026-11-21"}, "deprecated", None, "deprecated since 2026-11-21"),
        ({"deprecated": "2026-11-22"}, "fine", None, None),
        ({"lifecycle": "deprecated", "retires": "2028-01-01"}, "deprecated", 406, "retires 2028-01-01"),
    ],
)
def test_where_a_model_stands(facts: dict[str, Any], state: str, days: int | None, words: str | None) -> None:
    standing = find_standing(ModelInfo("openai:m", **facts), NOON)
    assert (standing.state, standing.days) == (state, days)
    assert (standing.text is None) == (words is None)
    assert words is None or words in (standing.text or "")


def test_facts_are_listed_by_the_names_their_sources_use() -> None:
    info = ModelInfo(
        "openai:m",
        caps=frozenset({"tools"}),
        lacks=frozenset({"vision"}),
        max_input=5,
        price={"input": Decimal("2.50")},
        price_source="a page",
        price_as_of="2026-11-21",
        facts_source="a table",
        sources={"max_input": "the vendor, 2026-01-01"},
    )
    facts = list_facts(info)
    assert facts == {"max_input": 5, "caps.tools": True, "caps.vision": False, "price.input": "2.50"}
    assert name_source(info, "the lockfile").sources == {
        "max_input": "the vendor, 2026-01-01",
        "caps.tools": "the lockfile (a table)",
        "caps.vision": "the lockfile (a table)",
        "price.input": "the lockfile (a page), 2026-11-21",
    }
    told = describe_model(info)
    assert told["caps"] == {cap: True if cap == "tools" else False if cap == "vision" else None for cap in CAPS}
    assert told["max_output"] is None
