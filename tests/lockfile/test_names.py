"""Names of a lock or manifest that want to be paths, URLs or other names: refused by their grammar, before anything is opened."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRing
from llmring.exceptions import ConfigurationError, LockfileError
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.parse import parse_lock
from llmring.testing import FakeProvider

HOSTILE = [
    "..",
    "../x",
    "../../etc/passwd",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "a\0b",
    "%2e%2e%2f",
    "a%00",
    ".hidden",
    "a b",
    "a\nb",
    "аlias",  # a Cyrillic a
    "ａlias",
    "a‥b",
    "a\u202eb",
    "a\u200bb",
    "x" * 65,
    "",
]


_EVENTS = ("open", "os.listdir", "os.scandir", "os.mkdir", "socket.connect", "socket.getaddrinfo")


def opened_by(work: Callable[[], object]) -> list[str]:
    """What `work`, which must refuse, opened or looked up on the disk or the network."""
    seen: list[str] = []
    listening = [True]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        # What Python loads of itself, and of us, is no name of the file's.
        if listening and event in _EVENTS and not str(arguments[0]).endswith((".py", ".pyc", ".so")):
            seen.append(f"{event} {arguments[0]}")

    with pytest.raises(ConfigurationError):
        work()
    sys.addaudithook(hear)
    try:
        with pytest.raises(ConfigurationError):
            work()
    finally:
        listening.clear()
    return seen


def lock_of(**change: Any) -> bytes:
    binding: dict[str, Any] = {"alias": "fast", "models": ["openai:a"]}
    binding |= {key: change[key] for key in ("alias", "models", "then", "requested", "system") if key in change}
    profile = change.get("profile", "default")
    lock: dict[str, Any] = {"version": "1.1", "profiles": {profile: {"name": profile, "bindings": [binding]}}}
    if "package" in change:
        lock["extended"] = [{"package": change["package"], "lock": f"sha256:{'0' * 64}"}]
    if "default_profile" in change:
        lock["default_profile"] = change["default_profile"]
    if "id" in change:
        lock["locked"] = [{"id": change["id"]}]
    return json.dumps(lock).encode()


@pytest.mark.spec("V09")
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("field", ["alias", "profile", "default_profile", "package", "system"])
def test_a_name_in_a_lock_is_held_to_its_grammar(field: str, name: str) -> None:
    if field == "default_profile" and not name:
        name = " "
    assert opened_by(lambda: parse_lock(lock_of(**{field: name}), "l")) == []


@pytest.mark.spec("V09")
@pytest.mark.parametrize("provider", [*HOSTILE, "Openai", "1a", "o" * 33])
def test_a_provider_in_a_lock_or_manifest_is_held_to_its_grammar(provider: str) -> None:
    model = f"{provider}:m"
    for field in ("models", "then", "requested"):
        assert opened_by(lambda field=field: parse_lock(lock_of(**{field: [model]}), "l")) == []
    assert opened_by(lambda: parse_lock(lock_of(id=model), "l")) == []
    assert opened_by(lambda: parse_manifest({"alias": {"fast": {"models": [model]}}}, "m")) == []


@pytest.mark.spec("V09")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_in_a_manifest_is_held_to_its_grammar(name: str) -> None:
    row = {"models": ["openai:a"]}
    manifests: list[dict[str, Any]] = [
        {"alias": {name: row}},
        {"profile": {name: {}}},
        {"profile": {"dev": {"alias": {name: row}}}},
        {"profile": {"dev": {"inherits": name or "gone"}}},
        {"extends": {"packages": [name]}},
        {"alias": {"fast": {**row, "system": name}}},
    ]
    for manifest in manifests:
        assert opened_by(lambda manifest=manifest: parse_manifest(manifest, "m")) == []


@pytest.mark.spec("V09")
@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("../../admin", "..%2F..%2Fadmin"),
        ("a/../b?x=1#y", "a%2F..%2Fb%3Fx=1%23y"),
        ("%2e%2e%2f", "%252e%252e%252f"),
        ("..", "..:generateContent"),
        ("a\\b", "a%5Cb"),
    ],
)
async def test_a_model_in_a_url_is_percent_encoded(
    fake_provider: FakeProvider, tmp_path: Path, name: str, escaped: str
) -> None:
    """Gemini's dialect puts the model's name into the path."""
    lock = tmp_path / "llmring.lock"
    lock.write_bytes(lock_of(models=[f"google:{name}"]))
    base = fake_provider.base_url_of("gemini_generate")
    providers = {"google": {"base_url": base, "api_key": "k" * 20}}
    async with LLMRing(lockfile_path=lock, providers=providers, dotenv=False) as ring:
        try:
            await ring.chat("fast", "Hi")
        except ConfigurationError:
            assert fake_provider.received == []  # refused outright is as good
            return
        except Exception:  # what the fake server says of such a path is not the question
            pass
    for received in fake_provider.received:
        path = received.path.removeprefix("/v1beta/models/")
        assert path.startswith(escaped), received.path
        assert ".." not in path.split("/")


@pytest.mark.spec("V09")
@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("..", "")])
async def test_a_hostile_name_that_is_asked_for_is_unknown_and_nothing_is_looked_for(tmp_path: Path, name: str) -> None:
    lock = tmp_path / "llmring.lock"
    lock.write_bytes(lock_of())
    async with LLMRing(lockfile_path=lock, dotenv=False) as ring:
        for ask in (
            lambda: ring.resolve_alias(name),
            lambda: ring.resolve_alias("fast", profile=name),
            lambda: ring.resolve_alias(f"{name}:m"),
        ):
            assert [line for line in opened_by(ask) if "llmring.lock" not in line] == []


def test_the_error_of_a_hostile_name_shows_it_without_its_control_characters() -> None:
    with pytest.raises(LockfileError) as raised:
        parse_lock(lock_of(alias="a\u202eb"), "l")
    assert "\u202e" not in str(raised.value)
