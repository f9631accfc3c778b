"""One changed character of a lock that has a manifest is never fine, unless only people would see it."""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.lockfile.locked import LIBRARY, MANIFEST, ROWS, check, exit_code, lock_of, read, row

from llmring.exceptions import LockfileError
from llmring.lockfile.intent import Manifest
from llmring.lockfile.layout import strip_layout

MUTATIONS = 20_000  # of each lock
# What stands in a lock, and what TOML makes something else of.
LETTERS = string.ascii_letters + string.digits + "\"'#[]{}=.,:+_-\\ \n\t\r\0é€"
HERE = {"libA": LIBRARY}

POINTERS = """\
[alias.a]
models = ["openai:p", "openai:q", "anthropic:x-1"]
[alias.b]
models = ["openai:x-1", "openai:x-2", "openai:x-3"]
[alias.c]
models = ["openai:q", "anthropic:x-1"]
"""
# Names that lie a character apart, so that most of what one edit makes of one is another that stands there, too.
TWINS = """\
[alias.a]
models = ["ollama:m:1", "ollama:m:2"]
until = 2026-12-01
then = ["ollama:m:3", "ollama:m:1"]
temperature = 0
max-tokens = 11
[alias.b]
models = ["ollama:m:2", "ollama:m:3"]
until = 2026-12-02
then = ["ollama:m:1"]
temperature = 1
max-tokens = 1
reasoning-effort = "low"
system = "s"
[profile.a]
min-pin = "content"
[profile.b]
on-drift = "ignore"
[profile.b.alias.a]
models = ["ollama:m:2"]
[profile.defaults]
inherits = "b"
"""


@dataclass(frozen=True)
class Subject:
    """A lock to be changed, with what it is checked against."""

    manifest: Manifest
    text: str

    @property
    def plain(self) -> str:
        return strip_layout(self.text)

    def check(self, text: str) -> int:
        try:
            return exit_code(check(text.encode(), self.manifest, HERE))
        except LockfileError:
            return 2


def make_whole() -> Subject:
    """Two profiles, constraints, an accepted loss, a successor, a package, a local model by its content."""
    manifest = read(MANIFEST)
    return Subject(manifest, lock_of(manifest, ROWS, HERE).decode())


def make_pointers() -> Subject:
    """Three pools with pointers that were resolved, of models that are bound by name, too."""
    manifest = read(POINTERS)
    rows = [row(f"openai:x-{number}") for number in (1, 2, 3)] + [row("anthropic:x-1", price={"input": "1"})]
    return Subject(
        manifest, lock_of(manifest, rows, pointers={"openai:p": "openai:x-1", "openai:q": "openai:x-2"}).decode()
    )


def make_twins() -> Subject:
    """Four profiles, parameters, successors, content digests."""
    manifest = read(TWINS)
    rows = [row(f"ollama:m:{number}", "content", digest=f"sha256:{str(number) * 64}") for number in (1, 2, 3)]
    return Subject(manifest, lock_of(manifest, rows).decode())


SUBJECTS = pytest.mark.parametrize("make", [make_whole, make_pointers, make_twins])


def mutate(text: str, random: random.Random) -> str:
    """One character more, less, or another one."""
    at = random.randrange(len(text))
    match random.randrange(3):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[:at] + random.choice(LETTERS) + text[at:]
        case _:
            return text[:at] + random.choice(LETTERS) + text[at + 1 :]


@pytest.mark.spec("V08")
@SUBJECTS
def test_one_changed_character_is_never_fine(
    make: Callable[[], Subject],
    scale: float,
    record_property: Callable[[str, object], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("ERROR")  # an unknown key is a warning each time
    subject = make()
    assert subject.check(subject.text) == 0
    plain = subject.plain
    chance = random.Random(8)
    codes: dict[int, int] = dict.fromkeys(range(5), 0)
    for _ in range(int(MUTATIONS * scale)):
        mutated = mutate(subject.text, chance)
        code = subject.check(mutated)
        codes[code] += 1
        assert code or strip_layout(mutated) == plain, mutated
    told = ", ".join(f"{count} end with {code}" for code, count in codes.items())
    record_property("came out", f"{sum(codes.values())} mutations: {told}; each 0 is white space or a comment")


@pytest.mark.spec("V08")
def test_another_text_of_the_same_number_is_found() -> None:
    subject = make_twins()
    for old, new in (
        ("= 0.0", "= -0.0"),
        ("= 0.0", "= +0.0"),
        ("= 0.0", "= 0.00"),
        ("= 0.0", "= 0"),
        ("= 11", "= 1_1"),
    ):
        assert subject.text.count(old) >= 1
        assert subject.check(subject.text.replace(old, new, 1)) == 1, new


@pytest.mark.spec("V08")
@SUBJECTS
def test_every_line_that_is_lost_or_stands_twice_or_changes_places_is_found(make: Callable[[], Subject]) -> None:
    subject = make()
    lines = subject.text.splitlines(keepends=True)
    for at in range(len(lines)):
        for edited in (
            [*lines[:at], *lines[at + 1 :]],
            [*lines[: at + 1], *lines[at:]],
            [*lines[:at], *reversed(lines[at : at + 2]), *lines[at + 2 :]],
        ):
            text = "".join(edited)
            assert subject.check(text) or strip_layout(text) == subject.plain, lines[at]


@pytest.mark.spec("V08")
@SUBJECTS
def test_no_text_may_stand_in_the_place_of_another(make: Callable[[], Subject]) -> None:
    # What one edit of a character cannot do: a name, number or word of this very lock where another one stood.
    subject = make()
    lines = subject.text.splitlines(keepends=True)
    values: dict[str, set[str]] = {}
    for line in lines:
        key, _, value = line.partition(" = ") if " = " in line else ("", "", line)
        values.setdefault(key, set()).add(value)
    for at, line in enumerate(lines):
        key, _, value = line.partition(" = ") if " = " in line else ("", "", line)
        if line.startswith(("[", "]", "#", "\n")):
            continue
        for other in sorted(values[key] - {value}):
            if other.startswith(("[", "]", "#", "\n")):
                continue
            text = "".join([*lines[:at], f"{key} = {other}" if key else other, *lines[at + 1 :]])
            assert subject.check(text), (line, other)
