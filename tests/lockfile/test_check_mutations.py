"""One changed character of a lock that has a manifest is never fine, unless only people would see it."""

import random
import string
from collections.abc import Callable

import pytest
from tests.lockfile.locked import LIBRARY, MANIFEST, check, exit_code, lock_of, read

from llmring.exceptions import LockfileError
from llmring.lockfile.layout import strip_layout

MUTATIONS = 20_000
# What stands in a lock, and what TOML makes something else of.
LETTERS = string.ascii_letters + string.digits + "\"'#[]{}=.,:_-\\ \n\t\r\0é€"


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
def test_one_changed_character_is_never_fine(
    scale: float, record_property: Callable[[str, object], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("ERROR")  # an unknown key is a warning each time
    manifest, here = read(MANIFEST), {"libA": LIBRARY}
    text = lock_of(manifest, extended=here).decode()
    plain = strip_layout(text)
    chance = random.Random(8)
    codes: dict[int, int] = dict.fromkeys(range(5), 0)
    for _ in range(int(MUTATIONS * scale)):
        mutated = mutate(text, chance)
        try:
            code = exit_code(check(mutated.encode(), manifest, here))
        except LockfileError:
            code = 2
        codes[code] += 1
        assert code or strip_layout(mutated) == plain, mutated
    told = ", ".join(f"{count} end with {code}" for code, count in codes.items())
    record_property("came out", f"{sum(codes.values())} mutations: {told}; each 0 is white space or a comment")


@pytest.mark.spec("V08")
def test_every_line_that_is_lost_or_stands_twice_is_found() -> None:
    manifest, here = read(MANIFEST), {"libA": LIBRARY}
    lines = lock_of(manifest, extended=here).decode().splitlines(keepends=True)
    plain = strip_layout("".join(lines))
    for at in range(len(lines)):
        for edited in ([*lines[:at], *lines[at + 1 :]], [*lines[: at + 1], *lines[at:]]):
            text = "".join(edited)
            try:
                code = exit_code(check(text.encode(), manifest, here))
            except LockfileError:
                code = 2
            assert code or strip_layout(text) == plain, lines[at]
