"""Messages as this dialect writes them: system apart, roles in turn, tool results at the head of the user's turn."""

from __future__ import annotations

import base64
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
from llmring.wire.anthropic_messages.caching import is_marked, mark_message
from llmring.wire.anthropic_messages.tools import FILES_BETA, toolset_of
from llmring.wire.turns import CallIds, assistant_items

NAME: Final = "anthropic_messages"

# https://platform.claude.com/docs/en/build-with-claude/vision (2026-11-21)
_IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
# What stands for arguments that are no JSON object, as the vendor advises:
# https://platform.claude.com/docs/en/agents-and-tools/tool-use/fine-grained-tool-streaming (2026-11-21)
INVALID_JSON: Final = "INVALID_JSON"


class Turns:
    """`system` and `messages` in the making. The request's messages are read only."""

    __slots__ = ("_calls", "_ids", "_tools", "betas", "messages", "system", "warnings")

    def __init__(self, tools: Sequence[Mapping[str, Any]], betas: list[str], warnings: list[str]) -> None:
        self.system: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.betas = betas
        self.warnings = warnings
        self._tools = tools
        self._calls: dict[str, str] = {}  # calls of a toolset's members by id, and the toolset
        # "tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'": https://github.com/langchain-ai/langchain/pull/37756;
        # "`tool_use` ids must be unique": https://github.com/anthropics/claude-code/issues/20901 (2026-11-21)
        self._ids = CallIds()

    def add(self, message: Message) -> None:
        content = message.content
        match message.role:
            case Role.USER:
                last = self.messages[-1]["role"] if self.messages else ""
                if content.__class__ is str and last != "user" and not is_marked(message):
                    self.messages.append({"role": "user", "content": content})
                else:
                    self._put("user", message, self._user_blocks(message))
            case Role.TOOL:
                self._put("user", message, self._tool_blocks(message))
            case Role.ASSISTANT:
                self._add_assistant(message)
            case Role.SYSTEM:
                blocks = [self._text(part, message) for part in _parts(message)]
                blocks = [block for block in blocks if block["text"]]  # the API refuses empty texts
                mark_message(message, blocks)
                self.system += blocks

    def _put(self, role: str, message: Message, blocks: list[dict[str, Any]]) -> None:
        """Appends a turn, or to the turn before where that is of the same role: the roles have to take turns."""
        mark_message(message, blocks)
        if not self.messages or self.messages[-1]["role"] != role:
            self.messages.append({"role": role, "content": blocks})
            return
        turn = self.messages[-1]
        if isinstance(turn["content"], str):
            turn["content"] = [{"type": "text", "text": turn["content"]}]
        together = [*turn["content"], *blocks]
        if role == "user":
            # Results come first, or the API does not find them: https://platform.claude.com/docs/en/agents-and-tools/tool-use/
            # handle-tool-calls (2026-11-21)
            together.sort(key=lambda block: block["type"] != "tool_result")
        turn["content"] = together

    def _user_blocks(self, message: Message) -> list[dict[str, Any]]:
        blocks = [
            self._result(part) if isinstance(part, ToolOutputPart) else self._media(part, message)
            for part in _parts(message)
        ]
        blocks.sort(key=lambda block: block["type"] != "tool_result")
        return blocks

    def _tool_blocks(self, message: Message) -> list[dict[str, Any]]:
        content = message.content
        if isinstance(content, str) or content is None:
            return [self._result_block(message.tool_call_id or "", content or "")]
        blocks = [self._result(part) for part in content if isinstance(part, ToolOutputPart)]
        rest = [self._media(part, message) for part in content if not isinstance(part, ToolOutputPart)]
        if rest or not blocks:
            if message.tool_call_id is None:
                raise ConfigurationError("a tool message with parts besides its tool outputs needs tool_call_id")
            blocks.append(self._result_block(message.tool_call_id, rest))
        return blocks

    def _result(self, part: ToolOutputPart) -> dict[str, Any]:
        content = part.content
        blocks = content if isinstance(content, str) else [self._media(item, None) for item in content]
        written = self._result_block(part.tool_call_id, blocks)
        if part.is_error:
            written["is_error"] = True
        return written

    def _result_block(self, id: str, content: object) -> dict[str, Any]:
        written: dict[str, Any] = {"type": "tool_result", "tool_use_id": self._ids.of_result(id), "content": content}
        if id in self._calls:
            written["toolset_name"] = self._calls[id]
        return written

    def _text(self, part: Part, message: Message | None) -> dict[str, Any]:
        if not isinstance(part, TextPart):
            where = f"a {message.role.value} message" if message is not None else "a tool's result"
            raise ConfigurationError(f"{NAME} cannot say a part of type {part.type!r} in {where}")
        return {"type": "text", "text": part.text}

    def _media(self, part: Part, message: Message | None) -> dict[str, Any]:
        match part:
            case ImagePart():
                if part.detail is not None:
                    self.warnings.append(f"detail of an image was left out: {NAME} has no words for it")
                return {"type": "image", "source": self._image_source(part)}
            case FilePart():
                return self._document(part)
            case ProviderPart() if part.dialect == NAME:
                return _own_block(part)
            case _:
                return self._text(part, message)

    def _image_source(self, part: ImagePart) -> dict[str, Any]:
        if part.url is not None:
            return {"type": "url", "url": part.url}
        if part.file_id is not None:
            return self._file_source(part.file_id)
        if part.media_type not in _IMAGE_TYPES:
            raise ConfigurationError(
                f"{NAME} takes no image of type {part.media_type}",
                hint=f"convert it to one of {', '.join(_IMAGE_TYPES)}",
            )
        return {"type": "base64", "media_type": part.media_type, "data": base64.b64encode(part.data or b"").decode()}

    def _file_source(self, file_id: str) -> dict[str, Any]:
        if FILES_BETA not in self.betas:
            self.betas.append(FILES_BETA)
        return {"type": "file", "file_id": file_id}

    def _document(self, part: FilePart) -> dict[str, Any]:
        """https://platform.claude.com/docs/en/build-with-claude/pdf-support and …/citations (2026-11-21)."""
        kind = part.media_type or ""
        if part.file_id is not None:
            source = self._file_source(part.file_id)
        elif part.url is not None:
            source = {"type": "url", "url": part.url}
        elif kind == "application/pdf":
            data = base64.b64encode(part.data or b"").decode()
            source = {"type": "base64", "media_type": kind, "data": data}
        elif kind.startswith("text/"):
            # Plain text is the one type of text that it knows; Markdown and CSV are plain text as well.
            source = {"type": "text", "media_type": "text/plain", "data": (part.data or b"").decode(errors="replace")}
        else:
            raise ConfigurationError(
                f"{NAME} takes no file of type {kind}", hint="give a PDF or text, or put its contents into a message"
            )
        written: dict[str, Any] = {"type": "document", "source": source}
        if part.filename is not None:
            written["title"] = part.filename
        if part.citations is not None:
            written["citations"] = {"enabled": part.citations}
        return written

    def _add_assistant(self, message: Message) -> None:
        content = message.content
        same = bool(self.messages) and self.messages[-1]["role"] == "assistant"
        if content.__class__ is str and content and not message.tool_calls and not is_marked(message) and not same:
            self.messages.append({"role": "assistant", "content": content})
            return
        items, left_out = assistant_items(message, NAME)
        self._ids.begin()
        if left_out:
            self.warnings.append(
                "thinking (or a block of another API) was left out of an assistant message: this API did not seal it"
            )
        blocks: list[dict[str, Any]] = []
        for item in items:
            match item:
                case TextPart():
                    if item.text:
                        blocks.append({"type": "text", "text": item.text})
                case ThinkingPart():
                    if item.redacted:
                        blocks.append({"type": "redacted_thinking", "data": item.signature or ""})
                    elif item.signature is not None:
                        blocks.append({"type": "thinking", "thinking": item.text, "signature": item.signature})
                case ProviderPart():
                    blocks.append(_own_block(item))
                case ToolCall():
                    blocks.append(self._call(item))
                case _:
                    raise ConfigurationError(f"{NAME} cannot say a part of type {item.type!r} in an assistant message")
        if len(blocks) == 1 and blocks[0]["type"] == "text" and not same and not is_marked(message):
            self.messages.append({"role": "assistant", "content": blocks[0]["text"]})
        elif blocks:
            self._put("assistant", message, blocks)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        arguments = call.arguments if call.parse_error is None else {INVALID_JSON: call.raw_arguments}
        written = {"type": "tool_use", "id": self._ids.of_call(call.id), "name": call.name, "input": arguments}
        toolset = toolset_of(call.name, self._tools)
        if toolset is not None:
            written["toolset_name"] = self._calls[call.id] = toolset
        return written


def _own_block(part: ProviderPart) -> dict[str, Any]:
    if not isinstance(part.data.get("type"), str):
        raise ConfigurationError(f"a provider part of {NAME} has no type", hint="put blocks back as the API sent them")
    return part.data


def _parts(message: Message) -> Sequence[Part]:
    content = message.content
    return [TextPart(text=content)] if isinstance(content, str) else cast("Sequence[Part]", content or ())
