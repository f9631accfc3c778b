"""What is not chat: embeddings, token counts, rankings. Each is a `PlainCall` going in and its own response coming out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, cast

from llmring.calls.call import PlainCall, PlainReply
from llmring.calls.chunks import read_usage
from llmring.calls.fitting import fit_embedding
from llmring.exceptions import ConfigurationError, MalformedResponseError, NotSupportedError
from llmring.providers.base import BaseLLMProvider
from llmring.providers.custom import Provider
from llmring.providers.table import PROVIDERS
from llmring.registry.pricing import charge
from llmring.resolver import Resolution
from llmring.schemas.embedding import EmbeddingOptions, EmbeddingReply, EmbeddingRequest, EmbeddingResponse
from llmring.schemas.request import LLMRequest
from llmring.schemas.rerank import RankedDocument, RerankReply, RerankRequest, RerankResponse
from llmring.schemas.token_count import TokenCount
from llmring.schemas.usage import Usage
from llmring.wire.base import Dialect, EncodedRequest, Reranks, Target
from llmring.wire.table import get_dialect

# Embeddings ---------------------------------------------------------------------------------------------------------


def read_text(given: str, what: str) -> str:
    """One text. Raises ConfigurationError where it is none, or empty."""
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
        raise ConfigurationError(f"{what} is a {type(given).__name__}, one text is wanted")
    return read_texts(given, what)[0]


def read_texts(given: str | Sequence[str], what: str) -> tuple[str, ...]:
    """One text or several. Raises ConfigurationError where there is none, or one of them is empty."""
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
        raise ConfigurationError(f"{what} is a {type(given).__name__}, a text or several are wanted")
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not texts:
        raise ConfigurationError(f"{what}: an empty list", hint="give at least one text")
    for number, text in enumerate(texts):
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(f"{what}: number {number} is a {type(text).__name__}, a text is wanted")
        if not text:
            raise ConfigurationError(f"{what}: text number {number} is empty", hint="providers refuse empty texts")
    return texts


def read_embedding_options(
    options: EmbeddingOptions | None, dimensions: int | None, encoding_format: Literal["float", "base64"] | None
) -> EmbeddingOptions:
    """The options with what was given beside them, which wins. Raises ConfigurationError for what is none."""
    options = EmbeddingOptions() if options is None else options
    if not isinstance(options, EmbeddingOptions):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
        raise ConfigurationError(
            f"options: an EmbeddingOptions is wanted, not {type(options).__name__}", hint="EmbeddingOptions(…)"
        )
    if dimensions is not None:
        options = replace(options, dimensions=dimensions)
    if encoding_format is not None:
        options = replace(options, encoding_format=encoding_format)
    return options


def of_one_model(resolution: Resolution) -> Resolution:
    """The same without the candidates that name another model than the first: vectors of two models never compare, and an index
    that holds both is spoilt without a word. Two providers of one model stand in for each other."""
    first, *others = resolution.candidates
    alike = [candidate for candidate in others if candidate.ref.model == first.ref.model]
    return resolution if len(alike) == len(others) else replace(resolution, candidates=(first, *alike))


def embedding_call(
    resolution: Resolution, inputs: tuple[str, ...], options: EmbeddingOptions, started: float
) -> PlainCall[EmbeddingReply]:
    def encode(provider: BaseLLMProvider, target: Target) -> EncodedRequest:
        codec = provider.embeddings
        if codec is None:
            raise _not_supported(provider, "makes no embeddings", _embeds)
        if options.dimensions is not None and target.quirks.embedding_dimensions is False:
            raise ConfigurationError(
                f"{target.provider}:{target.model} has vectors of one length alone",
                hint="leave dimensions out, or use a model whose vectors can be shorter",
            )
        is_first = target.provider == resolution.candidates[0].ref.provider
        own, notes = fit_embedding(options, provider, target, is_first=is_first)
        encoded = codec.encode(EmbeddingRequest(target.model, inputs, own), target)
        encoded.warnings[:0] = notes
        return encoded

    def decode(provider: BaseLLMProvider, body: bytes) -> EmbeddingReply:
        assert provider.embeddings is not None
        return _check_vectors(provider.embeddings.decode(body), len(inputs), options.dimensions)

    async def ask_custom(provider: Provider, model: str) -> EmbeddingReply:
        response = await provider.embed(list(inputs), options, model=model)
        if not isinstance(response, EmbeddingResponse):  # pyright: ignore[reportUnnecessaryIsInstance]: foreign code
            raise MalformedResponseError(f"the provider gave a {type(response).__name__}, no EmbeddingResponse")
        if response.error is not None:
            raise response.error
        reply = EmbeddingReply(response.embeddings, response.model, read_usage(response.usage), response.response_id)
        return _check_vectors(reply, len(inputs), options.dimensions)

    return PlainCall(
        resolution,
        encode,
        decode,
        ask_custom,
        started,
        timeout=options.timeout,
        retry=options.retry,
        tokens=_estimate_tokens(inputs),
        used=lambda reply: None if reply.usage is None else reply.usage.prompt_tokens,
    )


def _estimate_tokens(texts: Iterable[str]) -> int:
    """One for four bytes, rounded up."""
    return -(-sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // 4)


def _check_vectors(reply: EmbeddingReply, wanted: int, dimensions: int | None) -> EmbeddingReply:
    """What would spoil an index without a word: a vector too few, of another length, or with something in it that is no number."""
    vectors = reply.embeddings
    if len(vectors) != wanted:
        raise MalformedResponseError(f"{len(vectors)} vectors came back for {wanted} texts")
    lengths = {len(vector) for vector in vectors}
    if 0 in lengths:
        raise MalformedResponseError("one of the vectors is empty")
    if len(lengths) > 1:
        raise MalformedResponseError(f"the vectors differ in length: {sorted(lengths)}")
    if dimensions is not None and lengths != {dimensions}:
        raise MalformedResponseError(
            f"vectors of {lengths.pop()} numbers came back where dimensions={dimensions} was asked for",
            hint="leave dimensions out, or use a model whose vectors can be shorter",
        )
    # The sum is quick, and finite where each of them is; where it is not, they may only be huge.
    for vector in vectors:
        if not math.isfinite(sum(vector)) and not all(map(math.isfinite, vector)):
            raise MalformedResponseError("one of the vectors holds a number that is not finite")
    return reply


def finish_embedding(
    call: PlainCall[EmbeddingReply], reply: PlainReply[EmbeddingReply], requested: str, inputs: tuple[str, ...]
) -> EmbeddingResponse:
    """The vectors, who made them, and what they cost; tokens are estimated where the provider reports none."""
    candidate, value = reply.candidate, reply.value
    usage = value.usage
    if usage is None:
        usage = Usage(_estimate_tokens(inputs), estimated=True)
    charge(usage, candidate.info)
    return EmbeddingResponse(
        embeddings=value.embeddings,
        model=value.model or candidate.ref.model,
        usage=usage,
        response_id=value.response_id,
        **_who(call, reply, requested),
    )


# Token counts -------------------------------------------------------------------------------------------------------


def token_count_call(
    resolution: Resolution, request: LLMRequest, under: Mapping[str, Any] | None, started: float
) -> PlainCall[int]:
    def encode(provider: BaseLLMProvider, target: Target) -> EncodedRequest:
        codec = provider.token_count
        if codec is None:
            raise _not_supported(provider, "counts no tokens", _counts)
        return codec.encode(request, target, under=under)

    def decode(provider: BaseLLMProvider, body: bytes) -> int:
        assert provider.token_count is not None
        return provider.token_count.decode(body)

    async def ask_custom(provider: Provider, model: str) -> int:
        raise NotSupportedError(f"provider {provider.name} counts no tokens", hint=_who_can(_counts))

    deadline = None if request.deadline is None else started + request.deadline
    # No tokens to reserve: vendors count the requests of this endpoint, and apart from chat's.
    # https://platform.claude.com/docs/en/build-with-claude/token-counting#pricing-and-rate-limits (2026-11-21)
    return PlainCall(
        resolution,
        encode,
        decode,
        ask_custom,
        started,
        timeout=request.timeout,
        deadline=deadline,
        retry=request.retry,
    )


def finish_token_count(reply: PlainReply[int]) -> TokenCount:
    ref = reply.candidate.ref
    return TokenCount(tokens=reply.value, exact=True, model=str(ref), source=f"provider {ref.provider}")


# Rankings -----------------------------------------------------------------------------------------------------------


def rerank_call(resolution: Resolution, request: RerankRequest, started: float) -> PlainCall[RerankReply]:
    def encode(provider: BaseLLMProvider, target: Target) -> EncodedRequest:
        if not isinstance(provider.dialect, Reranks):
            raise _not_supported(provider, "ranks no documents", _ranks)
        return provider.dialect.rerank.encode(request, target)

    def decode(provider: BaseLLMProvider, body: bytes) -> RerankReply:
        reply = cast("Reranks", provider.dialect).rerank.decode(body)
        count = len(request.documents)
        places = [found.index for found in reply.results]
        if any(not 0 <= place < count for place in places):
            raise MalformedResponseError(f"the ranking names a document past the {count} that were sent")
        if len(set(places)) < len(places):
            raise MalformedResponseError("the ranking names a document twice")
        return reply

    async def ask_custom(provider: Provider, model: str) -> RerankReply:
        raise NotSupportedError(f"provider {provider.name} ranks no documents", hint=_who_can(_ranks))

    return PlainCall(
        resolution,
        encode,
        decode,
        ask_custom,
        started,
        tokens=_estimate_tokens((request.query, *request.documents)),
    )


def finish_rerank(
    call: PlainCall[RerankReply], reply: PlainReply[RerankReply], requested: str, documents: Sequence[str]
) -> RerankResponse:
    found = [RankedDocument(one.index, one.score, documents[one.index]) for one in reply.value.results]
    return RerankResponse(
        results=found,
        model=reply.candidate.ref.model,
        search_units=reply.value.search_units,
        response_id=reply.value.response_id,
        **_who(call, reply, requested),
    )


# All of them --------------------------------------------------------------------------------------------------------


def _who(call: PlainCall[Any], reply: PlainReply[Any], requested: str) -> dict[str, Any]:
    return {
        "requested_model": requested,
        "provider": reply.candidate.ref.provider,
        "alias": call.resolution.alias,
        "profile": call.resolution.profile or None,
        "request_id": reply.request_id,
        "warnings": list(reply.warnings),
        "attempts": [asdict(attempt) for attempt in call.attempts],
        "body": reply.raw,
    }


def _embeds(dialect: Dialect) -> bool:
    return dialect.embeddings is not None


def _counts(dialect: Dialect) -> bool:
    return dialect.token_count is not None


def _ranks(dialect: Dialect) -> bool:
    return isinstance(dialect, Reranks)


def _not_supported(provider: BaseLLMProvider, what: str, can: Callable[[Dialect], bool]) -> NotSupportedError:
    return NotSupportedError(
        f"provider {provider.name} {what} (its dialect {provider.row.dialect} has no words for it)", hint=_who_can(can)
    )


def _who_can(can: Callable[[Dialect], bool]) -> str:
    names = [row.name for row in PROVIDERS.values() if any(can(get_dialect(name)) for name in row.dialects)]
    return f"providers that can: {', '.join(names)}" if names else "no provider that llmring knows can"
