"""docs/llmring.toml.schema.json, and the same file in the wheel: what editors check a manifest by.

The closed words are those of the code (capabilities, pin grades, dialects, providers), the settings of a provider and what they mean
are those of `ProviderOptions`; the rest is the manifest as the lock's commands know it. Only keywords that draft 7 has too: some
editors know no newer one.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from typing import Any, Final

from llmring.lockfile.model import POLICIES
from llmring.lockfile.rows import EFFORTS, PRICE
from llmring.providers.declared import ProviderOptions
from llmring.providers.table import PROVIDERS
from llmring.registry.model_info import CAPS, PINS, PRICE_KINDS
from llmring.schemas.model_ref import ALIAS_NAME, MODEL_NAME, PROVIDER_NAME
from llmring.wire.table import DIALECTS

from .source import read_field_notes

PATHS: Final = ("docs/llmring.toml.schema.json", "src/llmring/lockfile/llmring.toml.schema.json")

# What a file of a repository may not say: it may be anybody's. See `llmring.providers.declared`. Of `keys` it may name one alone, its
# provider's own, and for that there is key_variable.
_CODE_OR_USER_ALONE: Final = frozenset({"api_key", "token_provider", "like", "extra_headers", "keys"})

_NAME: Final = ALIAS_NAME.pattern
_PROVIDER: Final = PROVIDER_NAME.pattern
_PLUGGED: Final = "^plugin-[a-z][a-z0-9_-]{0,31}$"
_SOURCES: Final = ("provider-api", "registry")


def schema() -> dict[str, Any]:
    """The schema as JSON data."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llmring.toml",
        "description": "Which models an application asks for, and what they must be able to do. The lock is made of it.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "schema": {"description": "The version of this format.", "const": "1"},
            "defaults": _table("What holds for every alias of every profile.", _constraints()),
            "sources": _sources(),
            "alias": _named("Names that the application asks for.", {"$ref": "#/$defs/alias"}),
            "profile": _named("Sets of aliases: default, prod, dev. What one does not say, it inherits.", _profile()),
            "extends": _table(
                "Installed packages whose own locks bring aliases.",
                {
                    "packages": _list(
                        "Names of distributions. Their aliases are called PACKAGE:ALIAS.",
                        {"type": "string", "pattern": "^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$"},
                    )
                },
            ),
            "audit": _table("What `lock audit` is told.", {"ignore": _ignored()}),
            "providers": _providers(),
        },
        "$defs": {"alias": _alias(required=True), "profile_alias": _alias(required=False), "model": _model()},
    }


def pages() -> dict[str, str]:
    """The file, by its paths from the top of the repository."""
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    return dict.fromkeys(PATHS, text)


def _table(description: str, properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    table = {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return table | ({"required": list(required)} if required else {})


def _named(description: str, each: dict[str, Any], names: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "propertyNames": names or {"pattern": f"^{_NAME}$"},
        "additionalProperties": each,
    }


def _list(description: str, items: dict[str, Any], *, minimum: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"description": description, "type": "array", "uniqueItems": True, "items": items}
    return found | ({"minItems": minimum} if minimum else {})


def _whole(description: str) -> dict[str, Any]:
    return {"description": description, "type": "integer", "minimum": 1}


def _model() -> dict[str, Any]:
    return {
        "description": "provider:model, split at the first colon: ollama:llama3.2:3b.",
        "type": "string",
        "pattern": f"^{_PROVIDER}:{MODEL_NAME.pattern}$",
    }


def _constraints() -> dict[str, Any]:
    duration = {"type": "string", "pattern": "^[0-9]{1,4} (day|week)s?$", "examples": ["7 days"]}
    return {
        "min-pin": {
            "description": "How firmly a model's name must hold: content, a hash of the weights; snapshot, the vendor promises"
            " that it does not change; pointer, a name that may move.",
            "enum": list(PINS),
        },
        "cooldown": {"description": "Ids and prices that are younger are never newly selected.", **duration},
        "retire-horizon": {"description": "Models that retire sooner are never newly selected.", **duration},
        "providers": _list(
            "The providers that may be selected from; default, all.", {"type": "string", "pattern": f"^{_PROVIDER}$"}
        ),
        "on-drift": {
            "description": "What an answer by another model than the locked one comes to: warn, the default; fail, the pool's next"
            " model is tried, else the call fails; ignore.",
            "enum": list(POLICIES),
        },
    }


def _sources() -> dict[str, Any]:
    def order(what: str, *more: str) -> dict[str, Any]:
        return _list(
            f"Where {what} come from; the first wins.",
            {"anyOf": [{"enum": [*_SOURCES, *more]}, {"pattern": _PLUGGED}]},
            minimum=1,
        )

    return _table(
        "Where the commands of the lock look things up. A call never does.",
        {
            "facts": order("limits and capabilities"),
            "prices": order("prices", "genai-prices"),
            "lifecycle": order("dates of retirement"),
        },
    )


def _alias(*, required: bool) -> dict[str, Any]:
    price = {
        "description": "USD per million tokens, as a string; not 0.",
        "type": "string",
        "pattern": f"^(?![0.]*$){PRICE.pattern}$",
        "examples": ["3", "0.25"],
    }
    pool = _list(
        "The pool: the first is meant, the rest stand by in this order. A profile's pool replaces the one it inherits, and what guards that.",
        {"$ref": "#/$defs/model"},
        minimum=1,
    )
    return _table(
        "What is wanted under this name.",
        {
            "models": pool,
            "needs": _list("What every model of the pool must be able to do.", {"enum": list(CAPS)}),
            "min-input": _whole("Tokens of prompt that every model of the pool must accept."),
            "min-output": _whole("Tokens of answer that every model of the pool must be able to give."),
            "max-price": _table("What tokens may cost.", dict.fromkeys(PRICE_KINDS, price)),
            **_parameters(),
            "until": {
                "description": "The day (UTC) from which the models under `then` serve in place of the pool; a date, without quotes.",
                "type": "string",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            },
            "then": _list("The reviewed successor of the pool.", {"$ref": "#/$defs/model"}, minimum=1),
            "lossy": {
                "description": "What a hand-over to a model loses, as `lock check` says it, and a person has accepted.",
                "type": "object",
                "propertyNames": {"$ref": "#/$defs/model"},
                "additionalProperties": _list("The losses.", {"type": "string", "minLength": 1}, minimum=1),
            },
        },
        ("models",) if required else (),
    )


def _parameters() -> dict[str, Any]:
    return {
        "temperature": {
            "description": "Sent where the request says none.",
            "type": "number",
            "minimum": 0,
        },
        "max-tokens": _whole("Cap on the answer's tokens, where the request says none."),
        "reasoning-effort": {
            "description": "How much the models are asked to think, where the request does not say.",
            "enum": list(EFFORTS),
        },
        "system": {
            "description": "Name of the system prompt for requests without one. Its text is the program's: LLMRing(prompts={…}).",
            "type": "string",
            "pattern": f"^{_NAME}$",
        },
    }


def _profile() -> dict[str, Any]:
    return _table(
        "A set of aliases.",
        {
            "inherits": {
                "description": "The profile that says what this one does not.",
                "type": "string",
                "pattern": f"^{_NAME}$",
            },
            **_constraints(),
            "alias": _named("Aliases that differ in this profile.", {"$ref": "#/$defs/profile_alias"}),
        },
    )


def _ignored() -> dict[str, Any]:
    entry = _table(
        "A finding that is known.",
        {
            "id": {
                "description": "The finding's id, and of what: model.retiring:openai:gpt-5-2025-08-07.",
                "type": "string",
                "pattern": "^[a-z]+\\.[a-z-]+(:[!-~]([ -~]*[!-~])?)?$",
            },
            "until": {
                "description": "The day on which it counts again; a date, without quotes.",
                "type": "string",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            },
            "reason": {"description": "Why, for those who read it later.", "type": "string", "minLength": 1},
        },
        ("id", "until", "reason"),
    )
    return {"description": "Findings that do not count, for a while.", "type": "array", "items": entry}


def _providers() -> dict[str, Any]:
    names = {"pattern": f"^{_PROVIDER}$", "not": {"enum": sorted(PROVIDERS)}}
    description = (
        "Providers that this repository brings: servers on public https hosts. Known providers, keys and headers are for code and"
        " for the user's own config file."
    )
    return _named(description, _table("A provider.", _provider_fields(), ("base_url",)), names)


def _provider_fields() -> dict[str, Any]:
    """The fields of `ProviderOptions` that a manifest may set, each with its type and what its docstring says."""
    narrower: dict[str, dict[str, Any]] = {
        "base_url": {"pattern": "^https://"},
        "dialect": {"enum": sorted(DIALECTS)},
        "auth": {"pattern": "^(bearer|none|header:[A-Za-z0-9-]{1,64})$"},
        "key_variable": {"pattern": "^LLMRING_[A-Z0-9_]{1,40}_API_KEY$"},
        "max_tokens": {"minimum": 1},
        "default_temperature": {"minimum": 0},
        "max_tokens_field": {"enum": ["max_tokens", "max_completion_tokens"]},
        "idempotency_header": {"pattern": "^[A-Za-z0-9-]{1,64}$"},
    }
    types = {str: "string", int: "integer", float: "number", bool: "boolean"}
    hints = typing.get_type_hints(ProviderOptions)
    names = [field.name for field in dataclasses.fields(ProviderOptions)]
    notes = read_field_notes(inspect.getdoc(ProviderOptions) or "", names)[1]
    found: dict[str, Any] = {}
    for name in names:
        if name in _CODE_OR_USER_ALONE:
            continue
        (kind,) = (types[part] for part in typing.get_args(hints[name]) if part in types)
        rule = narrower.pop(name, {})
        # A list of words says the type already.
        found[name] = {"description": notes[name].meaning, **({} if "enum" in rule else {"type": kind}), **rule}
    assert not narrower, f"ProviderOptions has no {', '.join(narrower)}"
    return found
