"""The registry that ships: every fact has a source, its words are known ones, and two sources agree on what they both say."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from llmring.lockfile.parse import parse_lock
from llmring.lockfile.store import BUNDLED_LOCK
from llmring.registry.fetch import render_index
from llmring.registry.model_info import ModelInfo
from llmring.registry.parse import RegistryFile, parse_registry
from llmring.registry.render import render_registry
from llmring.registry.snapshot import INDEX_NAME
from llmring.registry.sources.base import GENAI_PRICES, LITELLM
from llmring.registry.sources.genai_prices import GenaiPrices

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "registry"
FILES = {
    path.stem: parse_registry(path.read_bytes(), path.name)
    for path in sorted(FOLDER.glob("*.json"))
    if path.name != INDEX_NAME
}
MODELS = {info.id: info for file in FILES.values() for info in file.models.values()}
EACH_FILE = pytest.mark.parametrize("file", FILES.values(), ids=FILES)
CAP_OF_LITELLM = {
    "supports_audio_input": "audio",
    "supports_computer_use": "computer_use",
    "supports_function_calling": "tools",
    "supports_pdf_input": "pdf",
    "supports_prompt_caching": "prompt_cache",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_tool_choice": "tool_choice",
    "supports_video_input": "video",
    "supports_vision": "vision",
    "supports_web_search": "web_search",
}
TWO_SOURCES: dict[str, Any] = orjson.loads((Path(__file__).parent / "two_sources.json").read_bytes())["models"]


def test_the_index_names_the_files_as_they_are() -> None:
    contents = {path.name: path.read_bytes() for path in FOLDER.glob("*.json") if path.name != INDEX_NAME}
    assert (FOLDER / INDEX_NAME).read_bytes() == render_index(contents)


def test_there_is_a_file_for_each_vendor() -> None:
    assert sorted(FILES) == ["anthropic", "google", "ollama", "openai"]
    assert [name for name, file in FILES.items() if file.provider != name] == []


@EACH_FILE
def test_it_is_written_in_the_one_form(file: RegistryFile) -> None:
    """One fact a line, sorted: what `llmring registry refresh` writes is what is committed."""
    assert render_registry(file) == (FOLDER / f"{file.provider}.json").read_bytes()


@pytest.mark.spec("P01")
@EACH_FILE
def test_every_model_has_a_category_and_every_fact_a_source_with_its_date(file: RegistryFile) -> None:
    assert [name for name, info in file.models.items() if info.category is None] == []
    used = Counter(fact.source for facts in file.facts.values() for fact in facts.values())
    assert sorted(used) == sorted(file.sources), "a source that no fact names"
    assert file.as_of == max(source.date for source in file.sources.values())
    for key, source in file.sources.items():
        if key in (GENAI_PRICES, LITELLM):
            package, _, version = source.what.partition(" ")
            assert package == key
            assert source.url == f"https://pypi.org/project/{key}/{version}/"


@EACH_FILE
def test_dates_and_names_fit_together(file: RegistryFile) -> None:
    as_of = file.as_of
    for name, info in file.models.items():
        assert not (info.lifecycle == "retired" and info.retires and info.retires > as_of), name
        assert not (info.lifecycle == "deprecated" and info.retires_kind == "firm" and str(info.retires) <= as_of), name
        assert not (info.deprecated and info.retires and info.deprecated > info.retires), name
        assert not (info.retires_kind and not info.retires), name
        assert not (info.points_to and info.pin != "pointer"), name
        assert not (info.points_to and info.points_to not in file.models), name
        assert not (info.context_window and info.max_input and info.context_window < info.max_input), name
        assert not (info.category == "embedding" and info.can("tools")), name


@EACH_FILE
def test_a_price_is_of_what_can_be_bought(file: RegistryFile) -> None:
    for name, info in file.models.items():
        assert all(price > 0 for price in info.price.values()), name
        for kind, price in info.price.items():
            base = re.sub(r"^(batch|flex)_", "", kind)
            if base != kind and base in info.price:
                assert price <= info.price[base], f"{name}: {kind} costs more than {base}"


def test_retired_models_stay() -> None:
    retired = {name for name, info in MODELS.items() if info.lifecycle == "retired"}
    assert {"openai:gpt-4", "openai:o3-mini", "anthropic:claude-3-opus-20240229"} <= retired


@pytest.mark.spec("P12")
@pytest.mark.parametrize(
    ("name", "efforts"),
    [
        ("gpt-5", ("minimal", "low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5-nano", ("minimal", "low", "medium", "high")),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.2", ("none", "low", "medium", "high", "xhigh")),
    ],
)
def test_the_chat_models_of_the_seed_have_the_vendors_window_and_efforts(name: str, efforts: tuple[str, ...]) -> None:
    info = MODELS[f"openai:{name}"]
    # The seed says 128,000; OpenAI's pages say 400,000, of which 272,000 for the prompt (2026-10-10).
    assert (info.category, info.context_window, info.max_input, info.max_output) == ("chat", 400_000, 272_000, 128_000)
    assert info.reasoning_efforts == efforts
    assert info.can("reasoning") is True
    assert info.sources["reasoning_efforts"].startswith("OpenAI, Models")
    assert {"input", "output", "cache_read", "batch_input", "flex_input"} <= info.price.keys()


@pytest.mark.spec("P12")
@pytest.mark.parametrize(("name", "dimensions"), [("text-embedding-3-large", 3072), ("text-embedding-3-small", 1536)])
def test_the_embedding_models_of_the_seed_are_there(name: str, dimensions: int) -> None:
    info = MODELS[f"openai:{name}"]
    assert (info.category, info.dimensions) == ("embedding", dimensions)
    assert info.max_input in (8191, 8192)
    assert info.price["input"] > 0


def locked() -> dict[str, ModelInfo]:
    rows: dict[str, ModelInfo] = {}
    for path in (BUNDLED_LOCK, ROOT / "llmring.lock"):
        rows |= {row.info.id: row.info for _, row in parse_lock(path.read_bytes(), str(path)).locked.items()}
    return {name: info for name, info in rows.items() if name.partition(":")[0] in FILES}


@pytest.mark.spec("P01")
def test_the_committed_locks_say_nothing_that_the_registry_denies() -> None:
    rows = locked()
    assert len(rows) == 8
    for name, row in rows.items():
        known = MODELS[name]
        for field in ("max_input", "max_output", "context_window", "retires"):
            said: object = getattr(row, field)
            assert said in (None, getattr(known, field)), f"{name}: {field}"
        assert {kind: known.price[kind] for kind in row.price} == dict(row.price), name
        assert {cap for cap in row.caps or () if known.can(cap) is not True} == set(), name
        assert row.pin in (None, "unknown", known.pin), name


@pytest.mark.spec("P01")
def test_the_two_sources_speak_of_twenty_models_of_three_vendors() -> None:
    assert len(TWO_SOURCES) >= 20
    assert {name.partition(":")[0] for name in TWO_SOURCES} == {"openai", "anthropic", "google"}


@pytest.mark.spec("P01")
@pytest.mark.parametrize("name", TWO_SOURCES)
def test_a_row_says_what_two_sources_say(name: str) -> None:
    """The figures of litellm's row and of genai-prices' entry, copied from both (`two_sources.json`), against ours."""
    info = MODELS[name]
    litellm, genai = TWO_SOURCES[name]["litellm"], TWO_SOURCES[name]["genai-prices"]
    assert info.category == {"chat": "chat", "responses": "chat", "embedding": "embedding"}[litellm["mode"]]
    assert info.max_input == litellm["max_input_tokens"]
    if info.category == "chat":
        assert info.max_output == litellm["max_output_tokens"]
    for kind, of_litellm, of_genai in (
        ("input", "input_cost_per_token", "input_mtok"),
        ("output", "output_cost_per_token", "output_mtok"),
        ("cache_read", "cache_read_input_token_cost", "cache_read_mtok"),
    ):
        said = {
            Decimal(row[key]) * factor
            for row, key, factor in ((litellm, of_litellm, 1_000_000), (genai, of_genai, 1))
            if Decimal(row.get(key) or 0)
        }
        assert said in ({info.price[kind]} if kind in info.price else set(), set()), f"{kind}: {said}"
    # What one of the two says alone: of batches, and of what a model can do.
    for kind, key in (
        ("batch_input", "input_cost_per_token_batches"),
        ("batch_output", "output_cost_per_token_batches"),
    ):
        if Decimal(litellm.get(key) or 0):
            assert info.price[kind] == Decimal(litellm[key]) * 1_000_000, kind
    assert {word: info.can(CAP_OF_LITELLM[word]) for word in litellm if word in CAP_OF_LITELLM} == {
        word: known for word, known in litellm.items() if word.startswith("supports_")
    }


async def test_prices_are_those_of_the_version_that_the_file_names() -> None:
    """Of a newer genai-prices than the files name, prices may differ; then the copied figures above still hold."""
    compared = 0
    for provider, file in FILES.items():
        source = file.sources.get(GENAI_PRICES)
        reading = await GenaiPrices().read(provider, file.as_of)
        if source is None:
            continue
        assert reading is not None
        for name, facts in file.facts.items():
            ours = {fact: known.value for fact, known in facts.items() if known.source == GENAI_PRICES}
            theirs = reading.models.get(name, {})
            if reading.said_by.what == source.what:
                assert {fact: theirs.get(fact) for fact in ours} == ours, name
            compared += len(ours)
    assert compared > 500


def test_dates_of_sources_are_not_in_the_future() -> None:
    for file in FILES.values():
        for source in file.sources.values():
            assert date.fromisoformat(source.date) <= date.fromisoformat(file.as_of)
