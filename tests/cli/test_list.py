"""`llmring list`: the models of registry and lockfile, by what is asked of them."""

import json

import pytest
from tests.cli.inside import Inside
from tests.cli.known import lay_out


def ids(inside: Inside, *arguments: str, **environ: str) -> list[str]:
    outcome = inside.run("list", "--json", *arguments, **environ)
    assert outcome.code == 0, outcome.stderr
    return [row["model"] for row in json.loads(outcome.stdout)]


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("table", []),
        ("nothing-fits", ["--needs", "video"]),
        ("unknown-capability", ["--needs", "tools,visoin"]),
        ("price-without-kind", ["--max-price", "3"]),
    ],
)
def test_list(inside: Inside, name: str, arguments: list[str]) -> None:
    lay_out(inside)
    inside.run("list", *arguments).check(f"list-{name}")


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--category", "embedding"], ["openai:vectors"]),
        (["--needs", "tools"], ["openai:deep", "openai:tiny"]),
        (["--needs", "tools,reasoning"], ["openai:deep"]),
        # The lockfile's price counts, and not the registry's 9.
        (["--max-price", "input=2", "--category", "chat"], ["openai:deep", "openai:tiny"]),
        (["--max-price", "input=1.99", "--category", "chat"], ["openai:deep"]),
        (["--min-input", "100000"], ["openai:tiny"]),
        (["--lifecycle", "retired"], ["openai:ancient"]),
        (["--provider", "nowhere"], ["nowhere:model"]),
        (["--needs", "vision", "--provider", "openai", "--unknown"], ["deep", "gone", "tiny-two", "vectors"]),
        (["--sort", "price", "--max-price", "input=99"], ["openai:vectors", "openai:deep", "openai:tiny"]),
    ],
)
def test_what_fits_is_listed(inside: Inside, arguments: list[str], found: list[str]) -> None:
    lay_out(inside)
    assert ids(inside, *arguments) == [name if ":" in name else f"openai:{name}" for name in found]


def test_available_leaves_out_providers_without_a_key(inside: Inside) -> None:
    lay_out(inside)
    assert ids(inside, "--available", "--unknown") == ["ollama:small:1b"]
    with_key = ids(inside, "--available", "--category", "embedding", OPENAI_API_KEY="k" * 20)
    assert with_key == ["openai:vectors"]


def test_locked_leaves_out_what_the_lockfile_does_not_name(inside: Inside) -> None:
    lay_out(inside)
    assert "openai:vectors" not in ids(inside, "--locked")
    assert "anthropic:small" in ids(inside, "--locked")
