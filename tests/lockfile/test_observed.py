"""What aliases were seen to need, added to the manifest: nothing is taken away, comments and order stay."""

import pytest
import tomli

from llmring.exceptions import AliasNotFoundError, LockfileError
from llmring.lockfile.observed import Observed, parse_observed, require_in_manifest

MANIFEST = """\
schema = "1"
# What the team agreed on.
[alias.fast]
models = ["openai:gpt-mini"]  # cheap
needs = [
    "tools",  # always
]
[alias.fast.lossy]
"openai:gpt-mini" = []

[alias.slow]
models = ["openai:gpt-big"]
min-input = 50_000

[profile.dev.alias.fast]
needs = []

[profile.dev.alias.slow]
min-output = 10

[profile.own.alias.extra]
models = ["openai:gpt-mini"]
"""


def require(observed: dict[str, Observed]) -> tuple[str, dict[str, tuple[str, ...]]]:
    required = require_in_manifest(MANIFEST, "llmring.toml", observed)
    return required.text, dict(required.added)


def test_what_was_seen_is_added_where_it_is_said() -> None:
    seen = {
        "fast": Observed(frozenset({"vision", "tools"}), {"min-input": 9000}),
        "slow": Observed(limits={"min-output": 20}),
    }
    text, added = require(seen)
    assert added == {"fast": ("needs vision", "min-input 9000", "needs tools"), "slow": ("min-output 20",)}
    data = tomli.loads(text)
    assert data["alias"]["fast"] | {"lossy": 0} == {
        "models": ["openai:gpt-mini"],
        "needs": ["tools", "vision"],
        "min-input": 9000,
        "lossy": 0,
    }
    # A profile that says it in its own words is raised too; one that inherits is not spoken for.
    assert data["profile"]["dev"]["alias"] == {"fast": {"needs": ["tools", "vision"]}, "slow": {"min-output": 20}}
    assert data["alias"]["slow"] == {"models": ["openai:gpt-big"], "min-input": 50_000, "min-output": 20}
    for comment in ("# What the team agreed on.", "# cheap", "# always"):
        assert comment in text


def test_what_is_asked_for_already_changes_no_byte() -> None:
    seen = {"slow": Observed(limits={"min-input": 40_000})}
    assert require(seen) == (MANIFEST, {})


def test_an_alias_of_one_profile_alone() -> None:
    text, added = require({"extra": Observed(frozenset({"pdf"}))})
    assert added == {"extra": ("needs pdf",)}
    assert tomli.loads(text)["profile"]["own"]["alias"]["extra"]["needs"] == ["pdf"]


def test_within_a_pyproject() -> None:
    text = '[project]\nname = "x"\n[tool.llmring.alias.fast]\nmodels = ["openai:m"]\n'
    required = require_in_manifest(
        text, "pyproject.toml", {"fast": Observed(frozenset({"tools"}))}, ("tool", "llmring")
    )
    assert required.text == text + 'needs = ["tools"]\n'


def test_an_alias_that_is_not_there() -> None:
    with pytest.raises(AliasNotFoundError, match="did you mean fast"):
        require({"fats": Observed()})


@pytest.mark.parametrize(
    "data",
    [
        b'{"alias": "a", "tools": true, "vision": false, "input_tokens": 5}\n\n{"alias": "a", "needs": ["pdf"], "input_tokens": 7}\n',
        b'[{"alias": "a", "tools": true, "input_tokens": 7}, {"alias": "a", "needs": ["pdf"]}]',
        b'{"alias": "a", "needs": ["tools", "pdf"], "input_tokens": 7}',
    ],
)
def test_forms_of_the_file(data: bytes) -> None:
    assert parse_observed(data, "seen") == {"a": Observed(frozenset({"tools", "pdf"}), {"min-input": 7})}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "line 1: broken JSON"),
        (b'{"alias": "a"}\nnonsense', "line 2: broken JSON"),
        (b"[3]", "row 1 is no table"),
        (b'{"needs": ["tools"]}', "no alias"),
        (b'{"alias": "../../x"}', "no alias"),
        (b'{"alias": "a", "needs": "tools"}', "no list"),
        (b'{"alias": "a", "needs": [["tools"]]}', "needs says"),
        (b'{"alias": "a", "needs": ["toolz"]}', "needs says 'toolz'"),
        (b'{"alias": "a", "tools": 1}', "'tools' is nothing"),
        (b'{"alias": "a", "input_tokens": -1}', "'input_tokens' is nothing"),
        (b'{"alias": "a", "prompt": "secret"}', "'prompt' is nothing"),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(LockfileError, match=said):
        parse_observed(data, "seen")
