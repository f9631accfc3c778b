"""One alias of a manifest, or of a lock without one, is changed, and nothing else."""

from __future__ import annotations

import difflib
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import AliasNotFoundError, ConfigurationError, LockfileError, ProfileNotFoundError
from llmring.lockfile.edit import Mode, bind_in_lock, bind_in_manifest, unbind_in_lock, unbind_in_manifest
from llmring.lockfile.parse import parse_lock

MANIFEST = """\
# What we want, and why.
schema = "1"

[defaults]   # for all
min-pin = "snapshot"

[alias.assistant]
# the first is the one we tested with
models = ["anthropic:claude-sonnet-5", "openai:gpt-5.6-terra"]    # ordered
needs = ["tools", "vision"]

[alias.fast]
models = [
    # cheap
    "openai:gpt-5.6-luna",   # first
    "openai:b", # second
]

[profile.prod]
[profile.dev]
inherits = "default"   # as it is
min-pin = "pointer"
[profile.dev.alias.assistant]
models = ["ollama:llama3.2:3b"]                 # a pool replaces

[extends]
packages = ["libA"]
"""

LOCK_1_0 = """\
# ours
version = "1.0"
default_profile = "default"
team = "search"

[profiles.default]
name = "default"
[[profiles.default.bindings]]
alias = "fast"
provider = "openai"
model = "gpt"   # why

[[profiles.default.bindings]]
alias = "slow"
models = ["openai:a"]   # slow

[profiles.dev]
name = "dev"
"""


def changed_lines(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in lines if line[:2] not in ("--", "++", "@@")]


def bind(alias: str, *models: str, profile: str | None = None, mode: Mode = Mode.REPLACE) -> list[str]:
    return changed_lines(MANIFEST, bind_in_manifest(MANIFEST, "m", alias, models, profile, mode).text)


ORDERED = 'models = ["anthropic:claude-sonnet-5", "openai:gpt-5.6-terra"'


@pytest.mark.spec("V06")
@pytest.mark.parametrize(
    ("arguments", "profile", "mode", "lines"),
    [
        (
            ("assistant", "openai:x"),
            None,
            Mode.APPEND,
            [f"-{ORDERED}]    # ordered", f'+{ORDERED}, "openai:x"]    # ordered'],
        ),
        (("fast", "openai:x"), None, Mode.APPEND, ['+    "openai:x",']),
        (("fast", "openai:b"), None, Mode.REMOVE, ['-    "openai:b", # second']),
        (("fast", "openai:b", "openai:gpt-5.6-luna"), None, Mode.REPLACE, None),
        (
            ("assistant", "ollama:b"),
            "dev",
            Mode.REPLACE,
            [
                '-models = ["ollama:llama3.2:3b"]                 # a pool replaces',
                '+models = ["ollama:b"]                 # a pool replaces',
            ],
        ),
        (("new", "openai:x"), None, Mode.REPLACE, ["+[alias.new]", '+models = ["openai:x"]', "+"]),
        (("fast", "openai:x"), "dev", Mode.REPLACE, ["+[profile.dev.alias.fast]", '+models = ["openai:x"]']),
        (("a.b", "openai:x"), "dev", Mode.REPLACE, ['+[profile.dev.alias."a.b"]', '+models = ["openai:x"]']),
        (("fast", "openai:gpt-5.6-luna", "openai:b"), None, Mode.REPLACE, []),
    ],
)
def test_bind_changes_the_lines_of_one_binding(
    arguments: tuple[str, ...], profile: str | None, mode: Mode, lines: list[str] | None
) -> None:
    alias, *models = arguments
    edit = bind_in_manifest(MANIFEST, "m", alias, models, profile, mode)
    changed = changed_lines(MANIFEST, edit.text)
    if lines is None:
        assert all("openai:" in line for line in changed)
    else:
        assert [line for line in changed if line != "+"] == [line for line in lines if line != "+"]
    # Every comment but that of a model that went is where it was.
    gone = 'openai:b", # second' if mode is Mode.REMOVE else None
    for line in MANIFEST.splitlines():
        if "#" in line and lines is not None and not (gone and gone in line):
            assert line[line.index("#") :] in edit.text
    assert tomllib.loads(edit.text)["extends"] == {"packages": ["libA"]}


@pytest.mark.spec("V06")
def test_a_profile_that_inherits_gets_a_pool_of_its_own() -> None:
    edit = bind_in_manifest(MANIFEST, "m", "fast", ["openai:x"], "prod", Mode.APPEND)
    data = tomllib.loads(edit.text)
    assert edit.before == ("openai:gpt-5.6-luna", "openai:b")
    assert data["profile"]["prod"]["alias"]["fast"]["models"] == ["openai:gpt-5.6-luna", "openai:b", "openai:x"]
    assert data["alias"] == tomllib.loads(MANIFEST)["alias"]


@pytest.mark.spec("V06")
def test_unbind_takes_one_table_and_leaves_the_rest() -> None:
    edit = unbind_in_manifest(MANIFEST, "m", "assistant", "dev")
    assert (edit.before, edit.after) == (
        ("ollama:llama3.2:3b",),
        ("anthropic:claude-sonnet-5", "openai:gpt-5.6-terra"),  # what it inherits shows again
    )
    gone = [line[1:] for line in changed_lines(MANIFEST, edit.text)]
    assert gone[:2] == [
        "[profile.dev.alias.assistant]",
        'models = ["ollama:llama3.2:3b"]                 # a pool replaces',
    ]
    assert not any(gone[2:])


@pytest.mark.spec("V06")
def test_what_is_only_inherited_is_unbound_where_it_is() -> None:
    with pytest.raises(ConfigurationError, match="inherits"):
        unbind_in_manifest(MANIFEST, "m", "fast", "dev")


@pytest.mark.spec("V06")
def test_the_manifest_in_a_pyproject_is_edited_in_its_table() -> None:
    text = '[project]\nname = "x"  # ours\n\n[tool.ruff]\nline-length = 99\n\n[tool.llmring.alias.fast]\nmodels = ["openai:a"]\n'
    edit = bind_in_manifest(text, "p", "fast", ["openai:b"], None, Mode.REPLACE, within=("tool", "llmring"))
    assert changed_lines(text, edit.text) == ['-models = ["openai:a"]', '+models = ["openai:b"]']


@pytest.mark.spec("V06")
@pytest.mark.parametrize(
    "text",
    [
        "",
        'schema = "1"\n',
        'alias.fast.models = ["openai:a"]\n',
        '[alias]\nfast = { models = ["openai:a"] }\n',
        '[alias.fast]\nmodels = ["openai:a"]\n[profile]\n',
        "[alias.fast]\r\nmodels = ['openai:a']\r\n",
        # As people really write it: the aliases' tables lie apart.
        '[alias.fast]\nmodels = ["openai:a"]\n[defaults]\nmin-pin = "pointer"\n[alias.slow]\nmodels = ["openai:z"]\n',
        'alias.fast.models = ["openai:a"]\nalias.slow.models = ["openai:z"]\n',
        '[alias.fast]\nmodels = ["openai:a"]',
    ],
)
@pytest.mark.parametrize("alias", ["fast", "other"])
def test_every_way_to_write_a_manifest_is_edited_or_refused(text: str, alias: str) -> None:
    edit = bind_in_manifest(text, "m", alias, ["openai:q", "openai:r"], None, Mode.REPLACE)
    assert tomllib.loads(edit.text)["alias"][alias]["models"] == ["openai:q", "openai:r"]
    for line in text.splitlines():
        assert "openai:a" in line or line in edit.text
    assert ("\r\n" in text) == ("\r\n" in edit.text)
    assert "\n" not in edit.text.replace("\r\n", "") or "\r\n" not in text


@pytest.mark.spec("V06")
def test_a_list_whose_last_line_has_no_comma_and_comments_all_over_is_edited() -> None:
    text = '[alias.fast]\nmodels = [ # open\n  # of a\n  "openai:a", # a\n\n  # of b\n  "openai:b" # b\n  # end\n] # close\n'
    edit = bind_in_manifest(text, "m", "fast", ["openai:x"], None, Mode.APPEND)
    assert changed_lines(text, edit.text) == ['-  "openai:b" # b', '+  "openai:b", # b', '+  "openai:x"']
    edit = bind_in_manifest(text, "m", "fast", ["openai:a"], None, Mode.REMOVE)
    assert changed_lines(text, edit.text) == ['-  "openai:a", # a']


@pytest.mark.spec("V06")
def test_a_comment_above_the_next_table_is_not_taken_away_with_the_one_before_it() -> None:
    text = '[alias.fast]\n# inside\nmodels = ["openai:a"]\n\n# of slow,\n# and its reason\n[alias.slow]\nmodels = ["openai:z"]\n'
    assert unbind_in_manifest(text, "m", "fast", None).text == text[text.index("\n# of slow") :]
    lock = LOCK_1_0.replace(
        '[[profiles.default.bindings]]\nalias = "slow"', '# of slow\n[[profiles.default.bindings]]\nalias = "slow"'
    )
    assert changed_lines(lock, unbind_in_lock(lock, "l", "fast", None).text) == [
        "-[[profiles.default.bindings]]",
        '-alias = "fast"',
        '-provider = "openai"',
        '-model = "gpt"   # why',
    ]


NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,6}", fullmatch=True)
MODELS = st.lists(
    st.sampled_from(["openai:a", "openai:b", "ollama:c:d", "google:e"]), min_size=1, max_size=4, unique=True
)


@pytest.mark.spec("V06")
@given(
    aliases=st.dictionaries(NAMES, MODELS, min_size=1, max_size=5),
    alias=NAMES,
    models=MODELS,
    style=st.sampled_from(["table", "dotted", "inline"]),
)
def test_any_bind_touches_nothing_else(
    aliases: dict[str, list[str]], alias: str, models: list[str], style: str
) -> None:
    lines = ["[alias]"] if style != "table" else []
    for number, (name, pool) in enumerate(aliases.items()):
        listed = ", ".join(json.dumps(model) for model in pool)
        if style == "table":
            lines += [f"# {number}", f'[alias."{name}"]', f"models = [{listed}]  # {number}"]
        elif style == "dotted":
            lines += [f'"{name}".models = [{listed}]  # {number}']
        else:
            lines += [f'"{name}" = {{ models = [{listed}] }}  # {number}']
    text = "\n".join(lines) + "\n"
    edit = bind_in_manifest(text, "m", alias, models, None, Mode.REPLACE)
    wanted = {**aliases, alias: models}
    assert {name: row["models"] for name, row in tomllib.loads(edit.text)["alias"].items()} == wanted
    kept = [line for line in lines if line.startswith("#")]
    assert [line for line in edit.text.splitlines() if line.startswith("#")] == kept
    again = bind_in_manifest(edit.text, "m", alias, models, None, Mode.REPLACE)
    assert again.text == edit.text


@pytest.mark.spec("V07")
def test_unknown_profiles_and_aliases_name_the_close_ones() -> None:
    with pytest.raises(ProfileNotFoundError) as profile:
        bind("fast", "openai:x", profile="dve")
    assert profile.value.close_matches == ("dev",)
    with pytest.raises(AliasNotFoundError) as appended:
        bind("fasd", "openai:x", mode=Mode.APPEND)
    assert appended.value.close_matches == ("fast",)
    with pytest.raises(AliasNotFoundError):
        unbind_in_manifest(MANIFEST, "m", "assistent", None)
    for edit in (lambda: bind_in_lock(LOCK_1_0, "l", "fast", ["openai:x"], "dve", Mode.REPLACE),):
        with pytest.raises(ProfileNotFoundError):
            edit()


@pytest.mark.parametrize(
    ("models", "mode", "words"),
    [
        (("openai:b",), Mode.APPEND, "has openai:b already"),
        (("openai:x",), Mode.REMOVE, "has no openai:x"),
        (("openai:b", "openai:gpt-5.6-luna"), Mode.REMOVE, "no model left"),
        (("openai:x", "openai:x"), Mode.REPLACE, "named twice"),
        (("no-colon",), Mode.REPLACE, "no-colon"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(models: tuple[str, ...], mode: Mode, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        bind("fast", *models, mode=mode)


@pytest.mark.spec("V09")
@pytest.mark.parametrize("alias", ["..", "a/b", "a\0b", "%2e%2e", "ａ", "", "x" * 65, "-a", "a b"])
def test_an_alias_that_is_no_name_is_refused(alias: str) -> None:
    with pytest.raises(ConfigurationError):
        bind(alias, "openai:x")
    with pytest.raises(ConfigurationError):
        bind_in_lock(LOCK_1_0, "l", alias, ["openai:x"], None, Mode.REPLACE)


def test_a_profile_that_builds_on_an_alias_keeps_it_from_going() -> None:
    text = '[alias.fast]\nmodels = ["openai:a"]\n[profile.dev.alias.fast]\nneeds = ["tools"]\n'
    with pytest.raises(LockfileError, match="no models"):
        unbind_in_manifest(text, "m", "fast", None)


# Direct mode


@pytest.mark.spec("V06", "V10")
def test_a_1_0_lock_is_edited_in_place_and_stays_one() -> None:
    edit = bind_in_lock(LOCK_1_0, "l", "slow", ["openai:b"], None, Mode.APPEND)
    assert changed_lines(LOCK_1_0, edit.text) == [
        '-models = ["openai:a"]   # slow',
        '+models = ["openai:a", "openai:b"]   # slow',
    ]
    data = tomllib.loads(bind_in_lock(LOCK_1_0, "l", "fast", ["openai:b"], None, Mode.APPEND).text)
    assert data["profiles"]["default"]["bindings"][0] == {"alias": "fast", "models": ["openai:gpt", "openai:b"]}
    assert (data["version"], data["team"]) == ("1.0", "search")
    made = tomllib.loads(bind_in_lock(LOCK_1_0, "l", "new", ["openai:b"], "dev", Mode.REPLACE).text)
    assert made["profiles"]["dev"]["bindings"] == [{"alias": "new", "models": ["openai:b"]}]


@pytest.mark.spec("V06", "V10")
def test_a_1_0_lock_of_json_stays_json_with_what_else_it_says() -> None:
    given: dict[str, Any] = {
        "version": "1.0",
        "x": [1],
        "profiles": {"default": {"bindings": [{"alias": "fast", "model": "openai:a"}]}},
    }
    edit = bind_in_lock(json.dumps(given), "l", "fast", ["openai:b"], None, Mode.REPLACE)
    given["profiles"] = {"default": {"bindings": [{"alias": "fast", "models": ["openai:b"]}]}}
    assert json.loads(edit.text) == given
    assert json.loads(unbind_in_lock(edit.text, "l", "fast", None).text)["profiles"] == {"default": {}}


def test_rows_of_models_come_and_go_with_what_is_bound() -> None:
    text = """\
version = "1.1"
[profiles.default]
[[profiles.default.bindings]]
alias = "fast"
models = ["openai:a", "openai:b"]
[[profiles.default.bindings]]
alias = "slow"
models = ["openai:b"]
[[locked]]
id = "openai:a"
[[locked]]
id = "openai:b"
max_input = 7   # by hand
"""
    rows = {"openai:c": 'id = "openai:c"\nmax_input = 9\nprice = { input = "2" }\n'}
    edit = bind_in_lock(text, "l", "fast", ["openai:c"], None, Mode.REPLACE, rows=rows)
    assert tomllib.loads(edit.text)["locked"] == [
        {"id": "openai:b", "max_input": 7},
        {"id": "openai:c", "max_input": 9, "price": {"input": "2"}},
    ]
    assert "# by hand" in edit.text


def test_how_a_pool_was_resolved_goes_with_the_pool() -> None:
    head = 'version = "1.1"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:one-1"]\n'
    text = f'{head}requested = ["x:one"]\nresolved = "sha256:{"0" * 64}"\n'
    edit = bind_in_lock(text, "llmring.lock", "a", ["x:two"], None, Mode.REPLACE)
    binding = parse_lock(edit.text.encode(), "llmring.lock").profiles["default"].bindings["a"]
    assert (binding.models, binding.requested, binding.resolved) == (("x:two",), (), None)
