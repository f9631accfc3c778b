"""A lockfile and a registry with something of everything: a model that retires soon, one that has, one that nobody knows."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

from tests.cli.inside import Inside

TODAY = datetime.now(UTC).date()
SOON = (TODAY + timedelta(days=12)).isoformat()

LOCK = f"""\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "fast"
models = ["anthropic:small", "openai:tiny", "openai:tiny-two"]

[[profiles.default.bindings]]
alias = "thinking"
models = ["openai:deep-high"]

[[profiles.default.bindings]]
alias = "old"
models = ["openai:gone", "nowhere:model"]

[profiles.dev]
name = "dev"

[[profiles.dev.bindings]]
alias = "fast"
models = ["ollama:small:1b"]

[[locked]]
id = "openai:tiny"
caps = ["tools", "json_schema"]
max_input = 100000
max_output = 8000
price = {{ input = "2", output = "10", cache_read = "0.5" }}
price_source = "genai-prices 0.2.3"
price_as_of = "2026-01-02"
facts_source = "litellm 1.109.1"
pin = "snapshot"
retires = "{SOON}"
retires_kind = "firm"

[[locked]]
id = "openai:deep"
pin = "pointer"

[[locked]]
id = "openai:gone"
retires = "2020-01-31"
"""

_ROWS = {
    "tiny": {
        "category": "chat",
        "lifecycle": "deprecated",
        "successor": "deep",
        "caps": {"vision": False, "tools": True},
        "price": {"input": "9"},
    },
    "deep": {
        "category": "chat",
        "lifecycle": "active",
        "context_window": 400000,
        "caps": {"reasoning": True, "tools": True},
        "reasoning_efforts": ["low", "high"],
        "price": {"input": "1.25", "output": "10", "batch_input": "0.625"},
    },
    "vectors": {"category": "embedding", "lifecycle": "active", "dimensions": 1536, "price": {"input": "0.02"}},
    "ancient": {"category": "chat", "lifecycle": "retired", "retires": "2021-05-31", "caps": {"tools": True}},
}


def lay_out(inside: Inside) -> None:
    """The lockfile and a registry into the folder, the registry into the environment."""
    inside.write("llmring.lock", LOCK)
    models: dict[str, object] = {}
    for name, row in _ROWS.items():
        facts: dict[str, object] = {}
        for fact, value in row.items():
            facts[fact] = (
                {kind: {"value": each, "source": "page"} for kind, each in value.items()}
                if isinstance(value, dict)
                else {"value": value, "source": "page"}
            )
        models[name] = facts
    source = {"what": "the vendor's page", "url": "https://example.com/models", "date": TODAY.isoformat()}
    folder = inside.folder / "facts"
    folder.mkdir()
    (folder / "openai.json").write_text(
        json.dumps(
            {
                "schema": "1",
                "provider": "openai",
                "as_of": TODAY.isoformat(),
                "sources": {"page": source},
                "models": models,
            }
        )
    )
    inside.monkeypatch.setenv("LLMRING_REGISTRY_URL", str(folder))
    digest = hashlib.sha256(LOCK.encode()).hexdigest()
    inside.hidden |= {digest: "<digest>", SOON: "<in 12 days>", TODAY.isoformat(): "<today>"}
