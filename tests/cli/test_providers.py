"""`llmring providers`: whom can be called, and where the keys would be. Never what they are."""

import json

import pytest
from tests.cli.inside import Inside

KEY = "sk-never-shown-0123456789"


@pytest.mark.spec("U30")
def test_providers_of_every_origin_are_listed_without_their_keys(inside: Inside) -> None:
    inside.write("llmring.toml", '[providers.theirs]\nbase_url = "https://models.example.com"\n')
    config = inside.write(
        "config.toml",
        '[providers.mine]\nbase_url = "http://127.0.0.1:9"\nkey_variable = "MINE_KEY"\n'
        f'[providers.mine.extra_headers]\nX-Secret = "{KEY}"\n',
    )
    inside.write(".env", f"GROQ_API_KEY={KEY}\n")
    environ = {"LLMRING_CONFIG": str(config), "MINE_KEY": KEY, "ANTHROPIC_AUTH_TOKEN": KEY}
    outcome = inside.run("providers", "--available", **environ)
    shown = outcome.stdout + outcome.stderr + inside.run("providers", "--json", **environ).stdout
    assert KEY not in shown
    assert KEY[:8] not in shown
    environ = {name: value for name, value in environ.items() if name == "LLMRING_CONFIG"}
    inside.monkeypatch.setenv("MINE_KEY", KEY)
    inside.monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    inside.run("providers", "--available", **environ).check("providers-available")


@pytest.mark.spec("U30")
def test_every_known_provider_is_listed_whatever_lies_in_this_folder(inside: Inside) -> None:
    inside.write("llmring.lock", "broken")
    told = {row["name"]: row for row in json.loads(inside.run("providers", "--json").stdout)}
    assert {"openai", "anthropic", "google", "ollama", "groq", "azure", "bedrock"} <= set(told)
    assert (told["openai"]["credential"], told["openai"]["why"]) == (False, "OPENAI_API_KEY is not set")
    assert told["openai"]["declared_in"] == "built in"
    assert "AZURE_OPENAI_ENDPOINT" in told["azure"]["problem"]


@pytest.mark.spec("U30", "Z03")
def test_several_keys_are_told_by_their_variables(inside: Inside) -> None:
    config = inside.write("config.toml", '[providers.openai]\nkeys = ["FIRST_KEY", "SECOND_KEY"]\n')
    environ = {"LLMRING_CONFIG": str(config), "SECOND_KEY": KEY}
    told = {row["name"]: row for row in json.loads(inside.run("providers", "--json", **environ).stdout)}
    assert told["openai"]["keys"] == [
        {"variable": "FIRST_KEY", "source": None, "weight": None},
        {"variable": "SECOND_KEY", "source": "SECOND_KEY", "weight": None},
    ]
    shown = inside.run("providers", "--available", **environ).stdout
    assert "yes: SECOND_KEY; not set: FIRST_KEY" in " ".join(shown.split())
    assert KEY[:8] not in shown
    assert "has a key (SECOND_KEY; not set: FIRST_KEY)" in inside.run("explain", "openai:gpt-5", **environ).stdout
