"""What a vendor says of its own models, through its SDK: its listing as plain JSON data. What the facts mean is others' business."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from llmring.exceptions import ProviderResponseError
from llmring.providers.control.files import ask

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider

ListingAPI: TypeAlias = Literal["openai", "anthropic", "google", "ollama"]

_MAX_MODELS: Final = 2000  # a guess: several times what any vendor lists
_MAX_LOCAL: Final = 200  # a guess: each is a request of its own


async def list_models(provider: BaseLLMProvider, api: ListingAPI) -> list[dict[str, Any]]:
    """One row a model, with the vendor's own field names. Raises ProviderError, and what `provider.client` raises."""
    client = provider.client
    what = "listing models"
    match api:
        case "openai":
            # https://platform.openai.com/docs/api-reference/models/list (2026-11-21)
            return await ask(provider, what, _collect(client.models.list(), what))
        case "anthropic":
            # Without `lifecycle` only what is served is listed: https://platform.claude.com/docs/en/api/models/list (2026-11-21)
            listed = client.models.list(limit=1000, lifecycle=["active", "deprecated", "retired"])
            return await ask(provider, what, _collect(listed, what))
        case "google":
            # https://ai.google.dev/api/models#method:-models.list (2026-11-21)
            return await ask(provider, what, _collect_google(client, what))
        case "ollama":
            return await ask(provider, what, _collect_ollama(client))


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
    for model in list((await client.list()).models)[:_MAX_LOCAL]:
        shown = _plain(await client.show(model.model))
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


def _plain(model: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", model.model_dump(mode="json"))
