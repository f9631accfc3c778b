"""The registry made anew: who is believed, what stays, what changed, and that a second run changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from llmring.exceptions import ProviderConnectionError, RegistryError
from llmring.registry.diff import Change, diff_registries
from llmring.registry.fetch import parse_index
from llmring.registry.freshness import check_freshness
from llmring.registry.parse import Fact, FactSource, FactValue, RegistryFile, make_file
from llmring.registry.refresh import Disagreement, read_file, refresh, write_file, write_index
from llmring.registry.sources.base import GENAI_PRICES, LISTING, LITELLM, Reading

TODAY = "2026-11-21"
URL = "https://example.org/"
PAGE = FactSource("A page", URL, "2026-10-01")
Said = Mapping[str, Mapping[str, FactValue]]


def source(what: str, day: str = TODAY) -> FactSource:
    return FactSource(what, URL, day)


class Says:
    """A source that says this, or fails."""

    def __init__(self, key: str, models: Said | None, *, version: str = "1", dated: bool = False) -> None:
        self.key = key
        self._models = models
        self._version = version
        self._dated = dated

    async def read(self, provider: str, today: str) -> Reading | None:
        if self._models is None:
            raise ProviderConnectionError(f"{self.key} is not there")
        said_by = source(f"{self.key} {self._version}", today)
        return Reading(self.key, said_by, self._models, names_models=self.key == LITELLM, dated=self._dated)


def file_of(sources: Mapping[str, FactSource], models: Mapping[str, Mapping[str, Fact]]) -> RegistryFile:
    return make_file("openai", TODAY, sources, models)


EMPTY = file_of({}, {})
CHAT: Mapping[str, FactValue] = {"category": "chat"}


def facts(file: RegistryFile, model: str) -> dict[str, tuple[FactValue, str]]:
    return {name: (fact.value, fact.source) for name, fact in file.facts[model].items()}


@pytest.mark.spec("P01")
async def test_a_story_of_two_sources_is_shown_written_and_then_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "openai.json"
    prices = Says(GENAI_PRICES, {"m": {"price.input": "2"}, "misspelt": {"price.input": "2"}})
    limits = Says(LITELLM, {"m": {**CHAT, "max_input": 1000, "caps.tools": True, "price.input": "3"}})
    first = await refresh(EMPTY, [prices, limits], TODAY)
    assert [str(change) for change in diff_registries(EMPTY, first.file)] == ["openai:m is added"]
    assert first.disagreements == (Disagreement("m", "price.input", (GENAI_PRICES, "2"), ((LITELLM, "3"),)),)
    assert write_file(path, first.file) is True

    cheaper = Says(GENAI_PRICES, {"m": {"price.input": "1.5"}}, version="2")
    limits = Says(LITELLM, {"m": {**CHAT, "max_input": 2000, "caps.vision": True}, "n": CHAT}, version="2")
    second = await refresh(read_file(path), [cheaper, limits], "2026-12-01")
    assert [str(change) for change in diff_registries(read_file(path), second.file)] == [
        "openai:m caps.tools: yes -> unknown",
        "openai:m caps.vision: unknown -> yes",
        "openai:m max_input: 1000 -> 2000",
        "openai:m price.input: 2 -> 1.5 (-25.0%)",
        "openai:n is added",
    ]
    assert write_file(path, second.file) is True
    before = path.read_bytes()

    third = await refresh(read_file(path), [cheaper, limits], "2026-12-24")
    assert third.file == second.file
    assert write_file(path, third.file) is False
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path]


async def test_a_price_list_names_no_model() -> None:
    made = await refresh(EMPTY, [Says(GENAI_PRICES, {"misspelt": {"price.input": "2"}})], TODAY)
    assert made.file.models == {}


@pytest.mark.parametrize(
    ("fact", "value", "believed"),
    [
        ("price.input", "{}", [LISTING, "page", GENAI_PRICES, LITELLM]),
        ("max_input", 1, [LISTING, "page", LITELLM, GENAI_PRICES]),
    ],
)
async def test_whoever_knows_best_is_believed(fact: str, value: FactValue, believed: list[str]) -> None:
    """Vendor's listing, then a page, then for prices genai-prices and for all else litellm. The others are named."""
    said: dict[str, FactValue] = {
        key: (str(number) if isinstance(value, str) else number) for number, key in enumerate(believed, 1)
    }
    for rank, key in enumerate(believed[:-1]):
        speaking = believed[rank:]
        old = file_of({"page": PAGE}, {"m": {fact: Fact(said["page"], "page")}} if "page" in speaking else {})
        readings = [Says(other, {"m": {**CHAT, fact: said[other]}}) for other in speaking if other != "page"]
        made = await refresh(
            old, [*readings, Says(LITELLM, {"m": CHAT})] if LITELLM not in speaking else readings, TODAY
        )
        assert facts(made.file, "m")[fact] == (said[key], key)
        found = next(found for found in made.disagreements if found.fact == fact)
        assert [who for who, _ in found.against] == speaking[1:]


async def test_the_same_price_in_other_digits_is_no_disagreement() -> None:
    made = await refresh(
        EMPTY,
        [Says(GENAI_PRICES, {"m": {"price.input": "2"}}), Says(LITELLM, {"m": {**CHAT, "price.input": "2.00"}})],
        TODAY,
    )
    assert made.disagreements == ()


@pytest.mark.spec("P01")
async def test_a_source_that_cannot_be_read_is_named_and_its_facts_stay() -> None:
    first = await refresh(
        EMPTY, [Says(GENAI_PRICES, {"m": {"price.input": "2"}}), Says(LITELLM, {"m": {**CHAT, "max_input": 5}})], TODAY
    )
    again = await refresh(first.file, [Says(GENAI_PRICES, None), Says(LITELLM, {"m": {**CHAT, "max_input": 5}})], TODAY)
    assert again.file == first.file
    assert {key: error.message for key, error in again.unread.items()} == {GENAI_PRICES: "genai-prices is not there"}


async def test_a_fact_of_a_page_stays_and_what_is_said_against_it_is_named() -> None:
    old = file_of({"page": PAGE}, {"m": {"max_input": Fact(7, "page"), "pin": Fact("snapshot", "page")}})
    made = await refresh(old, [Says(LITELLM, {"m": {**CHAT, "max_input": 9}})], TODAY)
    assert facts(made.file, "m")["max_input"] == (7, "page")
    assert facts(made.file, "m")["pin"] == ("snapshot", "page")
    assert made.disagreements == (Disagreement("m", "max_input", ("page", 7), ((LITELLM, 9),)),)
    assert made.file.sources["page"] == PAGE


async def test_a_model_that_nobody_names_any_more_keeps_what_was_said_under_the_date_of_then() -> None:
    first = await refresh(EMPTY, [Says(LITELLM, {"m": {**CHAT, "max_input": 5}, "n": CHAT})], "2026-10-01")
    second = await refresh(first.file, [Says(LITELLM, {"n": CHAT}, version="2")], TODAY)
    assert facts(second.file, "m") == {
        "category": ("chat", "litellm-2026-10-01"),
        "max_input": (5, "litellm-2026-10-01"),
    }
    assert second.file.sources["litellm-2026-10-01"] == source("litellm 1", "2026-10-01")
    assert second.unnamed == ("m",)
    third = await refresh(second.file, [Says(LITELLM, {"n": CHAT}, version="2")], "2026-12-01")
    assert third.file == second.file
    back = await refresh(second.file, [Says(LITELLM, {"m": {**CHAT, "max_input": 6}, "n": CHAT}, version="3")], TODAY)
    assert facts(back.file, "m") == {"category": ("chat", LITELLM), "max_input": (6, LITELLM)}
    assert sorted(back.file.sources) == [LITELLM]


async def test_a_version_keeps_the_day_it_was_first_read_and_a_listing_gets_the_day_it_is_read() -> None:
    both = [Says(LITELLM, {"m": CHAT}), Says(LISTING, {"m": {"max_input": 5}}, dated=True)]
    first = await refresh(EMPTY, both, "2026-11-01")
    again = await refresh(first.file, both, TODAY)
    assert {key: found.date for key, found in again.file.sources.items()} == {LITELLM: "2026-11-01", LISTING: TODAY}
    assert again.file.as_of == TODAY
    assert diff_registries(first.file, again.file) == []


async def test_a_version_that_says_something_else_today_is_of_today() -> None:
    """A price list may know prices of days to come: the same version of it says 2 in November and 4 in December."""
    cheap, dear = (Says(GENAI_PRICES, {"m": {"price.input": price}}) for price in ("2", "4"))
    november = await refresh(EMPTY, [Says(LITELLM, {"m": CHAT}), cheap], "2026-11-01")
    december = await refresh(november.file, [Says(LITELLM, {"m": CHAT}), dear], "2026-12-01")
    assert {key: found.date for key, found in december.file.sources.items()} == {
        LITELLM: "2026-11-01",
        GENAI_PRICES: "2026-12-01",
    }
    assert december.file.models["m"].price_as_of == "2026-12-01"
    assert (await refresh(december.file, [Says(LITELLM, {"m": CHAT}), dear], "2026-12-02")).file == december.file


@pytest.mark.parametrize(
    ("kind", "retires", "lifecycle"),
    [
        ("firm", "2026-11-21", "retired"),
        ("firm", "2026-11-22", None),
        ("earliest", "2026-11-01", None),
        (None, "2026-11-01", None),
    ],
)
async def test_only_a_firm_date_that_has_come_retires_a_model(
    kind: str | None, retires: str, lifecycle: str | None
) -> None:
    page: dict[str, Fact] = {} if kind is None else {"retires_kind": Fact(kind, "page")}
    old = file_of({"page": PAGE}, {"m": page})
    made = await refresh(old, [Says(LITELLM, {"m": {**CHAT, "retires": retires}})], TODAY)
    assert made.file.models["m"].lifecycle == lifecycle


async def test_a_listing_is_believed_about_a_retirement_that_is_overdue() -> None:
    old = file_of({"page": PAGE}, {"m": {"retires_kind": Fact("firm", "page"), "retires": Fact("2026-11-01", "page")}})
    made = await refresh(old, [Says(LISTING, {"m": {"lifecycle": "deprecated"}}), Says(LITELLM, {"m": CHAT})], TODAY)
    assert made.file.models["m"].lifecycle == "deprecated"


async def test_a_window_smaller_than_the_prompt_that_fits_it_is_left_out_and_named() -> None:
    made = await refresh(
        EMPTY,
        [
            Says(GENAI_PRICES, {"m": {"context_window": 1_000_000}}),
            Says(LITELLM, {"m": {**CHAT, "max_input": 1_047_576}}),
        ],
        TODAY,
    )
    assert made.file.models["m"].context_window is None
    assert [found.fact for found in made.disagreements] == ["max_input against context_window"]


def test_the_words_of_a_diff_tell_prices_limits_caps_and_retirements_apart() -> None:
    def one(**values: FactValue) -> RegistryFile:
        return file_of({"page": PAGE}, {"m": {k.replace("__", "."): Fact(v, "page") for k, v in values.items()}})

    old = one(
        price__input="2", price__output="10", max_output=5, caps__tools=True, lifecycle="deprecated", pin="pointer"
    )
    new = one(price__input="2.00", price__output="10.001", max_output=6, caps__tools=False, lifecycle="retired")
    assert diff_registries(old, new) == [
        Change("cap", "openai:m", "caps.tools", True, False),
        Change("retired", "openai:m", "lifecycle", "deprecated", "retired"),
        Change("limit", "openai:m", "max_output", 5, 6),
        Change("fact", "openai:m", "pin", "pointer", None),
        Change("price", "openai:m", "price.output", "10", "10.001", Decimal("0.1")),
    ]
    assert [change.what for change in diff_registries(old, EMPTY)] == ["removed"]


def test_freshness_counts_facts_by_source_and_names_who_is_past_its_date() -> None:
    old = {"max_input": Fact(5, "page"), "retires": Fact("2026-11-01", "new"), "successor": Fact("n", "new")}
    gone = {"lifecycle": Fact("retired", "new"), "retires": Fact("2026-11-01", "new")}
    file = file_of({"page": PAGE, "new": source("New")}, {"m": old, "n": {}, "gone": gone})
    found = check_freshness([file], date(2026, 11, 21), max_age_days=30)
    assert [(age.source, age.age_days, age.facts, age.stale) for age in found.sources] == [
        ("page", 51, 1, True),
        ("new", 0, 4, False),
    ]
    assert [(model.model, model.retires, model.successor) for model in found.past_retirement] == [
        ("openai:m", "2026-11-01", "n")
    ]
    assert check_freshness([file], date(2026, 10, 31), max_age_days=60).past_retirement == ()


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"openai\.json"):
        read_file(tmp_path / "openai.json")
    (tmp_path / "taken").write_text("")
    with pytest.raises(RegistryError, match="taken"):
        write_file(tmp_path / "taken" / "openai.json", EMPTY)


def test_the_index_names_what_can_be_a_registry_file_and_nothing_else(tmp_path: Path) -> None:
    assert write_index(tmp_path / "nowhere") is False
    write_file(tmp_path / "openai.json", EMPTY)
    (tmp_path / "My notes.json").write_text("{}")
    assert write_index(tmp_path) is True
    assert list(parse_index((tmp_path / "index.json").read_bytes(), "index")) == ["openai.json"]
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(RegistryError, match="cannot be read"):
        write_index(tmp_path)
