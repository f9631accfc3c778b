"""Messages as this dialect writes them: system texts apart, two roles, tool results together and by the tool's name.

https://ai.google.dev/api/caching#Content (2026-11-21)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    ProviderPart,
    Role,
    TextPart,
    ThinkingPart,
    ToolOutputPart,
)
from llmring.schemas.tools import ToolCall
from llmring.wire.base import Quirks
from llmring.wire.turns import assistant_items

NAME: Final = "gemini_generate"

# What stands for the seal of a call that another vendor's model made. The API takes it as it is, in place of base64:
# https://ai.google.dev/gemini-api/docs/thought-signatures and
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thought-signatures (2026-11-21)
NO_SIGNATURE: Final = "skip_thought_signature_validator"
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/gemini/3-5-flash-lite (2026-11-21)
_IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
# By the end of a URL's path, where nobody named the type: Vertex wants one.
_TYPES_BY_SUFFIX: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "pdf": "application/pdf",
    "txt": "text/plain",
}
_SUFFIX: Final = re.compile(r"[^?#]*\.([a-z]{3,4})(?:[?#].*)?", re.ASCII | re.IGNORECASE | re.DOTALL)

# What a result says for models that take media from the user alone: these follow it.
RESULT_FOLLOWS: Final = "The result is in the next message."

# Ids that `response.py` made up, because the model gave none: the API never saw them.
_MADE_UP_ID: Final = re.compile(r"call_(?:r[A-Za-z0-9_-]{0,24}_)?[0-9]{1,4}", re.ASCII)
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)


def make_call_id(response_id: str | None, index: int) -> str:
    """An id for a call that came without one; with the response's id in it, because other vendors want the ids of a whole
    conversation to differ. At most 36 characters of those that they all take."""
    stem = f"r{_NOT_IN_ID.sub('', response_id)[:24]}_" if response_id else ""
    return f"call_{stem}{index}"


class Turns:
    """`systemInstruction` and `contents` in the making. The request's messages are read only."""

    __slots__ = ("_media", "_names", "_quirks", "_results", "contents", "system", "warnings")

    def __init__(self, quirks: Quirks, warnings: list[str]) -> None:
        self.system: list[dict[str, Any]] = []
        self.contents: list[dict[str, Any]] = []
        self.warnings = warnings
        self._quirks = quirks
        self._names: dict[str, str] = {}  # tools by the ids of their calls
        self._results: list[dict[str, Any]] | None = None  # the content that results are added to
        self._media: list[dict[str, Any]] = []  # what the results show, for models that take no media in them

    def add(self, message: Message) -> None:
        content = message.content
        match message.role:
            case Role.USER:
                if content.__class__ is str:
                    self._put("user", [{"text": content}])
                    return
                parts = _parts(message)
                for part in parts:
                    if isinstance(part, ToolOutputPart):
                        self._add_result(part, message)
                said = [self._part(part, message) for part in parts if not isinstance(part, ToolOutputPart)]
                if said:
                    self._put("user", said)
            case Role.TOOL:
                self._add_tool_message(message)
            case Role.ASSISTANT:
                self._add_assistant(message)
            case Role.SYSTEM:
                self.system += [self._text(part, message) for part in _parts(message)]

    def finish(self) -> None:
        """Call once, after the last message."""
        if self._media:
            self._put("user", [])

    def _put(self, role: str, parts: list[dict[str, Any]]) -> None:
        """Appends a turn, or to the turn before where that is of the same role and holds no tool results: those stand alone,
        as many as there were calls."""
        follows_results = self._results is not None
        self._results = None
        media, self._media = self._media, []
        if media and role == "model":
            self.contents.append({"role": "user", "parts": media})
            media = []
        parts = media + parts
        if self.contents and not follows_results and self.contents[-1]["role"] == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})

    def _add_tool_message(self, message: Message) -> None:
        content = message.content
        if isinstance(content, str) or content is None:
            self._put_result(message.tool_call_id or "", content or "", [], message)
            return
        rest = [part for part in content if not isinstance(part, ToolOutputPart)]
        for part in content:
            if isinstance(part, ToolOutputPart):
                self._add_result(part, message)
        if rest:
            if message.tool_call_id is None:
                raise ConfigurationError("a tool message with parts besides its tool outputs needs tool_call_id")
            self._put_result(message.tool_call_id, *self._split(rest, message), message)

    def _add_result(self, part: ToolOutputPart, message: Message) -> None:
        if isinstance(part.content, str):
            self._put_result(part.tool_call_id, part.content, [], message, is_error=part.is_error)
        else:
            text, media = self._split(part.content, message)
            self._put_result(part.tool_call_id, text, media, message, is_error=part.is_error)

    def _split(self, parts: Sequence[Part], message: Message) -> tuple[str, list[dict[str, Any]]]:
        texts = [part.text for part in parts if isinstance(part, TextPart)]
        return "".join(texts), [self._part(part, message) for part in parts if not isinstance(part, TextPart)]

    def _put_result(
        self, id: str, text: str, media: list[dict[str, Any]], message: Message, *, is_error: bool = False
    ) -> None:
        name = self._names.get(id) or message.name
        if name is None:
            raise ConfigurationError(
                f"a tool's result answers the call {id[:40]!r}, which no message before it makes",
                hint=f"{NAME} names the tool: keep the assistant's message with the call, or set the tool message's name",
            )
        if media and not self._quirks.tool_media:
            self._media += [{"text": f"This is what {name} gave:"}, *media]
            text, media = text or RESULT_FOLLOWS, []
        result: dict[str, Any] = {"name": name, "response": {"error" if is_error else "output": text}}
        if not _MADE_UP_ID.fullmatch(id):
            result["id"] = id
        if media:
            result["parts"] = media
        if self._results is None:
            self._results = []
            self.contents.append({"role": "user", "parts": self._results})
        self._results.append({"functionResponse": result})

    def _text(self, part: Part, message: Message) -> dict[str, Any]:
        if not isinstance(part, TextPart):
            raise ConfigurationError(
                f"{NAME} cannot say a part of type {part.type!r} in a {message.role.value} message"
            )
        return {"text": part.text}

    def _part(self, part: Part, message: Message) -> dict[str, Any]:
        match part:
            case ImagePart():
                if part.detail is not None:
                    self.warnings.append(f"detail of an image was left out: {NAME} has no words for it")
                if part.data is not None and part.media_type not in _IMAGE_TYPES:
                    raise ConfigurationError(
                        f"{NAME} takes no image of type {part.media_type}",
                        hint=f"convert it to one of {', '.join(_IMAGE_TYPES)}",
                    )
                return _media(part)
            case FilePart():
                if part.citations:
                    self.warnings.append(f"citations of a file was left out: {NAME} has no words for it")
                return _media(part)
            case ProviderPart() if part.dialect == NAME:
                return part.data
            case _:
                return self._text(part, message)

    def _add_assistant(self, message: Message) -> None:
        items, left_out = assistant_items(message, NAME)
        if left_out and any(_is_foreign(part) for part in _parts(message)):
            self.warnings.append("thinking was left out of an assistant message: it was not sealed by this API")
        parts: list[dict[str, Any]] = []
        has_call = False
        for item in items:
            match item:
                case TextPart():
                    if item.text:  # the API refuses empty ones
                        parts.append({"text": item.text})
                case ThinkingPart():
                    _add_thinking(parts, item)
                case ToolCall():
                    parts.append(self._call(item, needs_seal=self._quirks.sealed_calls and not has_call))
                    has_call = True
                case _:
                    parts.append(self._part(item, message))
        if parts:
            self._put("model", parts)

    def _call(self, call: ToolCall, *, needs_seal: bool) -> dict[str, Any]:
        self._names[call.id] = call.name
        # Arguments that are no object have no place of their own here.
        arguments = call.arguments if call.parse_error is None else {"INVALID_JSON": call.raw_arguments}
        written: dict[str, Any] = {"name": call.name, "args": arguments}
        if not _MADE_UP_ID.fullmatch(call.id):
            written["id"] = call.id
        part: dict[str, Any] = {"functionCall": written}
        # The first call of a step carries the seal, the others none.
        signature = call.signature or (NO_SIGNATURE if needs_seal else None)
        if signature is not None:
            part["thoughtSignature"] = signature
        return part


def _add_thinking(parts: list[dict[str, Any]], part: ThinkingPart) -> None:
    """A seal without a thought belongs to the text before it, or to an empty text, as streams send it."""
    if part.signature is None:
        return  # it has an id, which is nothing here
    if part.text or part.redacted:
        parts.append({"text": part.text, "thought": True, "thoughtSignature": part.signature})
    elif parts and "text" in parts[-1] and parts[-1].keys() <= {"text"}:
        parts[-1] = {
            **parts[-1],
            "thoughtSignature": part.signature,
        }  # a copy: a provider's own part is the caller's dict
    else:
        parts.append({"text": "", "thoughtSignature": part.signature})


def _is_foreign(part: Part) -> bool:
    """Whether leaving a part out is worth a word: thoughts that this API did not seal need not go back to it."""
    return isinstance(part, (ThinkingPart, ProviderPart, ToolOutputPart)) and getattr(part, "dialect", None) != NAME


def _media(part: ImagePart | FilePart) -> dict[str, Any]:
    """https://ai.google.dev/gemini-api/docs/file-input-methods (2026-11-21): bytes, the URI of an uploaded file, or a public URL
    that the API fetches."""
    if part.data is not None:
        return {
            "inlineData": {
                "mimeType": part.media_type or "application/octet-stream",
                "data": base64.b64encode(part.data).decode(),
            }
        }
    uri = part.url or part.file_id or ""
    suffix = _SUFFIX.fullmatch(uri)
    kind = part.media_type or (_TYPES_BY_SUFFIX.get(suffix[1].lower()) if suffix else None)
    return {"fileData": {"fileUri": uri} if kind is None else {"mimeType": kind, "fileUri": uri}}


def _parts(message: Message) -> Sequence[Part]:
    content = message.content
    return [TextPart(text=content)] if isinstance(content, str) else cast("Sequence[Part]", content or ())
