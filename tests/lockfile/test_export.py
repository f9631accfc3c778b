"""A lock in the words of others: each export is read back by what it is for, hostile names included."""

from __future__ import annotations

import json
import re
import subprocess
from decimal import Decimal
from typing import Any

import pytest
import tomli
from tests.lockfile.locks import lock, model

from llmring.exceptions import LockfileError, ProfileNotFoundError
from llmring.lockfile.export import FORMATS, export_lock, list_left_out
from llmring.lockfile.model import Lock
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import render_lock
from llmring.providers.table import PROVIDERS

# All that the grammar of a model's name lets through.
EVIL = "openai:" + "".join(chr(code) for code in range(33, 127))
LOCK = lock(
    {"fast": f"openai:m {EVIL}", "a.b-c": "google:g"},
    model("openai:m", pin="snapshot", price={"input": Decimal("0.1")}, caps=frozenset({"tools"}), max_input=1000),
    model("google:g", pin="content", digest=f"sha256:{'a' * 64}", retires="2027-01-01", retires_kind="firm"),
    fast={"parameters": {"temperature": 0.5, "reasoning_effort": "low"}},
)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_lock_gives_the_same_text_and_an_empty_one_gives_some(format: str) -> None:
    assert export_lock(LOCK, format) == export_lock(LOCK, format)
    export_lock(lock({}), format)


def test_json() -> None:
    said = json.loads(export_lock(LOCK, "json"))
    assert said["profiles"]["default"]["fast"]["models"] == ["openai:m", EVIL]
    assert said["profiles"]["default"]["fast"]["parameters"] == {"temperature": 0.5, "reasoning_effort": "low"}
    assert said["models"]["openai:m"]["price"] == {"input": "0.1"}


def test_env_is_what_a_shell_reads() -> None:
    script = (
        export_lock(LOCK, "env")
        + 'printf "%s\\n" "$LLMRING_MODEL_FAST" "$LLMRING_MODEL_FAST_POOL" "$LLMRING_MODEL_A_B_C"'
    )
    read = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert read.stdout.splitlines() == ["openai:m", f"openai:m,{EVIL}", "google:g"]
    assert read.stderr == ""


def test_aliases_that_a_variable_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(LockfileError, match=r"'a-b' and 'a\.b'.*LLMRING_MODEL_A_B"):
        export_lock(lock({"a.b": "x:m", "a-b": "x:m"}), "env")
    with pytest.raises(LockfileError, match="LLMRING_MODEL_A_POOL"):
        export_lock(lock({"a": "x:m x:n", "a-pool": "x:m"}), "env")


def test_python_is_a_module() -> None:
    names: dict[str, Any] = {}
    exec(compile(export_lock(LOCK, "python"), "exported", "exec"), names)
    assert names["POOLS"] == {"a.b-c": ("google:g",), "fast": ("openai:m", EVIL)}
    assert names["PROFILE"] == "default"


def test_litellm_has_a_group_for_each_member_in_order() -> None:
    text = export_lock(LOCK, "litellm")
    assert '  - model_name: "a.b-c"\n    litellm_params:\n      model: "gemini/g"\n' in text
    assert '      model: "openai/m"\n      temperature: 0.5\n      reasoning_effort: "low"\n' in text
    assert f"      model: {json.dumps(EVIL.replace(':', '/', 1))}\n" in text
    assert text.endswith('litellm_settings:\n  fallbacks:\n    - "fast": ["fast/fallback-1"]\n')


def test_litellm_is_not_given_a_provider_that_it_would_refuse_the_whole_config_for() -> None:
    text = export_lock(lock({"fast": "ollama:small:1b vllm:m together:org/m"}), "litellm")
    assert re.findall(r"model: (.*)", text) == ['"ollama_chat/small:1b"', '"hosted_vllm/m"', '"together_ai/org/m"']
    with pytest.raises(LockfileError, match=r"no provider llamacpp, which alias 'fast' names: llamacpp:m"):
        export_lock(lock({"fast": "openai:m llamacpp:m"}), "litellm")


def test_litellm_has_a_name_for_every_provider_of_ours_but_one() -> None:
    refused = set[str]()
    for provider in PROVIDERS:
        try:
            export_lock(lock({"a": f"{provider}:m"}), "litellm")
        except LockfileError:
            refused.add(provider)
    assert refused == {"llamacpp"}


@pytest.mark.parametrize(
    ("format", "left_out"),
    [("json", []), ("env", ["fast", "slow"]), ("litellm", ["slow"]), ("1.0", ["fast", "slow"])],
)
def test_what_a_format_leaves_out_is_told(format: str, left_out: list[str]) -> None:
    given = lock(
        {"fast": "openai:m", "slow": "openai:m", "plain": "openai:m"},
        fast={"parameters": {"temperature": 0.5}},
        slow={"parameters": {"system": "helper"}},
    )
    assert list_left_out(given, format) == left_out


def test_cyclonedx_has_a_component_for_each_model() -> None:
    bom = json.loads(export_lock(LOCK, "cyclonedx"))
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    by_name = {component["name"]: component for component in bom["components"]}
    assert by_name["g"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert {"name": "llmring:retires", "value": "2027-01-01"} in by_name["g"]["properties"]
    assert {"name": "llmring:price.input", "value": "0.1"} in by_name["m"]["properties"]
    assert len({component["bom-ref"] for component in bom["components"]}) == 3
    assert all(component["type"] == "machine-learning-model" for component in bom["components"])


def test_markdown_escapes_names_and_says_what_is_unknown() -> None:
    text = export_lock(LOCK, "md")
    rows = [line for line in text.splitlines() if line.startswith("| openai:!")]
    assert [row.replace("\\\\", "").replace("\\|", "").count("|") for row in rows] == [7]
    assert "| google:g | content | unknown | unknown | unknown | 2027-01-01 (firm) |" in text


@pytest.mark.spec("V10")
def test_1_0_is_read_back_by_our_own_reader_and_a_1_1_lock_resolves_in_a_plain_one() -> None:
    read = parse_lock(export_lock(LOCK, "1.0").encode(), "exported")
    pools = {alias: binding.models for alias, binding in read.profiles["default"].bindings.items()}
    assert pools == {"a.b-c": ("google:g",), "fast": ("openai:m", EVIL)}
    plain = tomli.loads(render_lock(LOCK).decode())["profiles"]["default"]
    assert plain["name"] == "default"
    assert {row["alias"]: tuple(row["models"]) for row in plain["bindings"]} == pools


@pytest.mark.spec("V10")
def test_1_0_has_what_a_reader_of_1_0_reads() -> None:
    read = tomli.loads(export_lock(LOCK, "1.0"))
    assert (read["version"], read["default_profile"]) == ("1.0", "default")
    assert read["profiles"]["default"]["bindings"] == [
        {"alias": "a.b-c", "models": ["google:g"]},
        {"alias": "fast", "models": ["openai:m", EVIL]},
    ]
    assert read.keys() == {"version", "default_profile", "profiles"}


@pytest.mark.parametrize("format", FORMATS)
def test_a_profile_that_is_not_there_is_named_with_close_ones(format: str) -> None:
    with pytest.raises(ProfileNotFoundError) as raised:
        export_lock(LOCK, format, "defualt")
    assert raised.value.close_matches == ("default",)


def test_one_profile_of_many() -> None:
    prod = lock({"a": "x:m"}, profile="prod").profiles["prod"]
    both = Lock("1.1", None, {**LOCK.profiles, "prod": prod}, LOCK.locked, {}, "", "llmring.lock")
    assert json.loads(export_lock(both, "json", "prod"))["profiles"].keys() == {"prod"}
    assert "LLMRING_MODEL_A=x:m\n" in export_lock(both, "env", "prod")
