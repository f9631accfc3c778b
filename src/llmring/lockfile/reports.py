"""Findings as people and machines read them: a table with hints, JSON, SARIF, GitHub annotations, Markdown. Pure: text out, nothing printed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

from llmring.canonical_json import fingerprint
from llmring.lockfile.escaping import (
    escape_command_data,
    escape_command_property,
    escape_markdown,
    one_line,
    render_markdown_table,
)
from llmring.lockfile.finding import Finding, Severity, exit_code

Format = Literal["text", "json", "github", "sarif", "md"]
FORMATS: Final = ("text", "json", "github", "sarif", "md")

# What each id means, for who meets it for the first time.
MEANINGS: Final[Mapping[str, str]] = {
    "alias.succession": "Another pool is to serve an alias from a day on",
    "lock.stale": "The manifest asks for something else than what was locked",
    "lock.missing": "The manifest asks for something that the lock does not hold",
    "lock.orphan": "The lock holds something that nobody asks for",
    "facts.mismatch": "A row is not what was locked: its facts were edited by hand",
    "pin.too-weak": "A model is pinned less firmly than the manifest asks",
    "pin.drift": "A name stands for another model than the locked one",
    "constraint.failed": "A locked model does not meet what its alias needs",
    "constraint.unknown": "Nobody knows whether a locked model meets what its alias needs",
    "handover.lossy": "A member of a pool would lose part of the others' history",
    "handover.unknown": "Nobody knows whether a member of a pool can take over the others' history",
    "model.retired": "A locked model is retired",
    "model.retiring": "A locked model will retire soon",
    "model.deprecated": "A locked model is deprecated by its vendor",
    "model.gone": "The vendor no longer lists a locked model",
    "model.unknown": "Nobody who was asked knows a locked model",
    "price.increased": "A locked model costs more than what was locked",
    "price.halved": "A model would cost less than half of what was locked, and nobody has accepted that",
    "price.unknown": "Nobody knows what a locked model costs",
    "cap.lost": "A locked model can do less than what was locked",
    "source.disagree": "Two sources say different things of a model",
    "source.stale": "A source of facts has not been renewed for long",
    "source.unreachable": "A source of facts could not be read",
    "registry.rollback": "The facts are older than those that were seen before",
    "extends.changed": "The lock of an installed package is another one than what was locked",
    "extends.missing": "A package whose lock is extended is not installed here",
    "digest.mismatch": "The weights are others than what was locked",
}

_LEVELS: Final[Mapping[Severity, str]] = {"error": "error", "warning": "warning", "note": "note"}
_COMMANDS: Final[Mapping[Severity, str]] = {"error": "error", "warning": "warning", "note": "notice"}
_ORDER: Final[Mapping[Severity, int]] = {"error": 0, "warning": 1, "note": 2}
_ID: Final = re.compile(r'^id = "([^"]+)"', re.MULTILINE)
_PROFILE: Final = re.compile(r'^\[\[profiles\.(?:"([^"]+)"|([^\].]+))\.bindings\]\]')
_ALIAS: Final = re.compile(r'^alias = "([^"]+)"')


@dataclass(frozen=True, slots=True)
class Report:
    """What a command has found, and what a report needs beside it.

    command: `llmring lock audit`. lock: the lockfile's path as it is shown, with `/`. text: the lockfile's own, for line numbers.
    facts: of the whole run, for JSON: the date, who was asked. fine: what is said where nothing was found.
    """

    command: str
    findings: Sequence[Finding]
    lock: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    fine: str = "nothing found"


def render_report(report: Report, format: Format) -> str:
    """The report, ending in a line break; where GitHub's format has nothing to say, nothing."""
    return _RENDERERS[format](report)


def sort_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Errors first, then by subject and id: the same findings always in the same order."""
    return sorted(findings, key=lambda found: (_ORDER[found.severity], found.subject, found.id, found.message))


def count_findings(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning`."""
    counts = [(sum(found.severity == severity for found in findings), severity) for severity in _ORDER]
    return ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts if count)


def find_lines(text: str) -> dict[str, int]:
    """Where a lockfile's text speaks of a subject: `provider:model` and `profile/alias`, with the number of the line."""
    found: dict[str, int] = {}
    profile: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("["):
            binding = _PROFILE.match(line)
            profile = None if binding is None else binding[1] or binding[2]
        elif (alias := _ALIAS.match(line)) and profile is not None:
            found.setdefault(f"{profile}/{alias[1]}", number)
        elif row := _ID.match(line):
            found.setdefault(row[1], number)
    return found


def _text(report: Report) -> str:
    findings = sort_findings(report.findings)
    if not findings:
        return f"{one_line(report.lock)}: {report.fine}\n"
    subject = max(len(one_line(found.subject)) for found in findings)
    id = max(len(found.id) for found in findings)
    lines = [one_line(report.lock)]
    for found in findings:
        said = f" ({one_line(found.source)})" if found.source else ""
        lines.append(
            f"  {found.severity:7}  {found.id:{id}}  {one_line(found.subject):{subject}}  {one_line(found.message)}{said}"
        )
        if found.hint:
            lines.append(f"{'':{id + subject + 15}}hint: {one_line(found.hint)}")
    return "".join(f"{line}\n" for line in [*lines, count_findings(findings)])


def report_data(report: Report) -> dict[str, Any]:
    """What `--json` prints, as data."""
    findings = sort_findings(report.findings)
    return {
        "command": report.command,
        "lockfile": report.lock,
        **report.facts,
        "findings": [found.to_dict() for found in findings],
        "exit_code": exit_code(findings),
    }


def _json(report: Report) -> str:
    return json.dumps(report_data(report), ensure_ascii=False) + "\n"


def _github(report: Report) -> str:
    lines = find_lines(report.text)
    said: list[str] = []
    for found in sort_findings(report.findings):
        properties = {"file": report.lock, "line": lines.get(found.subject), "title": f"{found.id} {found.subject}"}
        shown = ",".join(
            f"{name}={escape_command_property(one_line(str(value)))}"
            for name, value in properties.items()
            if value is not None
        )
        # A line break is no more than that to the runner; within a message it could only be somebody else's.
        hint = f"\nhint: {one_line(found.hint)}" if found.hint else ""
        said.append(f"::{_COMMANDS[found.severity]} {shown}::{escape_command_data(one_line(found.message) + hint)}\n")
    return "".join(said)


def _markdown(report: Report) -> str:
    findings = sort_findings(report.findings)
    title = f"### {escape_markdown(report.command)}\n\n"
    if not findings:
        return f"{title}{escape_markdown(report.fine)}.\n"
    rows = [
        (found.severity, found.id, found.subject, found.message + (f" — {found.hint}" if found.hint else ""))
        for found in findings
    ]
    return f"{title}{count_findings(findings)}.\n\n" + render_markdown_table(("", "finding", "subject", "what"), rows)


def _sarif(report: Report) -> str:
    """SARIF 2.1.0: https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json (2026-11-21)."""
    findings = sort_findings(report.findings)
    ids = sorted({found.id for found in findings})
    lines = find_lines(report.text)
    rules = [{"id": id, "shortDescription": {"text": MEANINGS.get(id, id)}} for id in ids]
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": report.command, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(found, ids.index(found.id), report.lock, lines) for found in findings],
            }
        ],
    }
    return json.dumps(log, ensure_ascii=False, indent=2) + "\n"


def _result(found: Finding, rule: int, lock: str, lines: Mapping[str, int]) -> dict[str, Any]:
    hint = f" ({found.hint})" if found.hint else ""
    return {
        "ruleId": found.id,
        "ruleIndex": rule,
        "level": _LEVELS[found.severity],
        # `[words](address)` would be a link: section 3.11.6 of the specification. No name of ours needs one.
        "message": {"text": one_line(found.message + hint).replace("](", "] (")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(lock, safe="/", errors="surrogateescape")},
                    "region": {"startLine": lines.get(found.subject, 1)},
                },
                "logicalLocations": [{"fullyQualifiedName": one_line(found.subject)}],
            }
        ],
        # Of what it is about, not of its words: a price that rises once more is the same alert.
        "partialFingerprints": {"llmringFinding/v1": fingerprint(found.key).removeprefix("sha256:")},
    }


_RENDERERS: Final = {"text": _text, "json": _json, "github": _github, "sarif": _sarif, "md": _markdown}
