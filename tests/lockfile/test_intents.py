"""What a manifest says that no lock could keep, and what would cost its reader minutes, is refused where it is read."""

import pytest
from tests.lockfile.intents import manifest

from llmring.exceptions import LockfileError
from llmring.lockfile.parse import parse_lock
from llmring.registry.model_info import PRICE_KINDS
from llmring.registry.parse import PRICE_KIND

ALIAS = '[alias.a]\nmodels = ["x:y"]\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ALIAS + 'max-price = { inputt = "3" }', "max-price says 'inputt'"),
        (ALIAS + 'max-price = { input_above_200000 = "3" }', "max-price says 'input_above_200000'"),
        (ALIAS + 'max-price = { input = "3", output = "0.00" }', "max-price is 0"),
        (ALIAS + "max-price = 3", "max-price is no table"),
        (ALIAS + f"temperature = {'9' * 400}", "temperature is no number from 0 to 1000000"),
        (ALIAS + "temperature = nan", "temperature is no number"),
        (ALIAS + 'until = 2027-01-01\nthen = ["x:z", "x:z"]', "a model stands twice in then"),
    ],
)
def test_a_mistake_is_named(text: str, said: str) -> None:
    with pytest.raises(LockfileError, match=said):
        manifest(text)


def test_the_kinds_of_price_are_those_of_the_registry() -> None:
    assert all(PRICE_KIND.fullmatch(kind) for kind in PRICE_KINDS)
    limits = ", ".join(f'{kind} = "1"' for kind in PRICE_KINDS)
    assert (
        tuple(manifest(f"{ALIAS}max-price = {{ {limits} }}").profiles["default"].aliases["a"].max_price) == PRICE_KINDS
    )


def test_a_number_of_a_thousand_digits_in_a_lock_is_a_typed_error() -> None:
    lock = f'version = "1.1"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:y"]\ntemperature = {"9" * 999}\n'
    with pytest.raises(LockfileError, match="temperature is no number"):
        parse_lock(lock.encode(), "llmring.lock")


def test_profiles_that_inherit_from_each_other_without_end_are_refused() -> None:
    chain = "".join(f'[profile.p{number}]\ninherits = "p{number + 1}"\n' for number in range(3000))
    with pytest.raises(LockfileError, match="inherit from each other through more than 32"):
        manifest(f"{ALIAS}{chain}[profile.p3000]\n")
    # Named the other way round each has been read before it is inherited, however many there are.
    back = "".join(f'[profile.p{number + 1}]\ninherits = "p{number}"\n' for number in range(300))
    assert len(manifest(f"{ALIAS}[profile.p0]\n{back}").profiles) == 302


def test_more_profiles_and_aliases_than_a_lock_can_hold_are_refused() -> None:
    aliases = "".join(f'[alias.a{number}]\nmodels = ["x:y"]\n' for number in range(400))
    with pytest.raises(LockfileError, match="more than 100000"):
        manifest(aliases + "".join(f"[profile.p{number}]\n" for number in range(300)))


def test_what_a_profile_inherits_as_it_is_stays_one_object() -> None:
    profiles = manifest(f'{ALIAS}[profile.b]\n[profile.c]\nmin-pin = "content"\n').profiles
    assert profiles["default"].aliases["a"] is profiles["b"].aliases["a"]
    assert profiles["c"].aliases["a"].min_pin == "content"
