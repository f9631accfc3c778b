"""llmring.toml.schema.json: what editors are told of a manifest is what the design says, and what the code that reads it says."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import tomli
from jsonschema import Draft7Validator, Draft202012Validator

from llmring.exceptions import ConfigurationError, LockfileError
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.manifest import read_declared_providers
from llmring.providers.declared import Trust, declare
from llmring.registry.model_info import CAPS, PINS

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads(files("llmring.lockfile").joinpath("llmring.toml.schema.json").read_text())

# The manifest of the design, whole.
MANIFEST = """
schema = "1"

[defaults]
min-pin = "snapshot"
cooldown = "7 days"
retire-horizon = "60 days"
providers = ["anthropic", "google", "ollama", "openai"]

[sources]
facts = ["provider-api", "registry"]
prices = ["genai-prices", "registry"]
lifecycle = ["provider-api", "registry"]

[alias.assistant]
models = ["anthropic:claude-sonnet-5", "openai:gpt-5.6-terra"]
needs = ["tools", "vision"]
min-input = 200_000
min-output = 16_000
max-price = { input = "3", output = "15" }
[alias.fast]
models = ["openai:gpt-5.6-luna"]
temperature = 0.2
max-tokens = 500
reasoning-effort = "low"
system = "reviewer"
until = 2027-01-01
then = ["openai:gpt-6-luna"]

[profile.prod]
on-drift = "fail"
[profile.dev]
inherits = "default"
min-pin = "pointer"
[profile.dev.alias.assistant]
models = ["ollama:llama3.2:3b"]

[extends]
packages = ["libA"]

[alias.assistant.lossy]
"openai:gpt-5.6-terra" = ["thinking signatures of anthropic dropped"]

[[audit.ignore]]
id = "model.retiring:openai:gpt-5-2025-08-07"
until = 2026-12-01
reason = "migration planned"

[providers.mine]
base_url = "https://models.example.org/v1"
key_variable = "LLMRING_MINE_API_KEY"
dialect = "anthropic_messages"
auth = "header:x-key"
organization = "us"
local = false
max_tokens = 1000
default_temperature = 0.5
max_tokens_field = "max_completion_tokens"
idempotency_header = "Idempotency-Key"
"""

# What a hand makes of it: what stands there, and what it becomes.
MISTAKES = [
    ('schema = "1"', 'schema = "2"'),
    ('schema = "1"', "schema = 1"),
    ("[alias.fast]", "[aliases.fast]"),
    ("[alias.fast]", '[alias."fast one"]'),
    ("[alias.fast]", '[alias."-fast"]'),
    ('min-pin = "snapshot"', 'min-pin = "snapshots"'),
    ('min-pin = "snapshot"', 'min_pin = "snapshot"'),
    ('cooldown = "7 days"', 'cooldown = "7"'),
    ('cooldown = "7 days"', "cooldown = 7"),
    ('cooldown = "7 days"', 'cooldown = "a week"'),
    ('"genai-prices"', '"genai_prices"'),
    ('"anthropic", "google"', '"Anthropic", "google"'),
    ('models = ["openai:gpt-5.6-luna"]', "models = []"),
    ('models = ["openai:gpt-5.6-luna"]', 'models = "openai:gpt-5.6-luna"'),
    ('models = ["openai:gpt-5.6-luna"]', 'model = ["openai:gpt-5.6-luna"]'),
    ('models = ["openai:gpt-5.6-luna"]', 'models = ["gpt-5.6-luna"]'),
    ('models = ["openai:gpt-5.6-luna"]', 'models = ["openai: gpt-5.6-luna"]'),
    ('models = ["openai:gpt-5.6-luna"]', 'models = ["openai:gpt-5.6-luna", "openai:gpt-5.6-luna"]'),
    ('"tools", "vision"', '"tool", "vision"'),
    ("min-input = 200_000", 'min-input = "200_000"'),
    ("min-output = 16_000", "min-output = 0"),
    ('input = "3"', "input = 3"),
    ('input = "3"', 'input = "$3"'),
    ('input = "3"', 'in = "3"'),
    ('inherits = "default"', 'extends = "default"'),
    ('"openai:gpt-5.6-terra" = ["thinking', '"gpt-5.6-terra" = ["thinking'),
    ("until = 2026-12-01\n", ""),
    ("until = 2026-12-01", 'until = "soon"'),
    ('reason = "migration planned"', 'reason = ""'),
    ("[[audit.ignore]]", "[audit.ignore]"),
    ("temperature = 0.2", "temperature = -1"),
    ("temperature = 0.2", 'temperature = "cold"'),
    ("max-tokens = 500", "max_tokens = 500"),
    ("max-tokens = 500", "max-tokens = 0"),
    ('reasoning-effort = "low"', 'reasoning-effort = "lots"'),
    ('system = "reviewer"', 'system = "../reviewer"'),
    ("until = 2027-01-01", 'until = "soon"'),
    ('then = ["openai:gpt-6-luna"]', "then = []"),
    ('on-drift = "fail"', 'on-drift = "shout"'),
    ('packages = ["libA"]', 'packages = ["../libA"]'),
    ("[providers.mine]", "[providers.openai]"),
    ("[providers.mine]", "[providers.Mine]"),
    ('base_url = "https://models.example.org/v1"\n', ""),
    ("https://models.example.org", "http://models.example.org"),
    ('key_variable = "LLMRING_MINE_API_KEY"', 'key_variable = "OPENAI_API_KEY"'),
    ('key_variable = "LLMRING_MINE_API_KEY"', 'api_key = "sk-1"'),
    ('"anthropic_messages"', '"anthropic"'),
    ('"header:x-key"', '"basic"'),
    ("local = false", 'local = "no"'),
    ("max_tokens = 1000", "max_tokens = 0"),
    ("max_tokens = 1000", 'like = "openai"'),
    ("default_temperature = 0.5", "temperature = 0.5"),
    ('idempotency_header = "Idempotency-Key"', 'idempotency_header = "Idempotency Key"'),
]


def problems(validator: Any, data: object) -> list[str]:
    return [error.message for error in validator(SCHEMA).iter_errors(data)]


def read(text: str) -> Any:
    """A manifest as editors see it: dates are texts there."""
    return json.loads(json.dumps(tomli.loads(text), default=str))


@pytest.mark.spec("Z14")
def test_it_is_a_schema_in_words_that_older_editors_know_too() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft7Validator.check_schema(SCHEMA)
    said = json.dumps(SCHEMA)
    for newer in ("unevaluatedProperties", "dependentRequired", "dependentSchemas", "prefixItems", "minContains"):
        assert newer not in said


@pytest.mark.spec("Z14")
def test_the_manifest_of_the_design_is_right() -> None:
    for validator in (Draft202012Validator, Draft7Validator):
        assert problems(validator, read(MANIFEST)) == []
        assert problems(validator, {}) == []


@pytest.mark.spec("Z14")
@pytest.mark.parametrize(("right", "wrong"), MISTAKES, ids=lambda text: text.strip())
def test_a_mistake_is_told(right: str, wrong: str) -> None:
    assert right in MANIFEST
    broken = read(MANIFEST.replace(right, wrong, 1))
    assert problems(Draft202012Validator, broken)
    assert problems(Draft7Validator, broken)


@pytest.mark.spec("Z14")
def test_the_closed_words_are_those_of_the_code() -> None:
    alias = SCHEMA["$defs"]["alias"]["properties"]
    assert alias["needs"]["items"]["enum"] == list(CAPS)
    assert SCHEMA["properties"]["defaults"]["properties"]["min-pin"]["enum"] == list(PINS)


@pytest.mark.spec("Z14")
def test_the_parser_takes_what_the_schema_takes_and_refuses_what_it_refuses() -> None:
    assert parse_manifest(tomli.loads(MANIFEST), "m").profiles["prod"].on_drift == "fail"
    for right, wrong in MISTAKES:
        if right in MANIFEST.partition("[providers.mine]")[0]:
            with pytest.raises(LockfileError):
                parse_manifest(tomli.loads(MANIFEST.replace(right, wrong, 1)), "m")


def described(node: object, path: str = "") -> list[str]:
    """Settings that an editor has nothing to say of."""
    found: list[str] = []
    if isinstance(node, dict):
        for name, inner in node.items():  # pyright: ignore[reportUnknownVariableType]
            if name == "properties":
                for key, rule in inner.items():  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
                    if "description" not in rule:
                        found.append(f"{path}.{key}")
            found += described(inner, f"{path}.{name}")  # pyright: ignore[reportUnknownArgumentType]
    return found


@pytest.mark.spec("Z14")
def test_every_setting_is_described() -> None:
    assert described(SCHEMA) == []


@pytest.mark.spec("Z14")
def test_the_page_and_the_wheel_have_the_same_file() -> None:
    assert json.loads((ROOT / "docs" / "llmring.toml.schema.json").read_text()) == SCHEMA


@pytest.mark.spec("Z14")
def test_a_provider_that_the_schema_takes_is_one_that_llmring_takes(tmp_path: Path) -> None:
    (tmp_path / "llmring.toml").write_text(MANIFEST)
    (table,) = read_declared_providers(tmp_path).values()
    declare("mine", table, Trust.REPOSITORY)
    # And each of the provider's mistakes is refused by both, but for the URL: its host is asked when it is called.
    for right, wrong in MISTAKES:
        if MANIFEST.index(right) < MANIFEST.index("[providers.mine]") or wrong.startswith("http:"):
            continue
        broken = tomli.loads(MANIFEST.replace(right, wrong, 1))["providers"]
        ((name, table),) = broken.items()
        with pytest.raises(ConfigurationError):
            declare(name, table, Trust.REPOSITORY)
