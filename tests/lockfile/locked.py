"""A manifest and the lock of it, made without asking anybody: what `lock` would write of rows that are given."""

from collections.abc import Iterable, Mapping
from typing import Any

import tomli

from llmring.lockfile.check import Installed, check_text
from llmring.lockfile.finding import Finding, exit_code
from llmring.lockfile.intent import Intent, Manifest
from llmring.lockfile.intents import parse_manifest
from llmring.lockfile.model import Binding, ExtendedPackage, Lock, LockedModel, Profile
from llmring.lockfile.parse import parse_lock
from llmring.lockfile.render import hash_facts, hash_resolved, render_lock
from llmring.providers.table import PROVIDERS
from llmring.registry.model_info import ModelInfo
from llmring.wire.handover import Speaker

MANIFEST = """\
schema = "1"

[defaults]
min-pin = "snapshot"
providers = ["anthropic", "openai", "ollama"]

[alias.assistant]
models = ["anthropic:claude-mini", "openai:gpt-mini"]
needs = ["tools", "vision"]
min-input = 100_000
min-output = 4_000
max-price = { input = "3", output = "15" }
temperature = 0.5

[alias.assistant.lossy]
"openai:gpt-mini" = ["thinking signatures of anthropic dropped"]

[alias.fast]
models = ["openai:gpt-mini"]
until = 2026-12-01
then = ["anthropic:claude-mini"]

[profile.dev]
min-pin = "pointer"
on-drift = "fail"

[profile.dev.alias.assistant]
models = ["openai:gpt-mini", "ollama:small:1b"]
max-price = { input = "9" }
needs = ["tools"]

[extends]
packages = ["libA"]
"""
CAPS = ("json_schema", "pdf", "reasoning", "tools", "vision")
LIBRARY = Installed("libA 2.3.1", "sha256:" + "a" * 64)
_DIALECTS = {
    "anthropic": "anthropic_messages",
    "openai": "openai_chat",
    "ollama": "ollama_chat",
    "google": "gemini_generate",
}


def row(id: str, pin: str = "snapshot", caps: Iterable[str] | None = CAPS, **facts: Any) -> LockedModel:
    """A row with every kind of fact, unless told otherwise. facts: fields of ModelInfo; digest, retires_kind."""
    digest, kind = facts.pop("digest", None), facts.pop("retires_kind", "earliest")
    given: dict[str, Any] = {
        "max_input": 200_000,
        "max_output": 64_000,
        "price": {"input": "2", "output": "10", "cache_read": "0.2"},
        "price_as_of": "2026-11-20",
        "price_source": "genai-prices 0.2.3",
        "facts_source": "registry",
        "retires": "2027-06-30",
    } | facts
    from decimal import Decimal

    given["price"] = {name: Decimal(value) for name, value in given["price"].items()}
    info = ModelInfo(id, pin=pin, caps=None if caps is None else frozenset(caps), retires_kind=kind, **given)
    made = LockedModel(info, digest=digest, retires_kind=kind)
    return LockedModel(info, digest=digest, retires_kind=kind, facts=hash_facts(made))


ROWS = (
    row("anthropic:claude-mini"),
    row("openai:gpt-mini", lacks=frozenset({"computer_use"})),
    row("ollama:small:1b", "content", digest="sha256:" + "b" * 64),
)


def read(manifest: str) -> Manifest:
    return parse_manifest(tomli.loads(manifest), "llmring.toml")


def lock_of(
    manifest: Manifest,
    rows: Iterable[LockedModel] = ROWS,
    extended: Mapping[str, Installed] | None = None,
    pointers: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes that lock it with these rows. pointers: by model that the manifest asks for, what it means."""
    profiles = {
        name: Profile(
            name,
            {alias: bind(one, pointers or {}) for alias, one in profile.aliases.items()},
            profile.on_drift,
            profile.min_pin,
        )
        for name, profile in manifest.profiles.items()
    }
    packages = {name: ExtendedPackage(name, found.dist, found.lock or "") for name, found in (extended or {}).items()}
    locked = {one.info.id: one for one in rows}
    return render_lock(Lock("1.1", "default", profiles, locked, packages, "", "llmring.lock"))


def bind(intent: Intent, pointers: Mapping[str, str]) -> Binding:
    models = tuple(pointers.get(model, model) for model in intent.models)
    requested = () if models == intent.models else intent.models
    return Binding(
        intent.alias,
        models,
        intent.fingerprint,
        requested,
        hash_resolved(requested, models) if requested else None,
        intent.until,
        intent.then,
        intent.parameters,
    )


def speaker_of(model: str) -> Speaker | None:
    provider = model.partition(":")[0]
    known = PROVIDERS.get(provider)
    if known is None:
        return None
    return Speaker(provider, _DIALECTS[provider], known.quirks, keeps_files=known.files is not None, local=known.local)


def check(
    data: bytes, manifest: Manifest | None, installed: Mapping[str, Installed | None] | None = None
) -> list[Finding]:
    return check_text(data, "llmring.lock", manifest, speaker_of=speaker_of, installed=installed)


def errors(findings: Iterable[Finding]) -> list[str]:
    """`id subject`, of the errors."""
    return [f"{found.id} {found.subject}" for found in findings if found.severity == "error"]


__all__ = ["LIBRARY", "MANIFEST", "ROWS", "check", "errors", "exit_code", "lock_of", "parse_lock", "read", "row"]
