"""What a vendor's own listing says of its models: limits, capabilities, where each stands. Needs a key, and asks once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from llmring.registry.parse import FactSource, FactValue, is_date
from llmring.registry.sources.base import LISTING, Identity, Reading, put, put_price
from llmring.schemas.model_ref import MODEL_NAME

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider
    from llmring.providers.control.listing import ListingAPI

_SAID_BY: Final[Mapping[ListingAPI, tuple[str, str]]] = {
    "openai": ("OpenAI, GET /v1/models", "https://platform.openai.com/docs/api-reference/models/list"),
    "anthropic": ("Anthropic, GET /v1/models", "https://platform.claude.com/docs/en/api/models/list"),
    "google": ("Google, GET /v1beta/models", "https://ai.google.dev/api/models"),
    "ollama": ("Ollama, GET /api/tags and POST /api/show", "https://docs.ollama.com/api/tags"),
    "openrouter": ("OpenRouter, GET /api/v1/models", "https://openrouter.ai/docs/models"),
}
_APIS: Final[Mapping[str, ListingAPI]] = {api: api for api in _SAID_BY}
LISTED_PROVIDERS: Final = frozenset(_APIS)
# Anthropic lists nothing but models that chat. The others list images, speech and much else beside them.
_NAMES_MODELS: Final = ("anthropic",)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TOKEN_PRICE: Final = re.compile(
    r"\d{1,6}(\.\d{1,20})?(e-\d{1,2})?", re.ASCII
)  # bounded: exact, and cheap to reckon with
_STUB_BYTES: Final = (
    64 * 1024
)  # a guess: a remote entry of Ollama's has some hundred bytes, the smallest weights have millions
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")


class VendorListing:
    """The listings of OpenAI, Anthropic, Google, OpenRouter and a local Ollama. `find`: the provider of a name, with its key."""

    key = LISTING

    def __init__(self, find: Callable[[str], BaseLLMProvider]) -> None:
        self._find = find

    async def read(self, provider: str, today: str) -> Reading | None:
        """Raises ProviderError, and MissingCredentialError where there is no key."""
        from llmring.providers.control.listing import list_models

        api = _APIS.get(provider)
        if api is None:
            return None
        what, url = _SAID_BY[api]
        models: dict[str, dict[str, FactValue]] = {}
        identities: dict[str, Identity] = {}
        for row in await list_models(self._find(provider), api):
            name: Any = row.get("name" if api in ("google", "ollama") else "id")
            name = name.removeprefix("models/") if isinstance(name, str) else ""
            if MODEL_NAME.fullmatch(name):
                models[name] = _FACTS_OF[api](row)
                identities[name] = _identify(api, name, row)
        said_by = FactSource(what, url, today)
        return Reading(LISTING, said_by, models, names_models=api in _NAMES_MODELS, dated=True, identities=identities)

    async def resolve(self, provider: str, name: str) -> str | None:
        """The model that a name means which the listing lacks; None where the vendor does not know it, or tells nobody.

        Raises ProviderError, and MissingCredentialError where there is no key.
        """
        from llmring.providers.control.listing import find_model

        if provider != "anthropic":
            return None
        found = await find_model(self._find(provider), name)
        return found if found is not None and MODEL_NAME.fullmatch(found) else None


def _openai(row: Mapping[str, Any]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    put(facts, "retires", row.get("shutdown_date"))
    if "retires" in facts:
        put(facts, "retires_kind", "firm")
    return facts


def _anthropic(row: Mapping[str, Any]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {"category": "chat"}
    put(facts, "lifecycle", row.get("lifecycle"))
    put(facts, "deprecated", _day(row.get("deprecated_at")))
    # Without a kind: "the schedule can be revised until retirement occurs", says its reference.
    put(facts, "retires", _day(row.get("retires_at")))
    put(facts, "max_input", row.get("max_input_tokens"))
    put(facts, "max_output", row.get("max_tokens"))
    caps = _table(row.get("capabilities"))
    put(facts, "caps.vision", _supported(caps.get("image_input")))
    put(facts, "caps.pdf", _supported(caps.get("pdf_input")))
    put(facts, "caps.json_schema", _supported(caps.get("structured_outputs")))
    put(facts, "caps.reasoning", _supported(caps.get("thinking")))
    put(facts, "caps.web_search", _supported(_table(caps.get("server_tools")).get("web_search")))
    effort = _table(caps.get("effort"))
    if isinstance(effort.get("supported"), bool):
        levels = [level for level in _EFFORTS if _supported(effort.get(level))] if effort["supported"] else []
        put(facts, "reasoning_efforts", levels)
    return facts


def _google(row: Mapping[str, Any]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    actions: Any = row.get("supported_actions")
    if isinstance(actions, list):
        if "generateContent" in actions:
            put(facts, "category", "chat")
        elif "embedContent" in actions:
            put(facts, "category", "embedding")
    put(facts, "max_input", row.get("input_token_limit"))
    put(facts, "max_output", row.get("output_token_limit"))
    put(facts, "caps.reasoning", row.get("thinking"))
    return facts


def _ollama(row: Mapping[str, Any]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    given: Any = row.get("capabilities")
    info = _table(row.get("info"))
    architecture = info.get("general.architecture")
    if isinstance(given, list):
        # What `show` leaves out of this list, it cannot do.
        caps = cast("list[Any]", given)
        put(facts, "category", "embedding" if "embedding" in caps else "chat" if "completion" in caps else None)
        for theirs, ours in (("tools", "tools"), ("vision", "vision"), ("thinking", "reasoning"), ("audio", "audio")):
            put(facts, f"caps.{ours}", theirs in caps)
    put(facts, "context_window", info.get(f"{architecture}.context_length"))
    if facts.get("category") == "embedding":
        put(facts, "dimensions", info.get(f"{architecture}.embedding_length"))
    return facts


def _openrouter(row: Mapping[str, Any]) -> dict[str, FactValue]:
    """Fields: https://openrouter.ai/docs/models (2026-11-21). Whether an end may still be put off, it does not say."""
    facts: dict[str, FactValue] = {}
    put(facts, "retires", row.get("expiration_date"))
    put(facts, "context_window", row.get("context_length"))
    put(facts, "max_output", _table(row.get("top_provider")).get("max_completion_tokens"))
    architecture = _table(row.get("architecture"))
    put(facts, "category", "chat" if "text" in _list(architecture.get("output_modalities")) else None)
    taken, said = _list(architecture.get("input_modalities")), _list(row.get("supported_parameters"))
    for listed, theirs, ours in (
        (taken, "image", "vision"),
        (taken, "file", "pdf"),
        (taken, "audio", "audio"),
        (taken, "video", "video"),
        (said, "tools", "tools"),
        (said, "tool_choice", "tool_choice"),
        (said, "structured_outputs", "json_schema"),
        (said, "reasoning", "reasoning"),
    ):
        if listed:  # of an empty list nothing follows
            put(facts, f"caps.{ours}", theirs in listed)
    prices = _table(row.get("pricing"))
    for theirs, ours in (
        ("prompt", "input"),
        ("completion", "output"),
        ("input_cache_read", "cache_read"),
        ("input_cache_write", "cache_write"),
    ):
        put_price(facts, f"price.{ours}", _per_million(prices.get(theirs)))
    target = _table(row.get("alias_target")).get("slug")
    if target is not None:
        put(facts, "pin", "pointer")
        put(facts, "points_to", target)
    return facts


def _per_million(price: Any) -> Decimal | None:
    """From USD per token; of a router's "-1", whose price is that of the model it picks, nothing."""
    return Decimal(price) * 1_000_000 if isinstance(price, str) and _TOKEN_PRICE.fullmatch(price) else None


_FACTS_OF: Final[Mapping[ListingAPI, Callable[[Mapping[str, Any]], dict[str, FactValue]]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google": _google,
    "ollama": _ollama,
    "openrouter": _openrouter,
}


def _identify(api: ListingAPI, name: str, row: Mapping[str, Any]) -> Identity:
    """Which model the name is: Ollama's digest, and the day of its release where the vendor tells one."""
    digest, size = row.get("digest"), row.get("size")
    created: Any = row.get("created")
    released = row.get("created_at")
    if type(created) is int and 0 < created < 10**11:
        released = datetime.fromtimestamp(created, UTC).date().isoformat()
    return Identity(
        digest=f"sha256:{digest}" if isinstance(digest, str) and _DIGEST.fullmatch(digest) else None,
        # The SDK leaves out `remote_host`. Names that are served elsewhere end so: https://docs.ollama.com/cloud (2026-11-21)
        remote=api == "ollama"
        and (name.endswith(("-cloud", ":cloud")) or (isinstance(size, int) and size < _STUB_BYTES)),
        created=bool(row.get("parent_model")),
        released=day if isinstance(day := _day(released), str) and is_date(day) else None,
    )


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _supported(value: Any) -> Any:
    return _table(value).get("supported")


def _day(value: Any) -> str | None:
    return value[:10] if isinstance(value, str) else None
