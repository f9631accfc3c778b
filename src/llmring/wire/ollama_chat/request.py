"""A request in this dialect: written from `LLMRequest` as a client sends it.

https://docs.ollama.com/api/chat (2026-11-21). Nothing unasked is sent but `stream`, which is on unless it is turned off. The request
is read only; a body may share lists and dicts with it, so a body is not for changing in place.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.messages import ImagePart, Message, Part, Role, TextPart, ThinkingPart, ToolOutputPart
from llmring.schemas.request import LLMRequest, ReasoningEffort
from llmring.schemas.response_format import read_response_format
from llmring.schemas.tools import ToolCall
from llmring.wire.base import EncodedRequest, Target
from llmring.wire.json_schema import ask_for, with_instruction
from llmring.wire.thinking import nearest_effort
from llmring.wire.turns import assistant_items

NAME: Final = "ollama_chat"
PATH: Final = "/chat"

# Our names, and those that stand under `options`.
_OPTION_OF: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "num_predict",
    "stop": "stop",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
# What goes under `options` where it is given in extra_params: `Options` of the ollama SDK 0.6, and
# https://docs.ollama.com/modelfile#valid-parameters-and-values (2026-11-21). Everything else stays at the top, such as keep_alive,
# think, format, truncate, shift, and `options` itself, whose names are not looked at.
# fmt: off
OPTIONS: Final = frozenset({
    "numa", "num_ctx", "num_batch", "num_gpu", "main_gpu", "low_vram", "f16_kv", "logits_all", "vocab_only",
    "use_mmap", "use_mlock", "embedding_only", "num_thread", "num_keep", "seed", "num_predict", "draft_num_predict",
    "top_k", "top_p", "min_p", "tfs_z", "typical_p", "repeat_last_n", "temperature", "repeat_penalty",
    "presence_penalty", "frequency_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "penalize_newline", "stop",
})
# fmt: on
_UNSAYABLE: Final = ("parallel_tool_calls", "service_tier", "prompt_cache", "background")
# What stands for arguments that are no JSON object: the API takes nothing else.
INVALID_JSON: Final = "INVALID_JSON"
IMAGES_FOLLOW: Final = "The result is in the images of the next message."


def encode(
    request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
) -> EncodedRequest:
    """The request as a body for `target`; `under` fills in what it leaves open. Raises ConfigurationError for what the
    dialect cannot say."""
    encoded = EncodedRequest(PATH, {"model": target.model})
    body, warnings = encoded.body, encoded.warnings
    messages: Sequence[Message] = request.messages
    asked_format: Any = None
    if request.response_format is not None:
        wanted = read_response_format(request.response_format)
        ask = ask_for(wanted, target)
        if ask.kind != "text":
            asked_format = wanted.schema if ask.kind == "json_schema" and wanted is not None else "json"
        if ask.instruction:
            messages = with_instruction(messages, ask.instruction)
        if ask.warning is not None:
            warnings.append(ask.warning)
    turns = Turns(warnings)
    for message in messages:
        turns.add(message)
    body["messages"] = turns.end()
    if asked_format is not None:
        body["format"] = asked_format

    given = request.__dict__  # one dict look-up a field, as in every dialect
    options: dict[str, Any] = {
        option: given[name] for name, option in _OPTION_OF.items() if given[name] is not None and given[name] != []
    }
    if request.tools:
        tools = _encode_tools(request, warnings)
        if tools:
            body["tools"] = tools
    if request.computer_use is not None:
        raise ConfigurationError(f"{NAME} has no words for computer_use")
    if request.files:
        raise ConfigurationError(f"files: no registered file has the id {request.files[0]!r}")
    for name in ("logprobs", "top_logprobs"):
        if given[name] is not None:
            body[name] = given[name]
    if request.reasoning_effort is not None:
        _encode_effort(body, request.reasoning_effort, target, warnings)
    warnings += [f"{name} was left out: {NAME} has no words for it" for name in _UNSAYABLE if given[name] is not None]
    if options:
        body["options"] = options
    _add_extra_params(body, request.extra_params or {})
    _lay_under(body, under or {})
    body["stream"] = stream
    _leave_out(body, target, warnings)
    if request.extra_headers:
        encoded.headers.update(request.extra_headers)
    return encoded


class Turns:
    """`messages` in the making. The request's messages are read only."""

    __slots__ = ("_calls", "_images", "_messages", "_warnings")

    def __init__(self, warnings: list[str]) -> None:
        self._messages: list[dict[str, Any]] = []
        self._warnings = warnings
        self._calls: dict[str, str] = {}  # what the tool of each call so far is named
        self._images: list[
            tuple[str, list[str]]
        ] = []  # images of tools' results, and the tools, until all results are said

    def add(self, message: Message) -> None:
        role, content = message.role, message.content
        if role is not Role.TOOL and self._images:
            self._put_images()
        if role is Role.ASSISTANT:
            self._add_assistant(message)
        elif role is Role.TOOL:
            self._add_results(message)
        elif isinstance(content, str):
            self._messages.append({"role": role.value, "content": content})
        else:
            self._put(role.value, *self._read_parts(content or (), message))

    def end(self) -> list[dict[str, Any]]:
        if self._images:
            self._put_images()
        return self._messages

    def _put(self, role: str, text: str, images: list[str], **rest: str) -> None:
        self._messages.append({"role": role, "content": text, **({"images": images} if images else {}), **rest})

    def _read_parts(self, parts: Sequence[Part], message: Message) -> tuple[str, list[str]]:
        """The text and the images: a message has one of the former and a list of the latter, which come before it."""
        texts: list[str] = []
        images: list[str] = []
        for part in parts:
            if isinstance(part, TextPart):
                texts.append(part.text)
            elif isinstance(part, ImagePart) and part.data is not None and message.role in (Role.USER, Role.TOOL):
                if part.detail is not None:
                    self._warnings.append(f"detail of an image was left out: {NAME} has no words for it")
                images.append(base64.b64encode(part.data).decode())
            else:
                raise _unsayable(part, message)
        return "\n\n".join(texts), images

    def _add_assistant(self, message: Message) -> None:
        items, left_out = assistant_items(message, NAME)
        if left_out:
            self._warnings.append("thinking was left out of an assistant message: another provider sealed it")
        texts: list[str] = []
        thoughts: list[str] = []
        calls: list[dict[str, Any]] = []
        for item in items:
            match item:
                case TextPart():
                    texts.append(item.text)
                case ThinkingPart():
                    thoughts.append(item.text)
                case ToolCall():
                    self._calls[item.id] = item.name
                    arguments = item.arguments if item.parse_error is None else {INVALID_JSON: item.raw_arguments}
                    calls.append({"function": {"name": item.name, "arguments": arguments}})
                case _:
                    raise _unsayable(item, message)
        written: dict[str, Any] = {"role": "assistant"}
        if texts or not calls:
            written["content"] = "\n\n".join(texts)
        if thoughts:
            written["thinking"] = "\n\n".join(thoughts)
        if calls:
            written["tool_calls"] = calls
        self._messages.append(written)

    def _add_results(self, message: Message) -> None:
        content = message.content
        if isinstance(content, str) or content is None:
            self._put_result(message.tool_call_id, message.name, content or "", [])
            return
        for part in content:
            if isinstance(part, ToolOutputPart):
                inner = part.content
                text, images = (inner, []) if isinstance(inner, str) else self._read_parts(inner, message)
                self._put_result(part.tool_call_id, message.name, text, images)
        rest = [part for part in content if not isinstance(part, ToolOutputPart)]
        if rest:
            if message.tool_call_id is None:
                raise ConfigurationError("a tool message with parts besides its tool outputs needs tool_call_id")
            self._put_result(message.tool_call_id, message.name, *self._read_parts(rest, message))

    def _put_result(self, id: str | None, name: str | None, text: str, images: list[str]) -> None:
        """A result says which tool it is of, not which call: results stand in the order of the calls."""
        tool = name or self._calls.get(id or "")
        self._put("tool", text or (IMAGES_FOLLOW if images else ""), [], **({"tool_name": tool} if tool else {}))
        if images:
            self._images.append((tool or "the tool", images))

    def _put_images(self) -> None:
        """Images of results as a user's message: the models' templates show images there. https://docs.ollama.com/capabilities/vision
        (2026-11-21)"""
        for tool, images in self._images:
            self._put("user", f"The images that {tool} gave:", images)
        self._images = []


def _unsayable(part: Part | Any, message: Message) -> ConfigurationError:
    return ConfigurationError(
        f"{NAME} cannot say a part of type {part.type!r} in a {message.role.value} message",
        hint="it takes text, and images by their bytes from the user and from tools; a PDF's pages become images by "
        "ImagePart.from_pdf",
    )


def _encode_tools(request: LLMRequest, warnings: list[str]) -> list[dict[str, Any]]:
    """Functions alone; Ollama cannot be told to call one: https://docs.ollama.com/api/openai-compatibility (2026-11-21)"""
    choice = request.tool_choice
    if choice == "none":
        return []
    if choice not in (None, "auto"):
        raise ConfigurationError(
            f"tool_choice: {NAME} knows auto and none; a model cannot be made to call a tool",
            hint="leave tool_choice out and ask for the call in the prompt",
        )
    tools: list[dict[str, Any]] = []
    for tool in request.tools or ():
        if tool.get("type", "function") != "function":
            raise ConfigurationError(f"{NAME} has no tools of type {tool.get('type')!r}, only functions")
        function = tool.get("function")
        if isinstance(function, dict) and "strict" in function:
            warnings.append(f"strict of a tool was left out: {NAME} has no words for it")
            known = cast("dict[str, Any]", function)
            tool = {**tool, "function": {name: value for name, value in known.items() if name != "strict"}}
        tools.append(tool)
    return tools


def _encode_effort(body: dict[str, Any], effort: ReasoningEffort, target: Target, warnings: list[str]) -> None:
    """`think` is on or off, but for models that are known to take levels, which are words.
    https://docs.ollama.com/capabilities/thinking (2026-11-21)"""
    name, efforts = f"{target.provider}:{target.model}", target.quirks.efforts
    if efforts == ():
        if effort != "none":  # who asks for no thinking gets none
            warnings.append(f"reasoning_effort was left out: {name} does not think")
        return
    if efforts is None:
        body["think"] = effort != "none"
        if effort != "none":
            warnings.append(f"reasoning_effort {effort!r} was sent as think: true: no levels are known of {name}")
        return
    level = nearest_effort(effort, efforts)
    body["think"] = False if level == "none" else level
    if level != effort:
        why = "cannot do without thinking" if effort == "none" else "does not know that level"
        warnings.append(f"reasoning_effort {effort!r} was sent as {level!r}: {name} {why}")


def _add_extra_params(body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for name, value in extra.items():
        if name == "options":
            for option, one in _options(value).items():
                _set(body, f"options.{option}", option, one, in_options=True)
        else:
            _set(body, name, name, value, in_options=name in OPTIONS)


def _options(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError("extra_params: options is no object")
    return cast("Mapping[str, Any]", value)


def _set(body: dict[str, Any], shown: str, name: str, value: Any, *, in_options: bool) -> None:
    holder: dict[str, Any] = body.setdefault("options", {}) if in_options else body
    if name in holder and holder[name] != value:
        raise ConfigurationError(
            f"extra_params: {shown!r} is also said by a field of the request, with another value",
            hint=f"set {'max_tokens' if name == 'num_predict' else name} once",
        )
    holder[name] = value


def _lay_under(body: dict[str, Any], under: Mapping[str, Any]) -> None:
    for name, value in under.items():
        if name == "options":
            body["options"] = {**_options(value), **body.get("options", {})}
        elif name in OPTIONS:
            body.setdefault("options", {}).setdefault(name, value)
        else:
            body.setdefault(name, value)


def _leave_out(body: dict[str, Any], target: Target, warnings: list[str]) -> None:
    options = cast("dict[str, Any]", body.get("options") or {})
    for name in target.quirks.rejected:
        found = [holder for holder in (body, options) if _OPTION_OF.get(name, name) in holder]
        for holder in found:
            del holder[_OPTION_OF.get(name, name)]
        if found:
            warnings.append(f"{name} was left out: {target.provider}:{target.model} does not take it")
