"""What a vendor says of its own models, through its SDK: its listing as plain JSON data. What the facts mean is others' business."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast

from llmring.exceptions import ProviderError, ProviderResponseError
from llmring.providers.control.files import ask

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider

T = TypeVar("T")
ListingAPI: TypeAlias = Literal["openai", "anthropic", "google", "ollama", "openrouter"]

_MAX_MODELS: Final = 2000  # a guess: several times what any vendor lists
_MAX_LOCAL: Final = 200  # a guess: each is a request of its own
_TOTAL_S: Final = 5.0  # of one listing, and of each model that a server on this machine shows


async def list_models(provider: BaseLLMProvider, api: ListingAPI) -> list[dict[str, Any]]:
    """One row a model, with the vendor's own field names. Raises ProviderError, and what `provider.client` raises."""
    client = provider.client
    what = "listing models"
    match api:
        case "openai":
            # https://platform.openai.com/docs/api-reference/models/list (2026-11-21)
            return await ask(provider, what, _within(_collect(client.models.list(), what)))
        case "anthropic":
            # Without `lifecycle` only what is served is listed: https://platform.claude.com/docs/en/api/models/list (2026-11-21)
            listed = client.models.list(limit=1000, lifecycle=["active", "deprecated", "retired"])
            return await ask(provider, what, _within(_collect(listed, what)))
        case "google":
            # https://ai.google.dev/api/models#method:-models.list (2026-11-21)
            return await ask(provider, what, _within(_collect_google(client, what)))
        case "ollama":
            return await ask(provider, what, _collect_ollama(client))
        case "openrouter":
            # https://openrouter.ai/docs/models (2026-11-21)
            return await ask(provider, what, _within(_collect_openrouter(client, what)))


async def find_model(provider: BaseLLMProvider, name: str) -> str | None:
    """The id that Anthropic answers a name with: that of the model which an alias means; None for a name that it does not know.

    Raises ProviderError, and what `provider.client` raises. https://platform.claude.com/docs/en/api/models/retrieve (2026-11-21)
    """
    what = "looking up a model"
    try:
        found = await ask(provider, what, _within(provider.client.models.retrieve(name)))
    except ProviderError as error:
        if error.status == 404:
            return None
        raise
    id: Any = _plain(found).get("id")
    return id if isinstance(id, str) else None


async def _within(work: Awaitable[T]) -> T:
    """The SDKs wait for minutes, and Ollama's for ever."""
    async with asyncio.timeout(_TOTAL_S):
        return await work


async def _collect(models: AsyncIterable[Any], what: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async for model in models:
        if len(rows) == _MAX_MODELS:
            raise ProviderResponseError(f"{what}: more than {_MAX_MODELS:,}")
        rows.append(_plain(model))
    return rows


async def _collect_google(client: Any, what: str) -> list[dict[str, Any]]:
    return await _collect(await client.aio.models.list(config={"page_size": 1000}), what)


async def _collect_ollama(client: Any) -> list[dict[str, Any]]:
    # https://docs.ollama.com/api/tags and …/api/show (2026-11-21)
    rows: list[dict[str, Any]] = []
    for model in list((await _within(client.list())).models)[:_MAX_LOCAL]:
        shown = _plain(await _within(client.show(model.model)))
        rows.append(
            {
                "name": model.model,
                "capabilities": shown.get("capabilities"),
                "info": shown.get("modelinfo"),
                "digest": model.digest,
                "size": None if model.size is None else int(model.size),
                "parent_model": getattr(model.details, "parent_model", None),
            }
        )
    return rows


async def _collect_openrouter(client: Any, what: str) -> list[dict[str, Any]]:
    # Its pages are not those that the SDK knows: `links.next` says whether there is another.
    # https://openrouter.ai/docs/client-sdks/typescript/models/operations/getmodelsresponse (2026-11-21)
    rows: list[dict[str, Any]] = []
    while True:
        page = await client.models.list(extra_query={"offset": len(rows)} if rows else None)
        more = [_plain(model) for model in page.data]
        if len(rows) + len(more) > _MAX_MODELS:
            raise ProviderResponseError(f"{what}: more than {_MAX_MODELS:,}")
        rows += more
        links: Any = getattr(page, "links", None)
        if not more or not isinstance(links, dict) or not cast("dict[str, Any]", links).get("next"):
            return rows


def _plain(model: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", model.model_dump(mode="json"))
