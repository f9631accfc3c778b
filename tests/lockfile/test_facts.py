"""Facts from several sources: who is believed, who is named, and what is left where somebody cannot be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from llmring.exceptions import LLMRingError, MissingCredentialError, RegistryError
from llmring.lockfile.facts import Asked, gather
from llmring.lockfile.intent import Sources
from llmring.lockfile.known import Gathered
from llmring.registry.parse import Fact, FactSource, FactValue, make_file
from llmring.registry.snapshot import Snapshot
from llmring.registry.sources.base import Identity, Reading

TODAY = "2026-11-21"
PAGE = FactSource("a page", "https://example.org/models", "2026-10-01")
Facts = Mapping[str, Mapping[str, FactValue]]


def registry(facts: Facts, *, provider: str = "openai", as_of: str = "2026-10-01") -> Snapshot:
    said = {name: {fact: Fact(value, "page") for fact, value in one.items()} for name, one in facts.items()}
    return Snapshot("here", {provider: make_file(provider, as_of, {"page": PAGE}, said)})


class Says:
    """A source that says this of every provider, or cannot be read."""

    key = "says"

    def __init__(
        self, facts: Facts, error: LLMRingError | None = None, identities: Mapping[str, Identity] | None = None
    ) -> None:
        self.facts, self.error, self.identities = facts, error, identities or {}
        self.asked: list[str] = []

    async def read(self, provider: str, today: str) -> Reading | None:
        self.asked.append(provider)
        if self.error is not None:
            raise self.error
        said_by = FactSource("the listing", "https://example.org/list", today)
        return Reading("says", said_by, self.facts, names_models=True, identities=self.identities)


async def ask(models: list[str], snapshot: Snapshot, **options: Any) -> Gathered:
    sources = options.pop("sources", Sources())
    return await gather(
        models, sources, Asked(lambda: snapshot, listed=frozenset({"openai", "ollama"}), **options), TODAY
    )


async def test_each_fact_comes_from_the_first_source_that_states_it_and_who_denies_it_is_named() -> None:
    here = registry({"tiny": {"max_input": 1000, "max_output": 50, "caps.tools": True, "pin": "snapshot"}})
    listing = Says({"tiny": {"max_input": 900, "caps.tools": False}})
    found = await ask(["openai:tiny"], here, listing=listing)
    one = found.models["openai:tiny"]
    assert (one.info.max_input, one.info.max_output, one.info.pin, one.info.can("tools")) == (
        900,
        50,
        "snapshot",
        False,
    )
    assert {finding.message for finding in found.findings if finding.id == "source.disagree"} == {
        "max_input is 900 by the listing, and a page says 1000",
        "caps.tools is no by the listing, and a page says yes",
    }
    assert one.seen == "2026-10-01"


async def test_the_order_is_the_manifests_and_a_constraint_gets_the_worse_of_two_facts() -> None:
    here = registry({"tiny": {"max_input": 1000, "caps.tools": True, "price.input": "1", "price.output": "5"}})
    sources = Sources(facts=("registry", "provider-api"), prices=("registry", "genai-prices"))
    found = await ask(
        ["openai:tiny"],
        here,
        sources=sources,
        listing=Says({"tiny": {"max_input": 900, "caps.tools": False}}),
        prices=Says({"tiny": {"price.input": "3"}}),
    )
    one = found.models["openai:tiny"]
    assert (one.info.max_input, one.info.can("tools"), one.info.price["input"]) == (1000, True, Decimal(1))
    assert (one.worst.max_input, one.worst.can("tools"), one.worst.price["input"]) == (900, False, Decimal(3))


async def test_prices_are_of_one_source_and_so_are_a_date_and_its_kind() -> None:
    here = registry(
        {"tiny": {"price.input": "1", "price.output": "5", "retires": "2027-01-01", "retires_kind": "firm"}}
    )
    found = await ask(
        ["openai:tiny"],
        here,
        listing=Says({"tiny": {"retires": "2027-02-01"}}),
        prices=Says({"tiny": {"price.input": "2"}}),
    )
    info = found.models["openai:tiny"].info
    assert (info.price, info.price_source, info.price_as_of) == ({"input": Decimal(2)}, "the listing", TODAY)
    assert (info.retires, info.retires_kind) == ("2027-02-01", None)


@pytest.mark.spec("V03")
async def test_a_source_that_cannot_be_read_is_named_and_the_others_still_count() -> None:
    failing = Says({}, MissingCredentialError("no key for openai"))
    found = await ask(["openai:tiny"], registry({"tiny": {"max_input": 1000}}), listing=failing, prices=Says({}))
    assert found.models["openai:tiny"].info.max_input == 1000
    assert found.unread == {"provider-api of openai": "no key for openai"}
    assert "openai" not in found.listed


@pytest.mark.spec("V03")
async def test_a_registry_that_cannot_be_read_is_one_of_them() -> None:
    def broken() -> Snapshot:
        raise RegistryError("the registry is broken")

    found = await gather(["openai:tiny"], Sources(), Asked(broken), TODAY)
    assert found.unread["registry of openai"] == "the registry is broken"
    assert not found.models["openai:tiny"].found


async def test_offline_the_registry_answers_and_what_was_not_asked_is_said() -> None:
    found = await ask(["openai:tiny"], registry({"tiny": {"max_input": 1000}}))
    assert found.models["openai:tiny"].found
    assert found.unread == {
        "provider-api of openai": "not asked: offline",
        "genai-prices of openai": "not asked: offline",
    }


async def test_each_provider_is_asked_once_and_one_without_a_listing_not_at_all() -> None:
    listing = Says({"one": {}, "two": {}})
    await ask(["openai:one", "openai:two", "groq:three"], registry({}), listing=listing)
    assert listing.asked == ["openai"]


async def test_a_pointers_target_comes_along() -> None:
    here = registry({"gpt": {"pin": "pointer", "points_to": "gpt-1"}, "gpt-1": {"pin": "snapshot"}})
    found = await ask(["openai:gpt"], here)
    assert found.models["openai:gpt-1"].info.pin == "snapshot"


async def test_what_a_listing_lacks_is_not_there_however_well_the_registry_knows_it() -> None:
    found = await ask(["openai:tiny"], registry({"tiny": {"max_input": 1000}}), listing=Says({"other": {}}))
    assert not found.models["openai:tiny"].found
    assert "openai" in found.listed


async def test_a_price_alone_is_no_proof_that_a_model_exists() -> None:
    found = await ask(["openai:typo"], registry({"tiny": {}}), prices=Says({"typo": {"price.input": "1"}}))
    assert not found.models["openai:typo"].found


async def test_facts_that_are_old_are_used_and_said_to_be_old() -> None:
    found = await ask(["openai:tiny"], registry({"tiny": {"max_input": 1000}}, as_of="2026-01-01"))
    assert [(finding.id, finding.severity) for finding in found.findings] == [("source.stale", "warning")]


DIGEST = "sha256:" + "a" * 64


@pytest.mark.spec("V13")
@pytest.mark.parametrize(
    ("identity", "pin", "digest", "created"),
    [
        (Identity(DIGEST), "content", DIGEST, False),
        (Identity(DIGEST, created=True), "content", DIGEST, True),
        (Identity(DIGEST, remote=True), "pointer", None, False),
        (None, "pointer", None, False),
    ],
    ids=["pulled", "created", "remote", "missing"],
)
async def test_ollamas_digest_is_the_pin_of_what_is_pulled(
    identity: Identity | None, pin: str, digest: str | None, created: bool
) -> None:
    listing = Says({}) if identity is None else Says({"tiny:latest": {}}, identities={"tiny:latest": identity})
    here = registry({"tiny": {"pin": "pointer"}}, provider="ollama")
    one = (await ask(["ollama:tiny"], here, listing=listing)).models["ollama:tiny"]
    assert (one.info.pin, one.row.digest, one.created, one.found) == (pin, digest, created, True)


# Names, packages, and the worse of two


async def test_a_name_that_a_listing_lacks_is_asked_of_its_vendor_and_no_other_is() -> None:
    asked: list[str] = []

    async def resolve(provider: str, name: str) -> str | None:
        asked.append(f"{provider}:{name}")
        return {"latest": "tiny", "typo": None}[name]

    listing = Says({"tiny": {"max_input": 9}})
    here = registry({"typo": {"max_input": 1}})
    found = await ask(["openai:tiny", "openai:latest", "openai:typo"], here, listing=listing, resolve=resolve)
    assert asked == ["openai:latest", "openai:typo"]
    latest = found.models["openai:latest"]
    assert (latest.found, latest.info.pin, latest.info.points_to) == (True, "pointer", "tiny")
    assert not found.models["openai:typo"].found


async def test_a_vendor_that_fails_when_asked_for_a_name_is_one_that_was_not_read() -> None:
    async def resolve(provider: str, name: str) -> str | None:
        raise MissingCredentialError("no key for openai")

    found = await ask(["openai:latest"], registry({}), listing=Says({"tiny": {}}), resolve=resolve)
    assert found.unread["provider-api of openai"] == "no key for openai"


@pytest.mark.parametrize(
    ("name", "found"), [("acme/tiny:nitro", True), ("acme/tiny:free", False), ("acme/tyni:nitro", False)]
)
async def test_what_openrouter_routes_by_is_no_other_model(name: str, found: bool) -> None:
    gathered = await gather(
        [f"openrouter:{name}"],
        Sources(),
        Asked(lambda: registry({}), Says({"acme/tiny": {}}), Says({}), frozenset({"openrouter"})),
        TODAY,
    )
    assert gathered.models[f"openrouter:{name}"].found is found


async def test_a_package_is_asked_where_the_manifest_names_it() -> None:
    package = Says({"tiny": {"category": "chat", "max_output": 7, "price.input": "1"}, "vague": {"max_output": 7}})
    sources = Sources(("registry", "plugin-acme"), ("registry", "plugin-acme"), ("registry",))
    here = registry({"small": {"max_output": 9}})
    found = await ask(
        ["openai:tiny", "openai:vague", "openai:small"],
        here,
        sources=sources,
        find_plugged={"plugin-acme": package}.get,
    )
    tiny = found.models["openai:tiny"]
    assert (tiny.found, tiny.info.max_output, tiny.info.price["input"]) == (True, 7, Decimal(1))
    assert not found.models["openai:vague"].found
    assert found.unread == {}
    # Not installed, or not to be asked.
    nothing: dict[str, Says] = {}
    lacking = await ask(["openai:tiny"], here, sources=sources, find_plugged=nothing.get)
    assert lacking.unread == {"plugin-acme of openai": "no installed package gives it"}
    offline = await ask(["openai:tiny"], here, sources=sources)
    assert offline.unread == {"plugin-acme of openai": "not asked: offline"}


async def test_the_worse_of_two_is_the_earlier_end_the_weaker_pin_and_the_dearer_tier() -> None:
    here = registry(
        {"tiny": {"pin": "pointer", "retires": "2027-01-01", "retires_kind": "firm", "price.input_above_1000": "9"}}
    )
    sources = Sources(("provider-api", "registry"), ("genai-prices", "registry"))
    found = await ask(
        ["openai:tiny"],
        here,
        sources=sources,
        listing=Says({"tiny": {"pin": "snapshot", "retires": "2028-01-01"}}),
        prices=Says({"tiny": {"price.input": "2"}}),
    )
    one = found.models["openai:tiny"]
    assert (one.info.pin, one.info.retires, one.info.retires_kind) == ("snapshot", "2028-01-01", None)
    assert (one.worst.pin, one.worst.retires, one.worst.retires_kind) == ("pointer", "2027-01-01", "firm")
    assert (one.info.price, one.worst.price) == (
        {"input": Decimal(2)},
        {"input": Decimal(2), "input_above_1000": Decimal(9)},
    )


async def test_since_when_prices_hold_is_of_the_source_that_they_are_of() -> None:
    class Dated(Says):
        async def read(self, provider: str, today: str) -> Reading | None:
            reading = await super().read(provider, today)
            return None if reading is None else replace(reading, since={"tiny": "2026-11-20"})

    here = registry({"tiny": {"price.input": "1"}})
    prices = Dated({"tiny": {"price.input": "2"}})
    assert (await ask(["openai:tiny"], here, prices=prices)).models["openai:tiny"].priced == "2026-11-20"
    first = Sources(prices=("registry", "genai-prices"))
    assert (await ask(["openai:tiny"], here, prices=prices, sources=first)).models["openai:tiny"].priced is None


async def test_a_provider_that_nothing_here_knows_is_said_to_be_one() -> None:
    found = await ask(["openai:tiny", "opnai:tiny"], registry({"tiny": {}}), knows={"openai"}.__contains__)
    assert found.strangers == {"opnai"}
