"""Messages in this dialect, written as a client sends them. The request's messages are read only."""

from __future__ import annotations

import base64
from collections.abc import Sequence
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
from llmring.wire.base import Target
from llmring.wire.turns import assistant_items

NAME: Final = "openai_chat"
# A tool's result is text in this dialect; what else it holds follows in a message of the user, after the last result.
# https://platform.openai.com/docs/api-reference/chat/create (2026-11-21): content of a tool message.
RESULT_FOLLOWS: Final = "The result is in the next message."
DETAILS: Final = "reasoning_details"


class Turns:
    """`messages` in the making."""

    __slots__ = ("_calls", "_media", "_quirks", "_target", "_warnings", "has_media", "messages")

    def __init__(self, target: Target, warnings: list[str]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.has_media = False  # whether something of a tool's result waits for the user's turn
        self._quirks = target.quirks
        self._target = target
        self._warnings = warnings
        self._calls: dict[str, str] = {}  # what the tool of each call so far is named
        self._media: list[tuple[str, list[Part]]] = []

    def add(self, message: Message) -> None:
        role = message.role
        if self.has_media and role is not Role.TOOL:
            self._put_media()
        match role:
            case Role.SYSTEM:
                self._put(self._quirks.system_role, message, self._content(message))
            case Role.USER:
                parts = message.content
                if isinstance(parts, list):
                    # Results follow the calls that they answer; what else the user says comes after them.
                    self._put_outputs(parts)
                    parts = [part for part in parts if not isinstance(part, ToolOutputPart)]
                    if self.has_media:
                        self._put_media()
                    if message.content and not parts:
                        return
                    parts = [self._part(part, role) for part in parts]
                self._put("user", message, parts)
            case Role.ASSISTANT:
                self._add_assistant(message)
            case Role.TOOL:
                self._add_results(message)

    def end(self) -> list[dict[str, Any]]:
        if self.has_media:
            self._put_media()
        if self._quirks.image_strings:
            self._write_images_as_strings()
        return self.messages

    def _put(self, role: str, message: Message, content: object) -> dict[str, Any]:
        written: dict[str, Any] = {"role": role, "content": content}
        if message.name is not None:
            written["name"] = message.name
        self.messages.append(written)
        return written

    def _content(self, message: Message) -> str | list[dict[str, Any]] | None:
        content = message.content
        return content if not isinstance(content, list) else [self._part(part, message.role) for part in content]

    def _part(self, part: Part, role: Role) -> dict[str, Any]:
        takes_media = role is Role.USER or (role is Role.TOOL and self._quirks.tool_media)
        match part:
            case TextPart():
                return {"type": "text", "text": part.text}
            case ImagePart() if takes_media:
                if part.file_id is not None:
                    raise ConfigurationError(
                        f"{NAME} cannot name an uploaded image",
                        hint="give its bytes or its URL, or use the Responses API",
                    )
                image: dict[str, Any] = {"url": part.url or _data_url(part)}
                if part.detail is not None:
                    image["detail"] = part.detail
                return {"type": "image_url", "image_url": image}
            case FilePart() if takes_media:
                return {"type": "file", "file": self._file(part)}
            case _:
                raise ConfigurationError(f"{NAME} cannot say a part of type {part.type!r} in a {role.value} message")

    def _file(self, part: FilePart) -> dict[str, Any]:
        if part.file_id is not None:
            return {"file_id": part.file_id}
        if part.url is not None and not self._quirks.file_urls:
            raise ConfigurationError(f"{NAME} cannot name a file by its URL", hint="give its bytes")
        file = {"file_data": part.url or _data_url(part)}
        return file if part.filename is None else {**file, "filename": part.filename}

    def _write_images_as_strings(self) -> None:
        """Mistral's form: https://docs.mistral.ai/inference/quickstarts/analyze-an-image (2026-11-21)."""
        for message in self.messages:
            content = message["content"]
            for part in cast("list[dict[str, Any]]", content) if isinstance(content, list) else ():
                image = part.get("image_url")
                if isinstance(image, dict):
                    image = cast("dict[str, Any]", image)
                    part["image_url"] = image["url"]
                    if "detail" in image:
                        name = f"{self._target.provider}:{self._target.model}"
                        text = f"detail of an image was left out: {name} has no words for it"
                        if text not in self._warnings:
                            self._warnings.append(text)

    # Of the assistant

    def _add_assistant(self, message: Message) -> None:
        content: Any = message.content
        calls: list[ToolCall] = list(message.tool_calls or ())
        back: dict[str, Any] = {}
        if isinstance(content, list):
            items, left_out = assistant_items(message, NAME)
            calls = [item for item in items if isinstance(item, ToolCall)]
            said = [item for item in items if isinstance(item, (TextPart, ImagePart, FilePart))]
            thought = [item for item in items if isinstance(item, ThinkingPart)]
            back = self._thinking_back(thought, [item for item in items if isinstance(item, ProviderPart)])
            own = all(part.dialect == NAME for part in thought)
            if left_out or (thought and not own and self._quirks.thinking_back is None):
                self._warnings.append(f"thinking was left out of an assistant message: {NAME} has no words for it")
            if len(said) <= 1 and all(isinstance(part, TextPart) for part in said):
                # One text is written as text: many servers take no parts from the assistant.
                content = cast("TextPart", said[0]).text if said else (None if calls else "")
            else:
                content = [self._part(part, Role.ASSISTANT) for part in said]
            if "content" in back:
                texts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
                content = [*back.pop("content"), *cast("list[dict[str, Any]]", texts)]
        written = self._put("assistant", message, content)
        written.update(back)
        if calls:
            written["tool_calls"] = [self._call(call) for call in calls]

    def _call(self, call: ToolCall) -> dict[str, Any]:
        self._calls[call.id] = call.name
        if "extra_content" in call and not self._quirks.extra_content:
            return {name: value for name, value in call.items() if name != "extra_content"}
        return call

    def _thinking_back(self, thought: Sequence[ThinkingPart], blocks: Sequence[ProviderPart]) -> dict[str, Any]:
        """What a message's thinking is written as, by the key of the message that it stands under."""
        text = "".join(part.text for part in thought)
        match self._quirks.thinking_back:
            case "reasoning_content" if text:
                return {"reasoning_content": text}
            case "reasoning_details":
                found = [block.data.get(DETAILS) for block in blocks]
                details = [detail for given in found if isinstance(given, list) for detail in cast("list[Any]", given)]
                return {DETAILS: details} if details else {"reasoning": text} if text else {}
            case "content" if thought:
                return {"content": [_thinking_chunk(part) for part in thought]}
            case _:
                return {}

    # Of tools

    def _add_results(self, message: Message) -> None:
        # `name` is not sent: a tool message of this dialect has none, its call has.
        content: Any = message.content
        if not isinstance(content, list):
            self.messages.append({"role": "tool", "tool_call_id": message.tool_call_id, "content": content})
            return
        parts = cast("list[Part]", content)
        self._put_outputs(parts)
        rest = [part for part in parts if not isinstance(part, ToolOutputPart)]
        if parts and not rest:
            return
        if message.tool_call_id is None:
            raise ConfigurationError("a tool message with parts besides its tool outputs needs tool_call_id")
        self._put_result(message.tool_call_id, rest, plain=False)

    def _put_outputs(self, parts: Sequence[Part]) -> None:
        for part in parts:
            if isinstance(part, ToolOutputPart):
                if isinstance(part.content, str):
                    written = {"role": "tool", "tool_call_id": part.tool_call_id, "content": part.content}
                    self.messages.append(written)
                else:
                    self._put_result(part.tool_call_id, part.content, plain=True)

    def _put_result(self, id: str, parts: Sequence[Part], *, plain: bool) -> None:
        """plain: one text is written as text."""
        media = [part for part in parts if isinstance(part, (ImagePart, FilePart))]
        if media and not self._quirks.tool_media:
            parts = [part for part in parts if not isinstance(part, (ImagePart, FilePart))]
            self._media.append((self._calls.get(id, "the tool"), [*media]))
            self.has_media = plain = True
        content: Any = [self._part(part, Role.TOOL) for part in parts]
        if plain and len(content) <= 1 and not (content and content[0]["type"] != "text"):
            content = content[0]["text"] if content else RESULT_FOLLOWS if media else ""
        self.messages.append({"role": "tool", "tool_call_id": id, "content": content})

    def _put_media(self) -> None:
        for name, media in self._media:
            content = [{"type": "text", "text": f"This is what {name} gave:"}]
            content += [self._part(part, Role.USER) for part in media]
            self.messages.append({"role": "user", "content": content})
        self._media, self.has_media = [], False


def _thinking_chunk(part: ThinkingPart) -> dict[str, Any]:
    """ThinkChunk of mistralai 3.7.0 (2026-11-21)."""
    chunk: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": part.text}]}
    return chunk if part.signature is None else {**chunk, "signature": part.signature}


def _data_url(part: ImagePart | FilePart) -> str:
    return f"data:{part.media_type};base64,{base64.b64encode(part.data or b'').decode()}"
