"""Manifests of every shape that TOML has: a binding is edited, and every other byte stays."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmring.lockfile.edit import Mode, bind_in_manifest, unbind_in_manifest
from llmring.lockfile.toml_array import replace_strings

BLANK = st.sampled_from(["", " ", "  \t"])
COMMENT = st.sampled_from(["", "# ünïcode 🎉\n", '  # "quoted", [brackets] = 1\n', "\n\n# far\n\n"])
BREAK = st.sampled_from(["", " ", "\n", "\n    ", ' # a "comment", with marks\n  ', "  # one\n  # two\n"])
MODELS = st.lists(st.sampled_from([f"openai:{name}" for name in "abcdefg"]), min_size=1, max_size=5, unique=True)
QUOTE = st.sampled_from(['"', "'"])


@st.composite
def arrays(draw: st.DrawFn, models: list[str]) -> str:
    text = "[" + draw(BREAK)
    for place, model in enumerate(models):
        quote = draw(QUOTE)
        text += f"{quote}{model}{quote}{draw(BREAK)}"
        if place < len(models) - 1 or draw(st.booleans()):
            text += "," + draw(BREAK)
    return text + "]"


@st.composite
def tables(draw: st.DrawFn) -> str:
    """Something that is not the binding."""
    name = draw(st.uuids()).hex[:8]
    array = draw(arrays(draw(MODELS)))
    return draw(
        st.sampled_from(
            [
                f'[alias.o{name}]\nmodels = {array}  # theirs\nneeds = ["tools"]\n',
                f"[profile.p{name}]\ncooldown = '7 days'\n[profile.p{name}.alias.fast]\nmodels = {array}\n",
                f'[[audit.ignore]]\nid = "a.b:{name}"\nuntil = 2026-12-01 # then\nreason = "r"\n',
                f"[providers.m{name}]\nbase_url = 'http://127.0.0.1:1/v1'\n",
                f"[providers.m{name}]\nheaders = {{ a = 'b', c.d = 1 }} # inline\n",
                f'[providers.m{name}]\nabout = """\n[alias.fast]\nmodels = ["x:y"]\n"""\n',
            ]
        )
    )


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, str, str, list[str]]:
    """What stands before the binding's array, the array, what stands behind it, and its models."""
    models = draw(MODELS)
    others = draw(st.lists(tables(), max_size=4))
    comments = [draw(COMMENT) for _ in range(len(others) + 1)]
    place = draw(st.integers(0, len(others)))
    before = 'schema = "1"\n' + "".join(c + o for c, o in zip(comments, others[:place], strict=False)) + comments[-1]
    head, tail = draw(
        st.sampled_from(
            [
                ("[alias.fast]\nmodels = ", " # ours\nmin-input = 7\n"),
                ('[ "alias" . fast ]\n# inside\n  models  =  ', "\n[alias.fast.max-price]\ninput = '3'\n"),
                ("[alias]\nfast = { models = ", ", needs = ['vision'] } # ours\n"),
                ("[alias]\nfast.min-input = 3\nfast.models = ", "\n"),
            ]
        )
    )
    after = tail + "".join(c + o for c, o in zip(comments[place:], others[place:], strict=False))
    array = draw(arrays(models))
    if "{" in head:
        array = "[" + ", ".join(f'"{model}"' for model in models) + "]"  # TOML keeps an inline table on one line
    pieces = [before + head, array, after]
    if draw(st.booleans()):
        pieces = [piece.replace("\n", "\r\n") for piece in pieces]
    if draw(st.booleans()):
        pieces[2] = pieces[2].rstrip("\r\n")
    return pieces[0], pieces[1], pieces[2], models


@pytest.mark.spec("V06")
@settings(max_examples=30)
@given(given=MODELS.flatmap(lambda models: st.tuples(st.just(models), arrays(models))), wanted=MODELS)
def test_any_array_becomes_any_other_and_what_stays_keeps_its_spelling(
    given: tuple[list[str], str], wanted: list[str]
) -> None:
    models, text = given
    assert tomllib.loads(f"x = {text}")["x"] == models
    made = replace_strings(text, wanted)
    assert tomllib.loads(f"x = {made}")["x"] == wanted
    assert replace_strings(made, wanted) == made


@pytest.mark.spec("V06")
@settings(max_examples=30)
@given(manifest=manifests(), wanted=MODELS)
def test_every_byte_outside_of_the_bindings_pool_stays(
    manifest: tuple[str, str, str, list[str]], wanted: list[str]
) -> None:
    before, array, after, models = manifest
    edit = bind_in_manifest(before + array + after, "m", "fast", wanted, None, Mode.REPLACE)
    assert edit.text.startswith(before)
    assert edit.text.endswith(after)
    assert edit.before == tuple(models)
    assert (edit.text == before + array + after) == (models == wanted)


@pytest.mark.spec("V06")
@settings(max_examples=30)
@given(manifest=manifests(), wanted=MODELS)
def test_a_new_binding_adds_lines_and_changes_none(
    manifest: tuple[str, str, str, list[str]], wanted: list[str]
) -> None:
    text = "".join(manifest[:3])
    edit = bind_in_manifest(text, "m", "new", wanted, None, Mode.REPLACE)
    place = next((n for n, (one, other) in enumerate(zip(text, edit.text, strict=False)) if one != other), len(text))
    added = len(edit.text) - len(text)
    rest = text[place:]
    # Added in one piece, and with the line end that the last line may have lacked.
    assert rest == edit.text[len(edit.text) - len(rest) :] if rest else True
    assert edit.text[:place] == text[:place]
    assert added > 0
    assert ("\r\n" in edit.text) == ("\r\n" in text)
    assert "\n" not in edit.text.replace("\r\n", "") or "\r\n" not in text
    assert unbind_in_manifest(edit.text, "m", "new", None).text.split() == text.split()


@pytest.mark.spec("V06")
@settings(max_examples=30)
@given(manifest=manifests())
def test_a_binding_that_is_taken_away_takes_no_comment_of_others(manifest: tuple[str, str, str, list[str]]) -> None:
    before, array, after, _ = manifest
    text = before + array + after
    if "profile.p" in text:
        return  # a profile's alias may build on it
    edit = unbind_in_manifest(text, "m", "fast", None)
    data = tomllib.loads(text)
    del data["alias"]["fast"]
    if not data["alias"]:
        del data["alias"]
    left = tomllib.loads(edit.text)
    if not left.get("alias", True):
        del left["alias"]
    assert left == data
    for comment in ("# theirs", "# ünïcode 🎉", '# "quoted", [brackets] = 1', "# far", "# then", "# inline"):
        assert edit.text.count(comment) == text.count(comment)
