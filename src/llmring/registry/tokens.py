"""How many tokens a text or a request will be, without asking anybody: no network, no key, no download.

Exact for texts of OpenAI's models where their tokenizer is here, else estimated from bytes; the answer says which. What a request
has around its texts (roles, tools, images) is known to its provider alone, so a whole request is never called exact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

from llmring.registry.media_tokens import document_tokens, image_tokens
from llmring.schemas.media_parts import FilePart, ImagePart, MediaPart
from llmring.schemas.messages import Message
from llmring.schemas.parts import ProviderPart, TextPart, ThinkingPart, ToolOutputPart, ToolUsePart
from llmring.schemas.request import LLMRequest
from llmring.schemas.response import LLMResponse
from llmring.schemas.response_format import read_response_format
from llmring.schemas.token_count import TokenCount

# Guess, until usage teaches better. docs/token-counts.md has what OpenAI's tokenizers make of texts, code and base64.
BYTES_PER_TOKEN: Final = 4.0
# OpenAI's own recipe for chats: https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
# (2026-11-21). For everybody else's models a guess.
_MESSAGE_TOKENS, _NAME_TOKENS, _ANSWER_TOKENS = 3, 1, 3

# Whose images cost what. A provider that is none of these is guessed.
_FAMILIES: Final = {
    "openai": "openai",
    "azure": "openai",
    "anthropic": "anthropic",
    "vertex_anthropic": "anthropic",
    "bedrock_anthropic": "anthropic",
    "google": "google",
    "vertex": "google",
}
# Below this, a text's ratio is chance. Above the second, old samples fade, so that a model that changes is followed. Guesses.
_MIN_LEARNED_TOKENS, _MIN_LEARNED_BYTES, _MAX_LEARNED_TOKENS = 50, 400, 200_000
_MAX_MODELS: Final = 1_000
# Past this, counting keeps an event loop for more than a few milliseconds.
_LARGE_CHARS: Final = 50_000


def estimate_tokens(content: str | LLMRequest, model: str) -> TokenCount:
    """A text's or a request's tokens for a model, offline. model: `provider:model`.

    `.exact` is True only for a text whose tokenizer is here. May take half a second the first time: in async code, prefer
    `LLMRing.estimate_tokens`, or call it in a thread.
    """
    return TokenEstimator().estimate(content, model)


class TokenEstimator:
    """Estimates that get better with use: `learn(response)` compares what a model reported with the bytes it read and wrote.

    Holds two numbers a model, for 1,000 models at most. A ring has one and teaches it with every answer.
    """

    def __init__(self) -> None:
        self._learned: dict[str, tuple[float, float]] = {}  # bytes and tokens, by `provider:model`

    def bytes_per_token(self, model: str) -> float:
        """What is used for this model where its tokenizer is not here: what usage taught, else 4.0."""
        learned = self._learned.get(model)
        return BYTES_PER_TOKEN if learned is None else learned[0] / learned[1]

    def learn(self, response: LLMResponse) -> None:
        """Takes an answer's reported usage into account; estimated usage, tools, images and thinking teach nothing."""
        usage = response.usage
        # A short answer to a short question is done with here: this is on every call's way.
        if usage["total_tokens"] < _MIN_LEARNED_TOKENS or usage["estimated"] or not response.called_model:
            return
        content = response.content
        if content and not response.tool_calls and not usage["reasoning_tokens"] and response.reasoning is None:
            self.observe(response.called_model, _size(content), usage["completion_tokens"])
        request = response.request
        if request is None or request.tools or request.response_format is not None:
            return
        size, messages = 0, request.messages
        for message in messages:
            if not isinstance(message.content, str):
                return
            size += _size(message.content)
        overhead = len(messages) * _MESSAGE_TOKENS + _ANSWER_TOKENS
        self.observe(response.called_model, size, usage["prompt_tokens"] - overhead)

    def observe(self, model: str, size_bytes: int, tokens: int) -> None:
        """That a text of so many bytes was so many tokens. Short texts, and ratios that no text has, are left out."""
        # Half a byte to 16 bytes a token: outside of that, what was counted was not this text.
        if size_bytes < _MIN_LEARNED_BYTES or not size_bytes / 16 <= tokens <= size_bytes * 2:
            return
        known_bytes, known_tokens = self._learned.get(model, (0.0, 0.0))
        if known_tokens > _MAX_LEARNED_TOKENS:
            known_bytes, known_tokens = known_bytes / 2, known_tokens / 2
        elif not known_tokens and len(self._learned) >= _MAX_MODELS:
            self._learned.clear()
        self._learned[model] = (known_bytes + size_bytes, known_tokens + tokens)

    def is_slow(self, content: str | LLMRequest, model: str) -> bool:
        """Whether `estimate` belongs in a thread: a tokenizer has to be loaded, a file read, or a long text counted."""
        from llmring.registry.vocabulary import is_loaded

        encoding = _encoding_of(model)
        if encoding is not None and not is_loaded(encoding):
            return True
        if isinstance(content, str):
            return len(content) > _LARGE_CHARS
        if any(True for message in content.messages for _ in _media(message)):
            return True
        return sum(len(text) for text in _texts(content)) > _LARGE_CHARS

    def estimate(self, content: str | LLMRequest, model: str) -> TokenCount:
        """As the function `estimate_tokens`, with what was learned."""
        from llmring.registry.vocabulary import vocabulary

        encoding = _encoding_of(model)
        words = None if encoding is None else vocabulary(encoding)
        if words is None:
            ratio = self.bytes_per_token(model)
            said = "learned from usage" if model in self._learned else "a guess"
            count, source = _count_by_bytes, f"{ratio:.2f} bytes a token ({said})"
        else:
            ratio, count, source = 1.0, words.count, f"tiktoken {words.name}"
        if isinstance(content, str):
            tokens, is_whole = count(content)
            # Whoever stands between may have another tokenizer behind a model's name; OpenAI has not.
            exact = words is not None and is_whole and model.startswith("openai:")
            return TokenCount(tokens=_up(tokens / ratio), exact=exact, model=model, source=source)
        tokens = _up(sum(count(text)[0] for text in _texts(content)) / ratio) + _frame_tokens(content)
        media = [part for message in content.messages for part in _media(message)]
        if media:
            tokens += sum(_media_tokens(part, model, count, ratio) for part in media)
            source += ", images and documents by rule"
        return TokenCount(tokens=tokens, exact=False, model=model, source=source)


def _encoding_of(model: str) -> str | None:
    """The tokenizer of `provider:model`, None where it is not OpenAI's, or nobody says which it is."""
    from llmring.registry.vocabulary import encoding_of

    provider, _, name = model.partition(":")
    if provider in {"openai", "azure"}:
        return encoding_of(name)
    # OpenAI's at others: openrouter:openai/gpt-5, groq:openai/gpt-oss-20b, ollama:gpt-oss:20b.
    own = name.removeprefix("openai/")
    if own == name and not name.startswith("gpt-oss"):
        return None
    return encoding_of(own.replace("gpt-oss:", "gpt-oss-", 1))


def _count_by_bytes(text: str) -> tuple[int, bool]:
    return _size(text), False


def _size(text: str) -> int:
    # Half a surrogate pair may stand in what callers give.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _up(tokens: float) -> int:
    return -int(-tokens // 1)


def _frame_tokens(request: LLMRequest) -> int:
    names = sum(1 for message in request.messages if message.name is not None)
    return len(request.messages) * _MESSAGE_TOKENS + names * _NAME_TOKENS + _ANSWER_TOKENS


def _texts(request: LLMRequest) -> Iterator[str]:
    """All that a request has in words: what is said, called and given back, the tools, and the schema of the answer."""
    for message in request.messages:
        yield from _message_texts(message)
    for tool in request.tools or ():
        yield _json(tool)
    if request.response_format is not None:
        wanted = read_response_format(request.response_format)
        if wanted is not None and wanted.schema is not None:
            yield _json(wanted.schema)


def _message_texts(message: Message) -> Iterator[str]:
    content = message.content
    if message.name is not None:
        yield message.name
    for call in message.tool_calls or ():
        yield call.name
        yield call.raw_arguments
    if isinstance(content, str):
        yield content
        return
    for part in content or ():
        match part:
            case TextPart() | ThinkingPart():
                yield part.text
            case ToolUsePart():
                yield part.name
                yield _json(part.arguments)
            case ToolOutputPart():
                if isinstance(part.content, str):
                    yield part.content
                else:
                    yield from (inner.text for inner in part.content if isinstance(inner, TextPart))
            case ProviderPart():
                yield _json(part.data)
            case _:
                pass


def _media(message: Message) -> Iterator[MediaPart]:
    if isinstance(message.content, str):
        return
    for part in message.content or ():
        if isinstance(part, MediaPart):
            yield part
        elif isinstance(part, ToolOutputPart) and not isinstance(part.content, str):
            yield from (inner for inner in part.content if isinstance(inner, MediaPart))


def _media_tokens(part: MediaPart, model: str, count: Callable[[str], tuple[int, bool]], ratio: float) -> int:
    provider, _, name = model.partition(":")
    family = _FAMILIES.get(provider, provider)
    if isinstance(part, ImagePart):
        return image_tokens(part, family, name)
    file = cast("FilePart", part)
    if (file.media_type or "").startswith("text/") and file.data is not None:
        return _up(count(file.data.decode("utf-8", "replace"))[0] / ratio)
    return document_tokens(file, family, name)


def _json(value: Mapping[str, Any]) -> str:
    """As it is sent, about. What JSON cannot say is for the call to complain about."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), skipkeys=True, default=repr)
    except (ValueError, RecursionError):  # it holds itself, or is nested without end
        return ""
