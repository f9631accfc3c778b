"""Findings in every format: hostile names stay text, SARIF has the shape that its readers ask for."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.lockfile.escaping import escape_markdown, quote_shell
from llmring.lockfile.finding import EXIT_CODES, Finding, Severity
from llmring.lockfile.reports import FORMATS, MEANINGS, Format, Report, find_lines, render_report

TEXT = """\
version = "1.1"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "fast"

[[profiles."eu.prod".bindings]]
alias = "fast"

[[locked]]
id = "x:m"
"""
FINDINGS = (
    Finding("model.retiring", "x:m", "it retires on 2027-01-01", "warning", "name another", "x, listing", {"n": 1}),
    Finding("lock.stale", "eu.prod/fast", "the manifest asks for x:n"),
    Finding("source.stale", "registry of x", "40 days old", "note"),
)


def render(format: Format, *findings: Finding, text: str = TEXT, lock: str = "llmring.lock") -> str:
    return render_report(Report("llmring lock audit", findings, lock, text, {"as_of": "2026-11-21"}, "fine"), format)


def test_every_finding_has_a_meaning_and_every_format_a_renderer() -> None:
    assert EXIT_CODES.keys() <= MEANINGS.keys()
    assert get_args(Format) == FORMATS
    assert all(render(format, *FINDINGS) for format in get_args(Format))


def test_text_is_aligned_errors_first_with_hints() -> None:
    assert render("text", *FINDINGS) == (
        "llmring.lock\n"
        "  error    lock.stale      eu.prod/fast   the manifest asks for x:n\n"
        "  warning  model.retiring  x:m            it retires on 2027-01-01 (x, listing)\n"
        "                                          hint: name another\n"
        "  note     source.stale    registry of x  40 days old\n"
        "1 error, 1 warning, 1 note\n"
    )
    assert render("text") == "llmring.lock: fine\n"


def test_lines_are_those_of_the_lock() -> None:
    assert find_lines(TEXT) == {"default/fast": 7, "eu.prod/fast": 10, "x:m": 13}


def test_json_is_one_object_on_one_line_with_the_exit_code() -> None:
    text = render("json", *FINDINGS)
    assert text.count("\n") == 1
    said = json.loads(text)
    assert (said["as_of"], said["exit_code"], [one["id"] for one in said["findings"]]) == (
        "2026-11-21",
        1,
        ["lock.stale", "model.retiring", "source.stale"],
    )


def test_github_annotations_stand_at_the_line() -> None:
    assert render("github", *FINDINGS) == (
        "::error file=llmring.lock,line=10,title=lock.stale eu.prod/fast::the manifest asks for x:n\n"
        "::warning file=llmring.lock,line=13,title=model.retiring x%3Am::it retires on 2027-01-01%0Ahint: name another\n"
        "::notice file=llmring.lock,title=source.stale registry of x::40 days old\n"
    )


EVIL = "a,b:c%0A\r\n::set-env name=X::y\n::error::"


def test_a_hostile_name_ends_no_workflow_command_and_begins_none() -> None:
    text = render("github", Finding("model.unknown", EVIL, EVIL), lock=f"d{EVIL}/llmring.lock")
    assert text.count("\n") == 1
    assert "\r" not in text
    properties = text.removeprefix("::error ").split("::", 1)[0]
    # Nothing of the names is left that could end a property: file and title, and no third.
    assert [one.split("=", 1)[0] for one in properties.split(",")] == ["file", "title"]
    assert "%250A" in text


@pytest.mark.parametrize("format", ["text", "md"])
def test_a_hostile_name_keeps_to_its_line_and_shows_as_text(format: Format) -> None:
    name = "x:\x1b[31m|`<img src=x>`|@everyone\n# title\u202e[a](javascript:b)"
    text = render(format, Finding("model.unknown", name, name))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n# title" not in text
    if format == "md":
        (row,) = [line for line in text.splitlines() if line.startswith("| error")]
        assert row.replace("\\|", "").count("|") == 5
        assert "<img" not in row.replace("\\<", "")
        assert "@everyone" not in row
        assert "\\[a\\](javascript:b)" in row


NAMES = st.text(st.characters() | st.sampled_from("|`@#[]()<>*_~$&\\\n\r:,%\u202e\x1b\x85\u2028"), min_size=1)


@given(NAMES, NAMES, NAMES)
def test_whatever_a_name_is_each_format_stays_what_it_is(name: str, message: str, hint: str) -> None:
    found = Finding("model.unknown", name, message, "error", hint, message, {"aliases": [name]})

    def shown(format: Format) -> str:
        return render(format, found, text="", lock=f"{name}/llmring.lock")

    assert json.loads(shown("json"))["findings"][0]["subject"] == name
    assert shown("github").count("\n") == 1
    assert shown("github").startswith("::error file=")
    assert "\r" not in shown("github")
    assert shown("md").count("\n") == 7
    assert re.sub(r"\\.", "", shown("md").splitlines()[-1]).count("|") == 5
    read = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", shown("md").split("\n", 1)[1]).replace("&#8203;", "\u200b")
    assert not re.search(r"(?<![A-Za-z0-9])@[A-Za-z0-9]|#[0-9]", read)
    assert "](" not in json.loads(shown("sarif"))["runs"][0]["results"][0]["message"]["text"]
    assert all(line.isprintable() for line in shown("text").split("\n"))
    for format in get_args(Format):
        if format != "json":
            assert not set("\x1b\u202e\u2066\x85") & set(shown(format))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("@everyone", "@&#8203;everyone"),
        ("&#64;all", "\\&\\#&#8203;64;all"),
        ("org/x#12", "org/x\\#&#8203;12"),
        ("claude-mini@20260101", "claude-mini@20260101"),  # calls nobody, and is there to be copied
        ("a\u00ad\u200bb\u2066c\ue000", "a b c"),
    ],
)
def test_nobody_is_called_and_nothing_is_hidden_in_markdown(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize("severity", get_args(Severity))
def test_sarif_has_its_shape(severity: Severity) -> None:
    found = Finding("model.retired", "x:m", "it is\nretired", severity, "name another")
    log: dict[str, Any] = json.loads(render("sarif", found, *FINDINGS, lock="a b/llmring.lock"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "llmring lock audit"
    assert len({rule["id"] for rule in rules}) == len(rules) == 4
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert isinstance(result["message"]["text"], str)
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"] == {"uri": "a%20b/llmring.lock"}
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert len(result["partialFingerprints"]["llmringFinding/v1"]) == 64
    assert json.loads(render("sarif"))["runs"][0]["results"] == []


def test_a_name_makes_no_link_in_sarif() -> None:
    found = Finding("model.unknown", "x:m", "[look](https://example.org)", hint="[or](1)")
    (result,) = json.loads(render("sarif", found))["runs"][0]["results"]
    assert result["message"]["text"] == "[look] (https://example.org) ([or] (1))"


def test_a_finding_keeps_its_fingerprint_when_its_words_change() -> None:
    def print_of(message: str) -> Any:
        log = json.loads(render("sarif", Finding("price.increased", "x:m", message)))
        return log["runs"][0]["results"][0]["partialFingerprints"]

    assert print_of("2 -> 3") == print_of("2 -> 4")


def test_markdown_keeps_what_names_are_made_of() -> None:
    assert escape_markdown("anthropic:claude-sonnet-5.5/x") == "anthropic:claude-sonnet-5.5/x"
    assert escape_markdown("a_b*c") == "a\\_b\\*c"


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("openai:gpt-6.1", "openai:gpt-6.1"),
        ("", "''"),
        ("$(rm)", "'$(rm)'"),
        ("a'b", "'a'\"'\"'b'"),
        ("a\nb", "'a\nb'"),
    ],
)
def test_a_word_of_a_shell(text: str, quoted: str) -> None:
    assert quote_shell(text) == quoted
