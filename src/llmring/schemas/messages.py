"""What goes into a conversation: messages made of typed parts, and the one normalizer that every entry uses.

Nothing here changes what the caller passed: dicts and lists are read, and copies are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

from llmring.schemas.media_parts import BasePart, FilePart, ImagePart, JSONDict
from llmring.schemas.parts import (
    Part,
    ProviderPart,
    TextPart,
    ThinkingPart,
    ToolOutputPart,
    ToolUsePart,
    read_part,
)
from llmring.schemas.tools import ToolCall

__all__ = [
    "FOREIGN",
    "BasePart",
    "FilePart",
    "HasMessages",
    "ImagePart",
    "JSONDict",
    "Message",
    "MessageInput",
    "Part",
    "ProviderPart",
    "Role",
    "RoleName",
    "TextPart",
    "ThinkingPart",
    "ToolOutputPart",
    "ToolUsePart",
    "normalize_messages",
    "spread_messages",
]


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


RoleName: TypeAlias = Literal["system", "user", "assistant", "tool"]


# `model_validate(data, context=FOREIGN)`: the data is not the program's own, so it may not name files of this machine.
FOREIGN: Final[Mapping[str, Any]] = {}

# What a reply of OpenAI's chat API has beside what a request takes.
_REPLY_FIELDS = frozenset({"refusal", "annotations", "audio", "function_call"})


class Message(BaseModel):
    """One turn of a conversation.

    role: system, user, assistant or tool. content: text, a list of parts, or None on an assistant turn that only calls tools.
    tool_calls: calls the assistant made, in OpenAI's shape or as `ToolCall`. tool_call_id: on a tool turn, the call it answers.
    name: who speaks, where a provider takes it. model: of an assistant turn, the `provider:model` that gave it; providers see nothing of
    it. metadata: yours; providers see nothing of it but
    "cache_control", which marks where Anthropic's cache of prompts may end: {"cache_control": {"type": "ephemeral", "ttl": "1h"}}.
    """

    # NaN stays NaN: metadata is the caller's, and written data must read back unchanged.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, ser_json_inf_nan="constants")

    role: Role
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    model: str | None = None
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
            model: str | None = None,
            metadata: JSONDict | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _leave_empty_reply_fields(cls, data: object) -> object:
        """OpenAI's replies carry fields that requests do not take; users append whole replies to their lists."""
        if type(data) is not dict and not isinstance(data, Mapping):  # most are dicts; asking for a Mapping is slow
            return data
        given = cast("Mapping[str, Any]", data)
        return given if _REPLY_FIELDS.isdisjoint(given) else _without_reply_fields(given)

    @field_validator("content", mode="before")
    @classmethod
    def _read_content(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str):  # most content; asking for a model or a Mapping is slow
            return value
        trusted = info.context is not FOREIGN
        if isinstance(value, (BasePart, Mapping)):
            return [read_part(cast("object", value), trusted=trusted)]
        if isinstance(value, (list, tuple)):
            return [read_part(item, trusted=trusted) for item in cast("Sequence[object]", value)]
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
        if not self.content and self.content != "" and not (self.role is Role.ASSISTANT and self.tool_calls):
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

    def to_log_dict(self) -> JSONDict:
        """The message for logs: as `to_dict`, but of images and files only what they are (type, name, size, SHA-256). Texts are kept.

        `from_dict` does not read it back where there were any.
        """
        if not isinstance(self.content, list):
            return self.to_dict()
        written = self.model_dump(mode="json", exclude_none=True, exclude={"content"})
        return written | {"content": [part.to_log_dict() for part in self.content]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """Reads our shape and OpenAI's. Raises pydantic's ValidationError for anything else, and for the path of an image: stored
        and received messages hold their images; a path is for `Message(content=…)`."""
        return cls.model_validate(dict(data), context=FOREIGN)


def _without_reply_fields(given: Mapping[str, Any]) -> JSONDict:
    kept = {name: value for name, value in given.items() if value or name not in _REPLY_FIELDS}
    if kept.get("content") is None and isinstance(kept.get("refusal"), str):
        kept["content"] = kept.pop("refusal")
    return kept


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
    return [
        item if isinstance(item, Message) else Message.model_validate(dict(item)) for item in spread_messages(messages)
    ]


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
