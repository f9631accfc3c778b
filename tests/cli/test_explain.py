"""`llmring explain`: which models, in which order, why, on set-ups that are fine and on set-ups that are not."""

import hashlib
import json
import sys

import pytest
from tests.cli.inside import Inside
from tests.cli.known import LOCK, lay_out
from tests.cli.packages import install

KEY = "sk-never-shown-0123456789"


@pytest.mark.spec("U30", "U36", "U45")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("alias", ["fast"]),
        ("effort", ["thinking"]),
        ("retired-and-unknown", ["old"]),
        ("profile", ["fast", "--profile", "dev"]),
        ("model", ["openai:deep"]),
        ("unknown-alias", ["fats"]),
        ("unknown-profile", ["fast", "--profile", "dve"]),
        ("unknown-provider", ["opnai:tiny"]),
        ("no-such-lockfile", ["fast", "--lockfile", "other.lock"]),
        ("json", ["thinking", "--json"]),
    ],
)
def test_explain(inside: Inside, name: str, arguments: list[str]) -> None:
    lay_out(inside)
    inside.monkeypatch.setenv("OPENAI_API_KEY", KEY)
    inside.run("explain", *arguments).check(f"explain-{name}")


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("kind", "shown"), [("earliest", "retires not before 2999-01-01"), ("firm", "retires 2999-01-01")]
)
def test_a_date_that_is_the_earliest_possible_is_not_shown_as_the_day(inside: Inside, kind: str, shown: str) -> None:
    lay_out(inside)
    row = f'[[locked]]\nid = "openai:tiny-two"\nretires = "2999-01-01"\nretires_kind = "{kind}"\n'
    inside.write("llmring.lock", f"{LOCK}\n{row}")
    assert f"lifecycle  {shown}\n" in inside.run("explain", "openai:tiny-two").stdout


def test_without_a_lockfile_the_bundled_one_is_named(inside: Inside) -> None:
    outcome = inside.run("explain", "fast")
    assert outcome.code == 0
    assert "(bundled with llmring: there is no llmring.lock here)" in outcome.stdout


def test_a_broken_lockfile_is_one_line_and_exit_2(inside: Inside) -> None:
    inside.write("llmring.lock", 'version = "1.1"\n[profiles\n')
    inside.run("explain", "fast").check("explain-broken-lockfile")


def test_environment_and_dotenv_are_named_as_what_they_say(inside: Inside) -> None:
    lay_out(inside)
    (inside.folder / "llmring.lock").rename(inside.folder / "other.lock")
    inside.write(".env", f"OPENAI_API_KEY={KEY}\n")
    (inside.folder / ".env").chmod(0o600)
    outcome = inside.run("explain", "fast", LLMRING_LOCKFILE_PATH="other.lock", LLMRING_PROFILE="default")
    outcome.check("explain-environment")


@pytest.mark.spec("U45")
def test_what_a_provider_asks_for_by_itself_is_shown_with_its_layer(inside: Inside) -> None:
    lay_out(inside)
    config = inside.write("config.toml", "[providers.openai]\nmax_tokens = 700\ndefault_temperature = 0.5\n")
    explained = json.loads(inside.run("explain", "fast", "--json", LLMRING_CONFIG=str(config)).stdout)
    options = {member["model"]: member["options"] for member in explained["candidates"]}
    assert options["anthropic:small"] == {}
    assert options["openai:tiny"] == {
        "max_tokens": {"value": 700, "layer": "provider"},
        "temperature": {"value": 0.5, "layer": "provider"},
    }


@pytest.mark.spec("U45")
def test_a_packages_alias_is_explained_with_the_package_that_binds_it(inside: Inside) -> None:
    shipped = """version = "1.1"
[[profiles.default.bindings]]
alias = "triage"
models = ["openai:theirs"]
[[locked]]
id = "openai:theirs"
price = { input = "3", output = "15" }
"""
    install(inside.folder / "site", "libA", {"liba/llmring.lock": shipped})
    inside.monkeypatch.setattr(sys, "path", [str(inside.folder / "site"), *sys.path])
    lay_out(inside)
    digest = hashlib.sha256(shipped.encode()).hexdigest()
    inside.write("llmring.lock", f'{LOCK}\n[[extended]]\npackage = "libA"\nlock = "sha256:{digest}"\n')
    inside.run("explain", "libA:triage").check("explain-package")
