"""How a manifest begins: from a lock, from a LiteLLM configuration, from the registry."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import tomli

from llmring.exceptions import LockfileError
from llmring.lockfile.intent import Manifest
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.starting import Start, start, start_from_litellm, start_from_lock, suggest
from llmring.registry.catalog import Catalog
from llmring.registry.model_info import ModelInfo
from llmring.wire.handover import Speaker

NOW = 1_795_219_200.0  # 2026-11-21
KEY = "sk-test-0123456789abcdefghij"
CONFIG = f"""
model_list:
  - model_name: gpt
    litellm_params: {{model: openai/gpt-5, api_key: {KEY}, temperature: 0.2, max_tokens: 100}}
  - model_name: gpt
    litellm_params: {{model: gemini/flash, api_base: "https://example.org"}}
  - model_name: team/small
    litellm_params: {{model: tiny}}
  - model_name: nobody
    litellm_params: {{model: no provider/x}}
router_settings:
  fallbacks: [{{"team-small": ["gpt"]}}]
"""


def model(id: str, price: str, **facts: str) -> ModelInfo:
    caps = frozenset({"tools", "vision", "json_schema", "reasoning"})
    usd = {"input": Decimal(price), "output": Decimal(price)}
    return ModelInfo(id, caps=caps, price=usd, category="chat", **facts)  # pyright: ignore[reportArgumentType]


def catalog(*models: ModelInfo) -> Catalog:
    return Catalog(lambda: {one.id: one for one in models})


def read(begun: Start, *profiles: str) -> Manifest:
    return parse_manifest(tomli.loads(start(begun, profiles)), "llmring.toml")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_litellm_configuration_gives_pools_and_keeps_keys_out(as_json: bool) -> None:
    import yaml

    text = json.dumps(yaml.safe_load(CONFIG)) if as_json else CONFIG
    begun = start_from_litellm(text.encode(), "config", catalog(model("openai:tiny", "1")))
    assert KEY not in start(begun)
    assert "example.org" not in start(begun)
    aliases = read(begun).profiles["default"].aliases
    assert aliases["gpt"].models == ("openai:gpt-5", "google:flash")
    assert aliases["gpt"].parameters == {"temperature": 0.2, "max_tokens": 100}
    assert aliases["team-small"].models == ("openai:tiny", "openai:gpt-5", "google:flash")
    assert [what.partition(":")[0] for what in begun.left] == ["'team/small' is called 'team-small'", "nobody"]


@pytest.mark.parametrize(
    "text",
    [
        "model_list: [",
        "model_list: 3",
        "[]",
        '{"model_list": [}',
        "a: &a [1]\nmodel_list: *a\n",
        'model_list: [{model_name: "..", litellm_params: {model: openai/x}}]',
        "model_list: !!python/object/apply:os.system [ls]",
    ],
)
def test_a_hostile_configuration_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(LockfileError) as caught:
        start_from_litellm(text.encode(), "config", catalog())
    assert "os.system" not in str(caught.value)


def test_a_lock_gives_its_pools_as_candidates_and_pointers_as_they_were_requested() -> None:
    text = (
        'version = "1.1"\n[[profiles.default.bindings]]\nalias = "a.b"\nmodels = ["x:one-1"]\nrequested = ["x:one"]\n'
        '[[profiles."p.q".bindings]]\nalias = "own"\nmodels = ["x:two"]\n'
    )
    begun = start_from_lock(parse_lock(text.encode(), "old"))
    made = read(begun, "prod")
    assert {name: sorted(profile.aliases) for name, profile in made.profiles.items()} == {
        "default": ["a.b"],
        "p.q": ["a.b", "own"],
        "prod": ["a.b"],
    }
    assert made.profiles["default"].aliases["a.b"].models == ("x:one",)
    assert begun.left == ["profile 'p.q' has the default one's a.b from now on, too"]


def test_suggested_are_the_cheapest_of_each_vendor_that_fit_and_stay() -> None:
    begun = suggest(
        catalog(
            model("a:dear", "3"),
            model("a:cheap", "2"),
            model("a:cheapest-but-moves", "1", pin="pointer"),
            model("a:cheapest-but-goes", "1", retires="2026-12-01", retires_kind="firm"),
            model("b:one", "1"),
            model("c:free", "0"),
        ),
        NOW,
        lambda model: Speaker(model.partition(":")[0], "openai_chat"),
    )
    vision = read(begun).profiles["default"].aliases["vision"]
    assert (vision.models[-2:], vision.needs) == (("b:one", "a:cheap"), ("vision",))


@pytest.mark.spec("X04")
def test_no_suggested_pool_loses_anything_when_it_hands_over() -> None:
    sealed = {"a": "anthropic_messages", "g": "gemini_generate"}

    def speaker_of(name: str) -> Speaker:
        provider = name.partition(":")[0]
        return Speaker(provider, sealed.get(provider, "openai_chat"))

    begun = suggest(
        catalog(model("a:one", "1"), model("g:one", "2"), model("a:two", "3"), model("a:three", "4")), NOW, speaker_of
    )
    aliases = read(begun).profiles["default"].aliases
    # A vendor's thinking is sealed for itself, and tool calls go on from it; what needs no tools loses nothing.
    assert aliases["agent"].models == aliases["thinker"].models == ("a:one", "a:two")
    assert aliases["fast"].models == ("a:one", "g:one")
    assert not any(alias.lossy for alias in aliases.values())


def test_a_profile_whose_name_is_none_is_refused() -> None:
    with pytest.raises(LockfileError, match="no name of a profile"):
        start(Start({}), ["../x"])
