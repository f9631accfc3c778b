"""What goes into a conversation: messages made of typed parts, and the one normalizer that every entry uses.

Nothing here changes what the caller passed: dicts and lists are read, and copies are made.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias, cast, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator

from llmring.schemas.tools import ToolCall

JSONDict: TypeAlias = dict[str, Any]


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


RoleName: TypeAlias = Literal["system", "user", "assistant", "tool"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, ser_json_inf_nan="constants")

    def __getitem__(self, key: str) -> Any:
        """Parts also read as dicts: `part["type"]`."""
        if key in type(self).model_fields:
            return getattr(self, key)
        raise KeyError(key)


class TextPart(_Part):
    """Text."""

    type: Literal["text"] = "text"
    text: str


_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+=-]+)*?)(;base64)?,", re.ASCII | re.IGNORECASE)


def _split_data_url(url: str, what: str) -> tuple[str | None, bytes]:
    match = _DATA_URL.match(url)
    if match is None or not match[3]:
        raise ValueError(f"{what}: a data URL must read data:<media type>;base64,<data>")
    try:
        return match[1], base64.b64decode(url[match.end() :], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{what}: the data URL's base64 is broken: {error}") from None


class _Media(_Part):
    """Shared by images and files: exactly one source; bytes are held as bytes and written as base64 in JSON."""

    data: bytes | None = Field(default=None, repr=False)
    media_type: str | None = None

    @field_validator("data", mode="before")
    @classmethod
    def _read_base64(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise ValueError(f"data: not base64: {error}") from None
        return value

    @field_serializer("data", when_used="unless-none")
    def _write_base64(self, value: bytes) -> str:
        return base64.b64encode(value).decode()


# The first bytes of the image formats that vendors take; WebP is checked apart because its marker stands at byte 8.
_IMAGE_MARKERS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


def sniff_image_type(data: bytes) -> str | None:
    """The media type of an image by its first bytes, None where they are no known image."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for marker, media_type in _IMAGE_MARKERS if data.startswith(marker)), None)


class ImagePart(_Media):
    """An image, by URL or by bytes.

    url: http(s), passed on to providers that fetch images themselves; a data URL is read into `data`.
    data: the image's bytes. media_type: default, what the bytes say. detail: how closely to look; default, the provider's.
    """

    type: Literal["image"] = "image"
    url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ImagePart:
        if self.url is not None and self.url[:5].lower() == "data:":
            media_type, self.data = _split_data_url(self.url, "image")
            self.media_type = self.media_type or media_type
            self.url = None
        if (self.url is None) == (self.data is None):
            raise ValueError("an image has either a url or data, and only one of them")
        if self.url is not None and not self.url.lower().startswith(("https://", "http://")):
            raise ValueError("image: url must start with https://, http:// or data:")
        if self.data is not None and self.media_type is None:
            self.media_type = sniff_image_type(self.data)
            if self.media_type is None:
                raise ValueError("image: the bytes are no PNG, JPEG, GIF, WebP or BMP; name the media_type")
        if self.media_type is not None and not self.media_type.startswith("image/"):
            raise ValueError("image: media_type must start with image/; documents go into a FilePart")
        return self


class FilePart(_Media):
    """A document, by bytes or by the id that the provider gave it when it was uploaded."""

    type: Literal["file"] = "file"
    file_id: str | None = None
    filename: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> FilePart:
        if (self.file_id is None) == (self.data is None):
            raise ValueError("a file has either a file_id or data, and only one of them")
        if self.data is not None and self.media_type is None:
            if not self.data.startswith(b"%PDF-"):
                raise ValueError("file: the bytes are no PDF; name the media_type")
            self.media_type = "application/pdf"
        return self


class ThinkingPart(_Part):
    """What a model thought before it answered. `signature` is the provider's seal, without which it takes none back."""

    type: Literal["thinking"] = "thinking"
    text: str
    signature: str | None = None


class ToolUsePart(_Part):
    """A tool call, written as a part; `Message.tool_calls` is the same thing written apart."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    arguments: JSONDict = Field(default_factory=dict)


class ToolOutputPart(_Part):
    """A tool's result, written as a part of a tool message."""

    type: Literal["tool_output"] = "tool_output"
    tool_call_id: str
    content: str
    is_error: bool = False


Part: TypeAlias = Annotated[
    TextPart | ImagePart | FilePart | ThinkingPart | ToolUsePart | ToolOutputPart, Field(discriminator="type")
]


def _read_part(part: object) -> object:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return _part_from_dict(cast("Mapping[str, Any]", part)) if isinstance(part, Mapping) else part


def _part_from_dict(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenAI's spellings of parts, read as ours. Anything else is left for the part types to judge."""
    match part:
        case {"type": "image_url", "image_url": str(url)}:
            return {"type": "image", "url": url}
        case {"type": "image_url", "image_url": {"url": str(url), **rest}}:
            return {"type": "image", "url": url, **rest}
        case {"type": "file", "file": {"file_data": str(url), **rest}} if url[:5].lower() == "data:":
            media_type, data = _split_data_url(url, "file")
            return {"type": "file", "data": data, "media_type": media_type, **rest}
        case {"type": "file", "file": {"file_id": str(file_id), **rest}}:
            return {"type": "file", "file_id": file_id, **rest}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case _:
            return part


# What a reply of OpenAI's chat API has beside what a request takes.
_REPLY_FIELDS = frozenset({"refusal", "annotations", "audio", "function_call"})


class Message(BaseModel):
    """One turn of a conversation.

    role: system, user, assistant or tool. content: text, a list of parts, or None on an assistant turn that only calls tools.
    tool_calls: calls the assistant made, in OpenAI's shape or as `ToolCall`. tool_call_id: on a tool turn, the call it answers.
    name: who speaks, where a provider takes it. metadata: yours; providers never see it.
    """

    # NaN stays NaN: metadata is the caller's, and written data must read back unchanged.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, ser_json_inf_nan="constants")

    role: Role
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: JSONDict | None = None

    if TYPE_CHECKING:
        # What may be given is wider than what is kept; pydantic alone would tell type checkers of the latter.
        def __init__(
            self,
            *,
            role: Role | RoleName,
            content: str | Part | Mapping[str, Any] | Sequence[Part | Mapping[str, Any] | str] | None = None,
            tool_calls: Sequence[ToolCall | Mapping[str, Any]] | None = None,
            tool_call_id: str | None = None,
            name: str | None = None,
            metadata: JSONDict | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _leave_empty_reply_fields(cls, data: object) -> object:
        """OpenAI's replies carry fields that requests do not take; users append whole replies to their lists."""
        if not isinstance(data, Mapping):
            return data
        given = cast("Mapping[str, Any]", data)
        if _REPLY_FIELDS.isdisjoint(given):
            return given
        kept = {name: value for name, value in given.items() if value or name not in _REPLY_FIELDS}
        if kept.get("content") is None and isinstance(kept.get("refusal"), str):
            kept["content"] = kept.pop("refusal")
        return kept

    @field_validator("content", mode="before")
    @classmethod
    def _read_content(cls, value: object) -> object:
        if isinstance(value, str):  # most content; asking for a model or a Mapping is slow
            return value
        if isinstance(value, (_Part, Mapping)):
            return [_read_part(cast("object", value))]
        if isinstance(value, (list, tuple)):
            return [_read_part(item) for item in cast("Sequence[object]", value)]
        return value

    @field_validator("tool_calls", mode="before")
    @classmethod
    def _read_tool_calls(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return [
                ToolCall.from_dict(cast("Mapping[str, Any]", item))
                if isinstance(item, Mapping) and not isinstance(item, ToolCall)
                else item
                for item in cast("Sequence[object]", value)
            ]
        return value

    @model_validator(mode="after")
    def _has_what_its_role_needs(self) -> Message:
        if self.role is Role.TOOL and self.tool_call_id is None and not self._has_outputs():
            raise ValueError("a tool message needs tool_call_id: the id of the call that it answers")
        if self.content in (None, []) and not (self.role is Role.ASSISTANT and self.tool_calls):
            raise ValueError("content may be None or [] only on an assistant message that has tool_calls")
        return self

    def _has_outputs(self) -> bool:
        return isinstance(self.content, list) and any(isinstance(part, ToolOutputPart) for part in self.content)

    @property
    def text(self) -> str:
        """All text of the message, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content or () if isinstance(part, TextPart))

    @classmethod
    def user(cls, content: str | Sequence[Part]) -> Message:
        return cls(role=Role.USER, content=content)

    @classmethod
    def system(cls, content: str) -> Message:
        return cls(role=Role.SYSTEM, content=content)

    @classmethod
    def assistant(
        cls, content: str | Sequence[Part] | None = None, tool_calls: Sequence[ToolCall] | None = None
    ) -> Message:
        return cls(
            role=Role.ASSISTANT,
            content=content,
            tool_calls=tool_calls or None,
        )

    ai = assistant

    @classmethod
    def tool_result(cls, tool_call_id: str, content: str, name: str | None = None) -> Message:
        return cls(role=Role.TOOL, content=content, tool_call_id=tool_call_id, name=name)

    def to_dict(self) -> JSONDict:
        """The message as JSON data, without what is unset; `from_dict` reads it back unchanged."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """Reads our shape and OpenAI's. Raises pydantic's ValidationError for anything else."""
        return cls.model_validate(dict(data))


@runtime_checkable
class HasMessages(Protocol):
    """Anything that can give its messages, such as a conversation."""

    def get_messages(self) -> Sequence[Message]: ...


MessageInput: TypeAlias = (
    "str | Message | Mapping[str, Any] | HasMessages | Iterable[str | Message | Mapping[str, Any] | HasMessages]"
)
"""What may be passed wherever messages are wanted: text, a message, a dict, a conversation, or a list of these."""


def normalize_messages(messages: MessageInput) -> list[Message]:
    """Any accepted form as a new list of messages. Text is a user message. The argument is never changed.

    Raises pydantic's ValidationError for a dict that is no message, TypeError for anything else.
    """
    return [item if isinstance(item, Message) else Message.from_dict(item) for item in spread_messages(messages)]


def spread_messages(messages: MessageInput) -> list[Message | Mapping[str, Any]]:
    """As `normalize_messages`, with dicts left unread: `LLMRequest` reads them itself, so that its errors name the place."""
    # Lists first: asking whether something is a model, a Mapping, or has a method of HasMessages is slow.
    if not isinstance(messages, (list, tuple)):
        if isinstance(messages, (str, Message, Mapping)):
            return _spread_one(cast("str | Message | Mapping[str, Any]", messages))
        if isinstance(messages, HasMessages):
            return list(messages.get_messages())
    given = cast("object", messages)
    if not isinstance(given, Iterable) or isinstance(given, (bytes, bytearray)):
        raise _no_message(given)
    return [message for item in cast("Iterable[object]", given) for message in _spread_one(item)]


def _spread_one(item: object) -> list[Message | Mapping[str, Any]]:
    if isinstance(item, Message):
        return [item]
    if isinstance(item, str):
        return [Message(role=Role.USER, content=item)]
    if isinstance(item, Mapping):
        return [cast("Mapping[str, Any]", item)]
    if isinstance(item, HasMessages):
        return list(item.get_messages())
    raise _no_message(item)


def _no_message(given: object) -> TypeError:
    kind = type(given).__name__
    return TypeError(f"messages: expected text, a message, a dict, a conversation or a list of these, not {kind}")
