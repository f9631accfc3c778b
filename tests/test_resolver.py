"""From the word in a request to the models to try."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from llmring.exceptions import (
    AliasNotFoundError,
    ConfigurationError,
    LockfileError,
    ProfileNotFoundError,
    ProviderNotFoundError,
)
from llmring.lockfile.store import LockStore
from llmring.resolver import Resolver
from llmring.testing.clock import FakeClock

LOCK = """\
version = "1.1"
default_profile = "prod"

[profiles.prod]
[[profiles.prod.bindings]]
alias = "fast"
models = ["openai:small", "anthropic:small", "ollama:llama3.2:3b"]
[[profiles.prod.bindings]]
alias = "summarizer"
models = ["openai:big"]

[profiles.dev]
[[profiles.dev.bindings]]
alias = "fast"
models = ["ollama:llama3.2:3b"]

[profiles.default]
[[profiles.default.bindings]]
alias = "fast"
models = ["google:flash"]

[[locked]]
id = "openai:small"
max_input = 1000
"""
PROVIDERS = ("anthropic", "google", "ollama", "openai")

MakeResolver = Callable[..., Resolver]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "llmring.lock"
    path.write_text(LOCK)
    return path


@pytest.fixture
def make(path: Path, fake_clock: FakeClock) -> MakeResolver:
    def make(
        *,
        keys: Collection[str] = PROVIDERS,
        default_profile: str | None = None,
        cache_size: int = 1000,
        cache_ttl_s: float = 3600.0,
    ) -> Resolver:
        return Resolver(
            LockStore(path, fake_clock),
            clock=fake_clock,
            has_credential=lambda name: name in keys,
            known_provider=PROVIDERS.__contains__,
            provider_names=lambda: PROVIDERS,
            default_profile=default_profile,
            cache_size=cache_size,
            cache_ttl_s=cache_ttl_s,
        )

    return make


def models(resolver: Resolver, name: str, profile: str | None = None) -> list[str]:
    return [str(candidate.ref) for candidate in resolver.resolve(name, profile).candidates]


# Names


@pytest.mark.spec("U06")
def test_an_alias_gives_its_pool_in_order_with_what_the_lock_knows(make: MakeResolver, path: Path) -> None:
    resolution = make().resolve("fast")
    assert [str(c.ref) for c in resolution.candidates] == ["openai:small", "anthropic:small", "ollama:llama3.2:3b"]
    assert [c.info.max_input for c in resolution.candidates] == [1000, None, None]
    assert (resolution.alias, resolution.profile, resolution.source) == ("fast", "prod", str(path))
    assert resolution.lock_digest == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.spec("U06")
@pytest.mark.parametrize("name", ["openai:small", "ollama:llama3.2:3b", "google:never/heard-of"])
def test_a_model_passes_through_split_at_its_first_colon(make: MakeResolver, name: str) -> None:
    resolution = make().resolve(name)
    [candidate] = resolution.candidates
    assert (str(candidate.ref), candidate.info.id, resolution.alias) == (name, name, None)
    assert candidate.ref.provider == name.split(":")[0]
    assert make().resolve_alias(name) == name


def test_a_model_that_passes_through_keeps_what_the_lock_knows_of_it(make: MakeResolver) -> None:
    assert make().resolve("openai:small").candidates[0].info.max_input == 1000


@pytest.mark.spec("U06")
@pytest.mark.parametrize(("name", "close"), [("fsat", "fast"), ("FAST", "fast"), ("sumarizer", "summarizer")])
def test_an_unknown_alias_names_the_close_one_and_where_it_looked(
    make: MakeResolver, path: Path, name: str, close: str
) -> None:
    for resolve in (make().resolve, make().resolve_alias):
        with pytest.raises(AliasNotFoundError) as raised:
            resolve(name)
        assert raised.value.close_matches == (close,)
        assert raised.value.name == name
        assert f"did you mean {close}?" in str(raised.value)
        assert str(path) in str(raised.value)
        assert "'prod'" in str(raised.value)


@pytest.mark.spec("U06")
@pytest.mark.parametrize("name", ["", "no such", "../fast", "fast\n", "x" * 500])
def test_what_comes_close_to_nothing_is_an_error_that_lists_what_there_is(make: MakeResolver, name: str) -> None:
    with pytest.raises(AliasNotFoundError) as raised:
        make().resolve(name)
    message = str(raised.value)
    assert "fast" in message
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.spec("U06")
@pytest.mark.parametrize(
    ("name", "close"),
    [("opanai:small", "openai:small"), ("Ollama:llama3.2:3b", "ollama:llama3.2:3b"), ("fast:", "fast")],
)
def test_an_unknown_provider_names_close_models_and_aliases(make: MakeResolver, name: str, close: str) -> None:
    with pytest.raises(ProviderNotFoundError) as raised:
        make().resolve(name)
    assert close in raised.value.close_matches
    assert close in str(raised.value)


@pytest.mark.spec("U06")
@pytest.mark.parametrize("name", ["openai:", "openai:two words", "openai:\x00"])
def test_a_known_provider_with_an_impossible_model_is_an_error(make: MakeResolver, name: str) -> None:
    with pytest.raises(ConfigurationError, match="no model name"):
        make().resolve(name)


def test_without_provider_names_an_unknown_provider_is_still_typed(path: Path, fake_clock: FakeClock) -> None:
    resolver = Resolver(
        LockStore(path, fake_clock), clock=fake_clock, has_credential=bool, known_provider=lambda _: False
    )
    with pytest.raises(ProviderNotFoundError, match="declare it"):
        resolver.resolve("opanai:small")


# Profiles


@pytest.mark.spec("U09")
@pytest.mark.parametrize(
    ("argument", "variable", "in_lock", "expected"),
    [
        ("dev", "default", "prod", "dev"),
        (None, "dev", "prod", "dev"),
        (None, None, "prod", "prod"),
        (None, None, None, "default"),
        ("prod", None, None, "prod"),
    ],
)
def test_the_profile_is_the_first_that_is_named(
    make: MakeResolver, path: Path, argument: str | None, variable: str | None, in_lock: str | None, expected: str
) -> None:
    path.write_text(LOCK.replace('default_profile = "prod"', f'default_profile = "{in_lock}"' if in_lock else ""))
    resolver = make(default_profile=variable)
    assert resolver.resolve("fast", argument).profile == expected
    assert resolver.resolve("openai:small", argument).profile == expected
    pools = {"prod": "openai:small", "dev": "ollama:llama3.2:3b", "default": "google:flash"}
    assert models(resolver, "fast", argument)[0] == pools[expected]


@pytest.mark.spec("U09")
@pytest.mark.parametrize("name", ["fast", "openai:small"])
@pytest.mark.parametrize(
    ("argument", "variable", "said_by"), [("prd", "dev", "argument"), (None, "prd", "LLMRING_PROFILE")]
)
def test_an_unknown_profile_is_an_error_with_close_matches(
    make: MakeResolver, path: Path, name: str, argument: str | None, variable: str | None, said_by: str
) -> None:
    with pytest.raises(ProfileNotFoundError) as raised:
        make(default_profile=variable).resolve(name, argument)
    assert raised.value.close_matches == ("prod",)
    assert "did you mean prod?" in str(raised.value)
    assert said_by in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.spec("U09")
def test_a_lock_whose_own_default_profile_is_missing_says_so(make: MakeResolver, path: Path) -> None:
    path.write_text(LOCK.replace('default_profile = "prod"', 'default_profile = "staging"'))
    with pytest.raises(ProfileNotFoundError, match=r"'staging' \(default_profile\)") as raised:
        make().resolve("fast")
    assert "prod, dev, default" in str(raised.value)
    # Nobody asked for a profile here, and a model needs none.
    assert make().resolve("openai:small").profile == "staging"


def test_a_lock_without_profiles_still_lets_models_pass(make: MakeResolver, path: Path) -> None:
    path.write_text('version = "1.1"\n')
    assert models(make(), "openai:small") == ["openai:small"]
    with pytest.raises(ProfileNotFoundError):
        make().resolve("fast")
    with pytest.raises(ProviderNotFoundError):
        make().resolve("nobody:small")


# One model of a pool


@pytest.mark.spec("U36")
@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (PROVIDERS, "openai:small"),
        (("anthropic", "ollama"), "anthropic:small"),
        (("ollama",), "ollama:llama3.2:3b"),
        (("google",), "openai:small"),
        ((), "openai:small"),
    ],
)
def test_resolve_alias_takes_the_first_model_with_a_credential(
    make: MakeResolver, keys: tuple[str, ...], expected: str
) -> None:
    assert make(keys=keys).resolve_alias("fast") == expected


@pytest.mark.spec("U36")
def test_a_key_that_appears_later_counts_at_once(make: MakeResolver) -> None:
    keys = {"ollama"}
    resolver = make(keys=keys)
    assert resolver.resolve_alias("fast") == "ollama:llama3.2:3b"
    keys.add("anthropic")
    assert resolver.resolve_alias("fast") == "anthropic:small"
    keys.clear()
    assert resolver.resolve_alias("fast") == "openai:small"


# Reading helpers


@pytest.mark.spec("U24")
def test_list_aliases_gives_every_pool_of_the_profile(make: MakeResolver) -> None:
    resolver = make()
    assert resolver.list_aliases() == {
        "fast": ["openai:small", "anthropic:small", "ollama:llama3.2:3b"],
        "summarizer": ["openai:big"],
    }
    assert resolver.list_aliases("dev") == {"fast": ["ollama:llama3.2:3b"]}
    resolver.list_aliases()["fast"].clear()
    assert resolver.list_aliases()["fast"]
    with pytest.raises(ProfileNotFoundError):
        resolver.list_aliases("nope")


@pytest.mark.spec("U24")
def test_has_alias_answers_for_the_profile_that_is_asked(make: MakeResolver) -> None:
    resolver = make()
    assert resolver.has_alias("summarizer")
    assert not resolver.has_alias("summarizer", "dev")
    assert not resolver.has_alias("openai:small")
    assert not resolver.has_alias("FAST")
    with pytest.raises(ProfileNotFoundError):
        resolver.has_alias("fast", "nope")


@pytest.mark.spec("U24")
def test_require_aliases_names_every_missing_one_at_once(make: MakeResolver) -> None:
    resolver = make()
    resolver.require_aliases("fast", "summarizer")
    resolver.require_aliases()
    with pytest.raises(AliasNotFoundError) as raised:
        resolver.require_aliases("fast", "sumarizer", "nothing-like-it")
    message = str(raised.value)
    assert "'sumarizer', 'nothing-like-it'" in message
    assert "for 'sumarizer': summarizer" in message
    assert raised.value.close_matches == ("summarizer",)
    with pytest.raises(AliasNotFoundError, match="'summarizer'"):
        resolver.require_aliases("fast", "summarizer", profile="dev")


# The cache


@pytest.mark.spec("U08", "U46")
def test_a_name_is_resolved_once_and_then_remembered(make: MakeResolver) -> None:
    resolver = make()
    first = resolver.resolve("fast")
    assert resolver.resolve("fast") is first
    assert resolver.resolve("fast", "dev") is not first
    assert resolver.stats().to_dict() == {"hits": 1, "misses": 2, "size": 2, "maxsize": 1000, "evictions": 0}


@pytest.mark.spec("U08", "U46")
def test_an_entry_lives_for_its_time_and_no_longer(make: MakeResolver, fake_clock: FakeClock) -> None:
    resolver = make()
    first = resolver.resolve("fast")
    fake_clock.advance(3599)
    assert resolver.resolve("fast") is first
    fake_clock.advance(1)
    assert resolver.stats().size == 0
    assert resolver.resolve("fast") is not first
    assert resolver.stats().evictions == 0  # expired, not pushed out

    short = make(cache_ttl_s=5)
    once = short.resolve("fast")
    fake_clock.advance(5)
    assert short.resolve("fast") is not once


@pytest.mark.spec("U08", "U46")
def test_the_entry_that_was_used_longest_ago_makes_room(make: MakeResolver) -> None:
    resolver = make(cache_size=2)
    fast = resolver.resolve("fast")
    summarizer = resolver.resolve("summarizer")
    assert resolver.resolve("fast") is fast
    resolver.resolve("openai:small")
    assert resolver.resolve("fast") is fast
    assert resolver.resolve("summarizer") is not summarizer
    stats = resolver.stats()
    assert (stats.size, stats.maxsize, stats.evictions) == (2, 2, 2)


@pytest.mark.spec("U46")
def test_size_zero_turns_the_cache_off(make: MakeResolver) -> None:
    resolver = make(cache_size=0)
    assert resolver.resolve("fast") is not resolver.resolve("fast")
    assert resolver.stats().to_dict() == {"hits": 0, "misses": 2, "size": 0, "maxsize": 0, "evictions": 0}


@pytest.mark.spec("U46")
@pytest.mark.parametrize(("size", "ttl_s"), [(-1, 1.0), (1, -1.0), (1, float("nan"))])
def test_an_impossible_cache_is_refused(make: MakeResolver, size: int, ttl_s: float) -> None:
    with pytest.raises(ConfigurationError, match="alias_cache_"):
        make(cache_size=size, cache_ttl_s=ttl_s)


@pytest.mark.spec("U08")
def test_an_edited_lockfile_clears_the_cache(make: MakeResolver, path: Path, fake_clock: FakeClock) -> None:
    resolver = make()
    before = resolver.resolve("fast")
    path.write_text(LOCK.replace("openai:small", "openai:newer"))
    assert resolver.resolve("fast") is before
    fake_clock.advance(1)
    after = resolver.resolve("fast")
    assert str(after.candidates[0].ref) == "openai:newer"
    assert after.lock_digest != before.lock_digest
    assert resolver.stats().size == 1


@pytest.mark.spec("U08", "U24")
def test_clear_cache_forgets_entries_and_keeps_the_counters(make: MakeResolver) -> None:
    resolver = make()
    first = resolver.resolve("fast")
    resolver.clear_cache()
    assert resolver.stats().size == 0
    assert resolver.resolve("fast") is not first
    assert resolver.stats().misses == 2


def test_an_error_is_not_remembered(make: MakeResolver, path: Path, fake_clock: FakeClock) -> None:
    resolver = make()
    with pytest.raises(AliasNotFoundError):
        resolver.resolve("later")
    assert resolver.stats().size == 0
    path.write_text(LOCK.replace("summarizer", "later"))
    fake_clock.advance(1)
    assert models(resolver, "later") == ["openai:big"]


@pytest.mark.spec("U08", "U46")
def test_32_threads_resolve_right_while_the_file_is_edited(
    make: MakeResolver, path: Path, fake_clock: FakeClock
) -> None:
    resolver = make(cache_size=3)  # smaller than what is asked for: entries come and go all the time
    names = ["fast", "summarizer", "openai:small", "ollama:llama3.2:3b", "google:flash"]
    allowed = {
        "fast": {"openai:small", "openai:newer"},
        "summarizer": {"openai:big"},
        **{name: {name, name.replace("small", "newer")} for name in names[2:]},
    }
    together = threading.Barrier(32)
    wrong: list[object] = []
    after_edit: set[str] = set()

    def run(number: int) -> None:
        try:
            for turn in range(2):
                together.wait()
                if turn and number == 0:
                    path.write_text(LOCK.replace("openai:small", "openai:newer"))
                    fake_clock.advance(1)
                for step in range(150):
                    name = names[(number + step) % len(names)]
                    if resolver.resolve_alias(name) not in allowed[name]:
                        wrong.append(name)
            together.wait()
            after_edit.add(resolver.resolve_alias("fast"))
        except Exception as error:  # what a thread raises would be lost
            wrong.append(error)
            together.abort()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert after_edit == {"openai:newer"}
    stats = resolver.stats()
    assert stats.hits + stats.misses == 32 * (2 * 150 + 1)
    assert stats.size <= 3


# Packages


PACKAGE_LOCK = """\
version = "1.1"
default_profile = "main"
[[profiles.main.bindings]]
alias = "fast"
models = ["openai:of-the-package", "openai:small"]
[[profiles.dev.bindings]]
alias = "fast"
models = ["ollama:of-the-package"]
[[locked]]
id = "openai:of-the-package"
max_input = 7
[[locked]]
id = "openai:small"
max_input = 7
"""


@pytest.fixture
def package_lock(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution `openailike` that ships a lockfile, and a lock that extends it."""
    site = tmp_path / "site"
    info = site / "openailike-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: openailike\nVersion: 1.0\n")
    (info / "RECORD").write_text("openailike/llmring.lock,,\n")
    shipped = site / "openailike" / "llmring.lock"
    shipped.parent.mkdir()
    shipped.write_text(PACKAGE_LOCK)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    digest = hashlib.sha256(PACKAGE_LOCK.encode()).hexdigest()
    path.write_text(
        f'{LOCK}\n[[extended]]\npackage = "openailike"\ndist = "openailike 1.0"\nlock = "sha256:{digest}"\n'
    )
    return shipped


@pytest.mark.usefixtures("package_lock")
def test_an_alias_of_an_extended_package_resolves_in_the_packages_lock(make: MakeResolver, path: Path) -> None:
    resolver = make()
    resolution = resolver.resolve("openailike:fast")
    assert [str(c.ref) for c in resolution.candidates] == ["openai:of-the-package", "openai:small"]
    # The package knows its own model; of a model that the user's lock has a row for, that row counts.
    assert [c.info.max_input for c in resolution.candidates] == [7, 1000]
    assert (resolution.alias, resolution.profile, resolution.source) == ("openailike:fast", "prod", str(path))
    assert models(resolver, "fast")[0] == "openai:small"


@pytest.mark.usefixtures("package_lock")
def test_a_package_uses_the_profile_of_the_same_name_else_its_own_default(make: MakeResolver) -> None:
    assert models(make(), "openailike:fast", "dev") == ["ollama:of-the-package"]
    assert models(make(), "openailike:fast", "default")[0] == "openai:of-the-package"


@pytest.mark.usefixtures("package_lock")
def test_the_helpers_know_the_aliases_of_packages(make: MakeResolver) -> None:
    resolver = make()
    assert resolver.list_aliases("dev") == {
        "fast": ["ollama:llama3.2:3b"],
        "openailike:fast": ["ollama:of-the-package"],
    }
    assert resolver.has_alias("openailike:fast")
    assert not resolver.has_alias("openailike:slow")
    resolver.require_aliases("fast", "openailike:fast")


@pytest.mark.usefixtures("package_lock")
def test_an_unknown_alias_of_a_package_names_the_close_one(make: MakeResolver) -> None:
    with pytest.raises(AliasNotFoundError, match=r"openailike:llmring\.lock") as raised:
        make().resolve("openailike:fsat")
    assert raised.value.close_matches == ("fast",)
    with pytest.raises(ProviderNotFoundError) as misspelt:
        make().resolve("openailik:fast")
    assert "openailike:fast" in misspelt.value.close_matches


@pytest.mark.usefixtures("package_lock")
def test_a_package_named_like_a_provider_counts_only_where_the_lock_extends_it(make: MakeResolver, path: Path) -> None:
    text = path.read_text()
    path.write_text(text.replace('package = "openailike"', 'package = "openai"'))
    with pytest.raises(LockfileError, match="extended package 'openai'"):
        make().resolve("openai:small")
    path.write_text(LOCK)
    assert models(make(), "openai:small") == ["openai:small"]
    with pytest.raises(ProviderNotFoundError):
        make().resolve("openailike:fast")


def test_a_changed_package_is_refused_until_it_is_locked_again(make: MakeResolver, package_lock: Path) -> None:
    package_lock.write_text(PACKAGE_LOCK.replace("of-the-package", "of-somebody-else"))
    with pytest.raises(LockfileError, match="record the new digest"):
        make().resolve("openailike:fast")
    assert models(make(), "fast")[0] == "openai:small"


def test_a_package_without_a_usable_profile_says_so(make: MakeResolver, package_lock: Path, path: Path) -> None:
    text = PACKAGE_LOCK.replace('"main"', '"other"')
    package_lock.write_text(text)
    old, new = (hashlib.sha256(each.encode()).hexdigest() for each in (PACKAGE_LOCK, text))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ProfileNotFoundError, match="neither a profile 'prod' nor a default one"):
        make().resolve("openailike:fast")
