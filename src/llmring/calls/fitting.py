"""A request made fit for one model of a pool, before its dialect writes it: what only some vendors and models take. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, NotSupportedError
from llmring.providers.base import BaseLLMProvider
from llmring.resolver import Candidate
from llmring.schemas.embedding import EmbeddingOptions
from llmring.schemas.media_parts import ImagePart, MediaPart
from llmring.schemas.parts import ToolOutputPart, ToolUsePart
from llmring.schemas.provider_options import VendorOptions
from llmring.schemas.request import LLMRequest
from llmring.wire.base import Target
from llmring.wire.handover import HANDOVER
from llmring.wire.turns import fits_call_ids

_NO_CALL_IDS: Final = "ollama_chat"  # a result names its tool, not its call
_BETA: Final = "anthropic-beta"  # the one header that is a list


def fit_request(
    request: LLMRequest,
    candidate: Candidate,
    target: Target,
    provider: BaseLLMProvider,
    dialect: str,
    *,
    is_first: bool,
    warnings: list[str],
) -> LLMRequest:
    """The request with the effort of the model's name, its vendor's options as keys of the body, and a tier that the model has. Not
    changed in place.

    is_first: whether the candidate is the one that the caller named; a fallback has to do without what is not its own. Raises
    ConfigurationError where the first one cannot have it.
    """
    update: dict[str, Any] = {}
    if candidate.effort is not None and request.reasoning_effort is None:
        update["reasoning_effort"] = candidate.effort
    tiers = target.quirks.service_tiers
    if request.service_tier is not None and tiers is not None and request.service_tier not in tiers:
        update["service_tier"] = "default"
        warnings.append(
            f"service_tier {request.service_tier!r} was sent as 'default': {target.provider}:{target.model} does not have it"
        )
    options = request.provider_options
    if options is not None and is_taken(options, provider, target, is_first=is_first, warnings=warnings):
        update["extra_params"] = merge_params(
            options.params(dialect), request.extra_params or {}, type(options).__name__
        )
        update["extra_headers"] = _merge_headers(options.headers(), request.extra_headers or {})
    return request.model_copy(update=update) if update else request


def note_conversions(request: LLMRequest, target: Target, dialect: str) -> list[str]:
    """What a fallback is told in other words than those of the conversation, for the response's warnings: HANDOVER's "converted". What is
    left out, the encoder tells."""
    takes = HANDOVER.get(dialect)
    if takes is None:
        return []
    ids, has_tool_media, has_urls = list[str](), False, False
    for message in request.messages:
        ids += [call.id for call in message.tool_calls or ()]
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(part, ToolUsePart):
                ids.append(part.id)
            elif isinstance(part, ToolOutputPart):
                has_tool_media |= not isinstance(part.content, str) and any(
                    isinstance(inner, MediaPart) for inner in part.content
                )
            elif isinstance(part, MediaPart) and part.url is not None:
                quirks = target.quirks
                has_urls |= not (quirks.image_urls if isinstance(part, ImagePart) else quirks.file_urls)
    where, notes = f"{target.provider}:{target.model}", list[str]()
    if takes.call_ids == "converted" and any(dialect == _NO_CALL_IDS or not fits_call_ids(id) for id in ids):
        notes.append(f"ids of tool calls were written anew: {where} does not take them as they are")
    if has_tool_media and takes.tool_media == "converted" and not target.quirks.tool_media:
        notes.append(f"images in the result of a tool were sent after it, as the user's: {where} takes none in results")
    if has_urls:
        notes.append(f"what stands at a URL was fetched and sent along: {where} does not fetch")
    return notes


def fit_embedding(
    options: EmbeddingOptions, provider: BaseLLMProvider, target: Target, *, is_first: bool
) -> tuple[EmbeddingOptions, list[str]]:
    """The same for embeddings: options whose vendor's part stands in `extra_params`, and warnings."""
    own, warnings = options.provider_options, list[str]()
    if own is None or not is_taken(own, provider, target, is_first=is_first, warnings=warnings):
        return options, warnings
    params = merge_params(own.params("cohere_embed"), options.extra_params or {}, type(own).__name__)
    return replace(options, extra_params=params), warnings


def is_taken(
    options: VendorOptions, provider: BaseLLMProvider, target: Target, *, is_first: bool, warnings: list[str]
) -> bool:
    """Whether the target's provider is one that these options are for. Raises ConfigurationError where the first one is not."""
    if (provider.row.like or provider.name) in options.providers:
        return True
    name, where = type(options).__name__, f"{target.provider}:{target.model}"
    if is_first:
        raise ConfigurationError(
            f"provider_options: {name} is for {', '.join(sorted(options.providers))}, and the call goes to {where}",
            hint="leave it out, or use extra_params for what this server knows",
        )
    warnings.append(f"provider_options was left out: {name} is not for {where}")
    return False


def merge_params(params: Mapping[str, Any], given: Mapping[str, Any], said_by: str) -> dict[str, Any]:
    """Both, objects within objects. Raises ConfigurationError where they say different things of one key."""
    merged = dict(params)
    for name, value in given.items():
        mine = merged.get(name, value)
        if isinstance(mine, dict) and isinstance(value, Mapping):
            merged[name] = merge_params(cast("dict[str, Any]", mine), cast("Mapping[str, Any]", value), said_by)
        elif mine != value:
            raise ConfigurationError(f"extra_params: {name!r} is also said by {said_by}, with another value")
        else:
            merged[name] = value
    return merged


def _merge_headers(headers: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str] | None:
    merged = dict(headers)
    for name, value in given.items():
        if name.lower() == _BETA and _BETA in merged:
            merged[_BETA] = f"{merged[_BETA]},{value}"
        else:
            merged[name] = value
    return merged or None


def check_logprobs(targets: Sequence[Target]) -> None:
    """For a request that asks for logprobs. Raises NotSupportedError where a model of the pool is known to give none: which of them
    answers is not the caller's choice, so whether there are any must not be chance."""
    for target in targets:
        quirks = target.quirks
        if not quirks.logprobs or "logprobs" in quirks.rejected:
            raise NotSupportedError(
                f"logprobs: {target.provider}:{target.model} gives none",
                hint="leave logprobs out, or take this model out of the pool"
                if len(targets) > 1
                else "leave logprobs out",
            )
