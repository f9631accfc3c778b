"""`lock check`, decided: what the two files alone can tell."""

import dataclasses

import pytest
from tests.lockfile.locked import LIBRARY, MANIFEST, ROWS, check, errors, lock_of, read, row

from llmring.exceptions import LockfileError, LockfileVersionError
from llmring.lockfile.check import Installed
from llmring.lockfile.finding import exit_code

HERE = {"libA": LIBRARY}


def whole() -> bytes:
    return lock_of(read(MANIFEST), extended=HERE)


def edited(old: str, new: str, manifest: str = MANIFEST) -> list[str]:
    """What is found after one edit of the lock."""
    data = whole()
    assert data.count(old.encode()) >= 1, old
    return errors(check(data.replace(old.encode(), new.encode(), 1), read(manifest), HERE))


def asked(old: str, new: str) -> list[str]:
    """What is found after one edit of the manifest."""
    assert MANIFEST.count(old) >= 1, old
    return errors(check(whole(), read(MANIFEST.replace(old, new, 1)), HERE))


def test_a_lock_that_is_what_was_asked_for_is_fine() -> None:
    assert check(whole(), read(MANIFEST), HERE) == []


def test_white_space_and_comments_are_nobody_s_business() -> None:
    text = whole().decode().replace("\n", "\n\n").replace(" = ", "  =  ").replace("[[locked]]", "[[locked]]  # one")
    assert check(("# mine\n" + text).encode(), read(MANIFEST), HERE) == []


@pytest.mark.spec("V04")
def test_a_misspelt_fallback_is_found() -> None:
    # In the manifest, after it was locked; in the lock of a project without a manifest; in one that was locked all the same.
    assert asked('"openai:gpt-mini"]\nneeds', '"openai:gpt-mimi"]\nneeds')[0] == "lock.stale default/assistant"
    direct = whole().replace(b'"openai:gpt-mini",\n]', b'"openai:gpt-mimi",\n]', 1)
    found = check(direct, None, HERE)
    assert errors(found) == ["lock.missing openai:gpt-mimi"]
    assert "did you mean openai:gpt-mini?" in found[-1].message
    misspelt = MANIFEST.replace('"openai:gpt-mini"]\nneeds', '"openai:gpt-mimi"]\nneeds')
    empty = dataclasses.replace(
        row(
            "openai:gpt-mimi",
            "unknown",
            None,
            max_input=None,
            max_output=None,
            price={},
            facts_source=None,
            retires=None,
        )
    )
    taken = check(lock_of(read(misspelt), [*ROWS, empty], HERE), read(misspelt), HERE)
    assert {finding.id for finding in taken if "gpt-mimi" in str(finding.to_dict())} >= {
        "model.unknown",
        "constraint.unknown",
    }
    assert exit_code(taken) == 3


@pytest.mark.spec("V08")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('input = "2"', 'input = "1"'),
        ("max_input = 200000", "max_input = 300000"),
        ('facts = "sha256:', 'facts = "sha256:0'[:-1] + ""),
        ('"pdf", "reasoning"', '"reasoning"'),
        ('digest = "sha256:b', 'digest = "sha256:c'),
        ('retires = "2027-06-30"', 'retires = "2029-06-30"'),
    ],
)
def test_a_row_that_was_edited_is_refused(old: str, new: str) -> None:
    if old.startswith("facts"):
        data = whole().decode()
        at = data.index("facts = ") + 20
        found = check((data[:at] + ("0" if data[at] != "0" else "1") + data[at + 1 :]).encode(), read(MANIFEST), HERE)
    else:
        found = check(whole().replace(old.encode(), new.encode(), 1), read(MANIFEST), HERE)
    assert exit_code(found) == 4
    assert "facts.mismatch" in {finding.id for finding in found}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('alias = "fast"', 'alias = "past"', "lock.missing default/fast"),
        ('alias = "fast"', 'alias = "past"', "lock.orphan default/past"),
        ("[profiles.dev]", "[profiles.devil]", None),
        ('    "anthropic:claude-mini",\n', "", "lock.stale default/assistant"),
        ("temperature = 0.5", "temperature = 0.6", "lock.stale default/assistant"),
        ('until = "2026-12-01"', 'until = "2026-12-02"', "lock.stale default/fast"),
        ('on_drift = "fail"', 'on_drift = "ignore"', "lock.stale dev"),
        ('default_profile = "default"', 'default_profile = "defaukt"', "lock.stale default_profile"),
        ('default_profile = "default"\n', "", "lock.stale default_profile"),
        ('default_profile = "default"', 'default_profile = "dev"', "lock.stale default_profile"),
        ('version = "1.1"', 'version = "1.0"', "lock.stale version"),
        ('version = "1.1"', 'version = "1.2"', "lock.stale version"),
        ('name = "dev"', 'nane = "dev"', "lock.stale form"),
        ('dist = "libA 2.3.1"', 'dist = "libA 2.3.2"', "lock.stale libA"),
        ('package = "libA"', 'package = "libB"', "lock.missing libA"),
        ("aaa", "aab", "extends.changed libA"),
        ('id = "ollama:small:1b"', 'id = "ollama:small:2b"', "lock.missing ollama:small:1b"),
    ],
)
def test_an_edit_of_the_lock(old: str, new: str, found: str | None) -> None:
    if found is None:
        with pytest.raises(LockfileError):
            edited(old, new)
    else:
        assert found in edited(old, new)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('needs = ["tools", "vision"]', 'needs = ["tools", "audio"]', "lock.stale default/assistant"),
        ("[alias.fast]", "[alias.faster]", "lock.missing default/faster"),
        ("[alias.fast]", "[alias.faster]", "lock.orphan default/fast"),
        ("[profile.dev]", "[profile.prod]\n[profile.dev]", "lock.missing prod"),
        ('min-pin = "snapshot"', 'min-pin = "content"', "pin.too-weak default/fast"),
        ("min-input = 100_000", "min-input = 900_000", "constraint.failed default/assistant"),
        ('max-price = { input = "3"', 'max-price = { input = "1"', "constraint.failed default/assistant"),
        ('max-price = { input = "9" }', 'max-price = { batch_input = "9" }', "price.unknown dev/assistant"),
        ('"anthropic", "openai"', '"openai"', "constraint.failed default/assistant"),
        ('packages = ["libA"]', "packages = []", "lock.orphan libA"),
    ],
)
def test_an_edit_of_the_manifest(old: str, new: str, found: str) -> None:
    assert found in asked(old, new)


@pytest.mark.spec("V03")
def test_every_member_of_a_pool_is_held_to_its_needs_and_unknown_is_no_yes() -> None:
    manifest = read(MANIFEST)
    blind = row("openai:gpt-mini", caps=("tools",), lacks=frozenset({"vision"}))
    found = check(lock_of(manifest, [ROWS[0], blind, ROWS[2]], HERE), manifest, HERE)
    assert "constraint.failed default/assistant" in errors(found)
    assert exit_code(found) == 1
    mute = row("openai:gpt-mini", caps=("tools",))
    found = check(lock_of(manifest, [ROWS[0], mute, ROWS[2]], HERE), manifest, HERE)
    assert errors(found) == ["constraint.unknown default/assistant"]
    assert exit_code(found) == 3


@pytest.mark.spec("V08")
def test_what_a_pointer_meant_is_bound_by_its_hash() -> None:
    manifest = read(
        '[alias.a]\nmodels = ["openai:mini", "anthropic:claude-mini"]\n[alias.b]\nmodels = ["openai:mini-2"]\n'
    )
    rows = [row("anthropic:claude-mini"), row("openai:mini-1"), row("openai:mini-2")]
    data = lock_of(manifest, rows, pointers={"openai:mini": "openai:mini-1"})
    assert check(data, manifest) == []
    for old, new in ((b'"openai:mini-1",', b'"openai:mini-2",'), (b'resolved = "sha256:', b'resolved = "sha256:0')):
        if old.startswith(b"resolved"):
            at = data.index(old) + len(old)
            moved = data[:at] + (b"1" if data[at : at + 1] == b"0" else b"0") + data[at + 1 :]
        else:
            moved = data.replace(old, new, 1)
        for against in (manifest, None):
            found = check(moved, against)
            assert "facts.mismatch default/a" in errors(found)
            assert exit_code(found) == 4
    bare = b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"resolved"))
    assert errors(check(bare, manifest)) == ["lock.stale default/a"]
    # A pointer that was not resolved has nothing to be hashed.
    same = lock_of(read('[alias.a]\nmodels = ["openai:mini-1"]\n'), rows[1:2])
    told = same.replace(b"[[locked]]", b'requested = [\n    "openai:mini-1",\n]\n\n[[locked]]').replace(
        b"\n\nreq", b"\nreq"
    )
    assert errors(check(told, read('[alias.a]\nmodels = ["openai:mini-1"]\n'))) == ["lock.stale default/a"]


def test_what_nobody_asks_for_is_an_orphan() -> None:
    data = lock_of(read(MANIFEST), [*ROWS, row("openai:other")], HERE)
    assert errors(check(data, read(MANIFEST), HERE)) == ["lock.orphan openai:other"]
    by_itself = check(data, None, HERE)
    assert [(finding.id, finding.severity) for finding in by_itself] == [("lock.orphan", "warning")]


def test_packages() -> None:
    changed, missing, bare = (
        {"libA": Installed("libA 2.4", "sha256:" + "c" * 64)},
        {"libA": None},
        {"libA": Installed("libA 2", None)},
    )
    assert exit_code(check(whole(), read(MANIFEST), changed)) == 4
    for installed in (missing, bare):
        found = check(whole(), read(MANIFEST), installed)
        assert errors(found) == ["extends.missing libA"]
        assert exit_code(found) == 3


def test_without_a_manifest_what_can_be_checked_is() -> None:
    assert (
        check(
            b'version = "1.0"\n[profiles.default]\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:y"]\n', None
        )
        == []
    )
    edited = whole().replace(b'input = "2"', b'input = "1"', 1)
    assert exit_code(check(edited, None, HERE)) == 4


def test_bad_input_raises() -> None:
    with pytest.raises(LockfileVersionError):
        check(b'version = "2.0"\n', None)
    with pytest.raises(LockfileError, match="conflict marker"):
        check(b"<<<<<<< ours\n", None)


def test_the_order_of_findings_does_not_hang_on_hashes() -> None:
    manifest = MANIFEST.replace("[profile.dev]", "[profile.b]\n[profile.a]\n[profile.dev]")
    runs = [[finding.key for finding in check(whole(), read(manifest), HERE)] for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_hostile_lock_costs_no_minutes() -> None:
    pool = ", ".join(f'"p{number}:model-{number}"' for number in range(3000))
    text = f'version = "1.1"\n[profiles.default]\n[[profiles.default.bindings]]\nalias = "a"\nmodels = [{pool}]\n'
    text += "".join(f'[[locked]]\nid = "q{number}:model-{number}"\n' for number in range(3000))
    assert len(errors(check(text.encode(), None))) == 3000
    manifest = read(f'schema = "1"\n[alias.a]\nmodels = [{pool}]\nneeds = ["tools"]\n')
    assert "handover.unknown default/a" in errors(check(lock_of(manifest, []), manifest))
    # A message names a few models of a pool, whatever it holds and however many profiles say the same.
    (stale,) = [
        one for one in check(lock_of(read('[alias.a]\nmodels = ["x:y"]\n')), manifest) if one.id == "lock.stale"
    ]
    assert "and 2992 more" in stale.message
    assert len(stale.message) < 400


@pytest.mark.spec("X04", "X06")
def test_a_successor_pool_is_checked_before_it_serves() -> None:
    text = MANIFEST.replace('then = ["anthropic:claude-mini"]', 'then = ["ollama:small:1b"]\nneeds = ["pdf"]')
    found = errors(check(lock_of(read(text), extended=HERE), read(text), HERE))
    assert found == ["constraint.failed default/fast", "constraint.failed dev/fast"]
