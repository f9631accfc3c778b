"""`llmring info`: every fact of a model, with who says so; what nobody knows is called unknown."""

import json

import pytest
from tests.cli.inside import Inside
from tests.cli.known import lay_out


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("model", ["openai:tiny"]),
        ("bare-name", ["deep"]),
        ("alias", ["old"]),
        ("near-model", ["openai:depe"]),
        ("near-alias", ["thinknig"]),
        ("nothing-near", ["zzz:qqqqqq"]),
    ],
)
def test_info(inside: Inside, name: str, arguments: list[str]) -> None:
    lay_out(inside)
    inside.run("info", *arguments).check(f"info-{name}")


@pytest.mark.spec("U30")
def test_json_tells_yes_no_and_unknown_apart(inside: Inside) -> None:
    lay_out(inside)
    told = json.loads(inside.run("info", "openai:tiny", "--json").stdout)
    assert (told["caps"]["tools"], told["caps"]["vision"], told["caps"]["audio"]) == (True, False, None)
    assert told["price"] == {"cache_read": "0.5", "input": "2", "output": "10"}
    assert told["sources"]["price.input"] == "the lockfile (genai-prices 0.2.3), 2026-01-02"
    assert told["sources"]["caps.vision"] == "the vendor's page, <today>"
    assert told["aliases"] == [{"profile": "default", "alias": "fast"}]
    assert told["standing"] == "retiring"
