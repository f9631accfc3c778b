"""Messages as this dialect writes them: a flat list of items, in which calls, their results and thinking stand on their own."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, Final

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
from llmring.wire.openai_responses.items import COMPUTER, NAME
from llmring.wire.openai_responses.tools import custom_tools
from llmring.wire.turns import CallIds, assistant_items

_COMPUTER_TOOLS: Final = frozenset({"computer", "computer_use_preview"})


class Turns:
    """`input` in the making. The request's messages are read only.

    system_role: how system messages are spelt. is_stored: whether the provider keeps answers, so that an id alone names one.
    """

    __slots__ = (
        "_computer_calls",
        "_custom_calls",
        "_customs",
        "_has_computer",
        "_ids",
        "_is_stored",
        "_system_role",
        "input",
        "warnings",
    )

    def __init__(
        self, tools: Sequence[Mapping[str, Any]], warnings: list[str], *, system_role: str, is_stored: bool
    ) -> None:
        self.input: list[dict[str, Any]] = []
        self.warnings = warnings
        self._system_role = system_role
        self._is_stored = is_stored
        self._customs = custom_tools(tools)
        self._has_computer = any(tool.get("type") in _COMPUTER_TOOLS for tool in tools)
        self._computer_calls: set[str] = set()
        # "Invalid 'input[95].call_id': string too long. Expected a string with maximum length 64":
        # https://github.com/AnswerDotAI/fastllm/issues/45 (2026-11-21)
        self._ids = CallIds()
        self._custom_calls: set[str] = set()

    def add(self, message: Message) -> None:
        content = message.content
        match message.role:
            case Role.USER:
                if isinstance(content, str):
                    self.input.append({"role": "user", "content": content})
                else:
                    self._add_parts("user", content or [], message)
            case Role.SYSTEM:
                if isinstance(content, str):
                    self.input.append({"role": self._system_role, "content": content})
                else:
                    parts = [_encode_part(part, message.role) for part in content or ()]
                    self.input.append({"role": self._system_role, "content": parts})
            case Role.ASSISTANT:
                self._add_assistant(message)
            case Role.TOOL:
                self._add_results(message)

    def _add_parts(self, role: str, parts: Sequence[Part], message: Message) -> None:
        """Results follow the calls that they answer; what else the user says comes after them."""
        rest: list[Part] = []
        for part in parts:
            if isinstance(part, ToolOutputPart):
                self._put_result(part.tool_call_id, part.content)
            elif isinstance(part, ProviderPart) and part.dialect == NAME:
                self.input.append(part.data)  # such as an approval, or a shell's output
            else:
                rest.append(part)
        if rest or not parts:
            self.input.append({"role": role, "content": [_encode_part(part, message.role) for part in rest]})

    def _add_results(self, message: Message) -> None:
        content = message.content
        if isinstance(content, str) or content is None:
            self._put_result(message.tool_call_id or "", content or "")
            return
        rest: list[TextPart | ImagePart | FilePart] = []
        for part in content:
            match part:
                case ToolOutputPart():
                    self._put_result(part.tool_call_id, part.content)
                case ProviderPart() if part.dialect == NAME:
                    self.input.append(part.data)
                case TextPart() | ImagePart() | FilePart():
                    rest.append(part)
                case _:
                    raise _cannot_say(part, Role.TOOL)
        if rest:
            if message.tool_call_id is None:
                raise ConfigurationError("a tool message with parts besides its tool outputs needs tool_call_id")
            self._put_result(message.tool_call_id, rest)

    def _put_result(self, id: str, content: str | Sequence[TextPart | ImagePart | FilePart]) -> None:
        if id in self._computer_calls:
            self.input.append(_encode_screenshot(id, content))
            return
        output = content if isinstance(content, str) else [_encode_part(part, Role.USER) for part in content]
        kind = "custom_tool_call_output" if id in self._custom_calls else "function_call_output"
        self.input.append({"type": kind, "call_id": self._ids.of_result(id), "output": output})

    def _add_assistant(self, message: Message) -> None:
        items, left_out = assistant_items(message, NAME)
        self._ids.begin()
        if left_out:
            self.warnings.append(
                f"part of an assistant message was left out: it is sealed for another dialect than {NAME}"
            )
        texts: list[dict[str, Any]] = []  # since the last item that may say which phase they are of
        for item in items:
            match item:
                case TextPart():
                    written: dict[str, Any] = {"role": "assistant", "content": item.text}
                    self.input.append(written)
                    texts.append(written)
                    continue
                case ThinkingPart():
                    self._put_thinking(item)
                case ProviderPart():
                    self._put_item(item.data, texts)
                case ToolCall():
                    self._put_call(item)
                case _:
                    raise _cannot_say(item, Role.ASSISTANT)
            texts = []

    def _put_thinking(self, part: ThinkingPart) -> None:
        """With its seal, or, where the provider keeps answers, by its id; else it would be refused: "Item with id … not found.
        Items are not persisted when `store` is set to false." https://github.com/vercel/ai/issues/7543 (2026-11-21)"""
        if part.signature is None and not self._is_stored:
            if part.text:
                self.warnings.append(
                    "thinking was left out of an assistant message: it has no seal, and nothing is stored"
                )
            return
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        written: dict[str, Any] = {"type": "reasoning", "summary": summary}
        if part.id is not None:
            written["id"] = part.id
        if part.signature is not None:
            written["encrypted_content"] = part.signature
        self.input.append(written)

    def _put_item(self, data: dict[str, Any], texts: Sequence[dict[str, Any]]) -> None:
        if data.get("type") == "message":
            for text in texts:  # which are this call's own
                text["phase"] = data.get("phase")
            return
        if data.get("type") == "computer_call":
            self._computer_calls.add(str(data.get("call_id")))
        self.input.append(data)

    def _put_call(self, call: ToolCall) -> None:
        if call.id in self._computer_calls:
            return  # it stands there as its own item
        if call.name in self._customs:
            self._custom_calls.add(call.id)
            text = call.arguments.get("input")
            given = text if isinstance(text, str) else call.raw_arguments
            written = {
                "type": "custom_tool_call",
                "call_id": self._ids.of_call(call.id),
                "name": call.name,
                "input": given,
            }
            self.input.append(written)
            return
        if call.name == COMPUTER and self._has_computer:
            raise ConfigurationError(
                f"the computer call {call.id!r} comes back without what the provider wants back with it",
                hint="put the answer into the next request as response.to_message()",
            )
        written = {
            "type": "function_call",
            "call_id": self._ids.of_call(call.id),
            "name": call.name,
            "arguments": call.raw_arguments or "{}",
        }
        self.input.append(written)


def _encode_screenshot(id: str, content: str | Sequence[TextPart | ImagePart | FilePart]) -> dict[str, Any]:
    """Safety checks that the provider wants acknowledged are for the caller to acknowledge, with an item of its own: a
    ProviderPart of `computer_call_output`."""
    images = [] if isinstance(content, str) else [part for part in content if isinstance(part, ImagePart)]
    if len(images) != 1:
        raise ConfigurationError(
            f"the result of the computer call {id!r} is to be one image",
            hint="answer it with a screenshot: an ImagePart",
        )
    output: dict[str, Any] = {"type": "computer_screenshot", **_image_source(images[0])}
    return {"type": "computer_call_output", "call_id": id, "output": output}


def _encode_part(part: Part, role: Role) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart() if role is Role.USER:
            return {"type": "input_image", "detail": part.detail or "auto", **_image_source(part)}
        case FilePart() if role is Role.USER:
            return {"type": "input_file", **_file_source(part)}
        case _:
            raise _cannot_say(part, role)


def _image_source(part: ImagePart) -> dict[str, Any]:
    return {"file_id": part.file_id} if part.file_id is not None else {"image_url": part.url or _data_url(part)}


def _file_source(part: FilePart) -> dict[str, Any]:
    if part.file_id is not None:
        return {"file_id": part.file_id}
    if part.url is not None:
        return {"file_url": part.url}
    # The API tells the kind of a file by its name: https://developers.openai.com/api/docs/guides/file-inputs (2026-11-21)
    suffix = mimetypes.guess_extension(part.media_type or "") or ""
    return {"filename": part.filename or f"file{suffix}", "file_data": _data_url(part)}


def _data_url(part: ImagePart | FilePart) -> str:
    return f"data:{part.media_type};base64,{base64.b64encode(part.data or b'').decode()}"


def _cannot_say(part: Part | Any, role: Role) -> ConfigurationError:
    return ConfigurationError(f"{NAME} cannot say a part of type {part.type!r} in a {role.value} message")
