"""What a message is made of, each a typed part, and the one reader of the forms in which parts may be given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import Field

from llmring.schemas.media_parts import BasePart, FilePart, ImagePart, JSONDict, split_data_url


class TextPart(BasePart):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class ThinkingPart(BasePart):
    """What a model thought before it answered.

    signature: the provider's seal, without which it takes none back. redacted: the signature is all there is, encrypted.
    id: the provider's name for it. dialect: who sealed it; other dialects leave it out. None: whoever can read it.
    """

    type: Literal["thinking"] = "thinking"
    text: str
    signature: str | None = None
    id: str | None = None
    redacted: bool = False
    dialect: str | None = None


class ProviderPart(BasePart):
    """Part of an answer that only its own dialect understands, such as a search that the provider ran, kept for the next turn.
    Other dialects leave it out. data: JSON, as the provider sent it."""

    type: Literal["provider"] = "provider"
    dialect: str
    data: JSONDict


class ToolUsePart(BasePart):
    """A tool call, written as a part; `Message.tool_calls` is the same thing written apart. signature: see `ToolCall`."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    arguments: JSONDict = Field(default_factory=dict)
    signature: str | None = None


class ToolOutputPart(BasePart):
    """A tool's result, written as a part of a tool message: text, or text, images and files."""

    type: Literal["tool_output"] = "tool_output"
    tool_call_id: str
    content: str | list[Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]]
    is_error: bool = False

    def to_log_dict(self) -> JSONDict:
        if isinstance(self.content, str):
            return self.to_dict()
        written = self.model_dump(mode="json", exclude_none=True, exclude={"content"})
        return written | {"content": [part.to_log_dict() for part in self.content]}


Part: TypeAlias = Annotated[
    TextPart | ImagePart | FilePart | ThinkingPart | ProviderPart | ToolUsePart | ToolOutputPart,
    Field(discriminator="type"),
]
"""A piece of a message's content, told apart by its `type`."""

# An image may be given under one of these, in place of `url` and `data`.
_IMAGE_KEYS = ("image_path", "image_pil", "image_url", "image_base64")


def read_part(part: object, *, trusted: bool = True) -> object:
    """A part in any form that is taken, as a part or as a dict for the part types to judge; the argument is not changed.

    trusted: whether it may name a file of this machine; what comes over the network may not. Raises ValueError, and
    ConfigurationError for a file that cannot be used.
    """
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return _read_dict(cast("Mapping[str, Any]", part), trusted) if isinstance(part, Mapping) else part


def _read_dict(part: Mapping[str, Any], trusted: bool) -> object:
    """OpenAI's spellings of parts, and images by key, read as ours."""
    key = next((key for key in _IMAGE_KEYS if key in part), None)
    if key is not None and part.get("type", "image") in {"image", key, "image_url"}:
        rest = {name: value for name, value in part.items() if name not in {"type", key}}
        return _read_image(key, part[key], rest, trusted)
    match part:
        case {"type": "file", "file": {"file_data": str(url), **rest}} if url[:5].lower() == "data:":
            media_type, data = split_data_url(url, "file")
            return {"type": "file", "data": data, "media_type": media_type, **rest}
        case {"type": "file", "file": {"file_id": str(file_id), **rest}}:
            return {"type": "file", "file_id": file_id, **rest}
        case {"type": "refusal", "refusal": str(text)}:
            return {"type": "text", "text": text}
        case _:
            return part


def _read_image(key: str, value: Any, rest: dict[str, Any], trusted: bool) -> object:
    match key, value:
        case "image_url", str():
            return {"type": "image", "url": value, **rest}
        case "image_url", {"url": str(url), **more}:
            return {"type": "image", "url": url, **more, **rest}
        case "image_base64", str() if value[:5].lower() == "data:":
            return {"type": "image", "url": value, **rest}
        case "image_base64", str() | bytes():
            return {"type": "image", "data": value if isinstance(value, str) else value.decode("ascii"), **rest}
        case (("image_path" | "image_pil"), _):
            if not trusted:
                raise ValueError(f"{key}: what comes from elsewhere may not name a file of this machine")
            extra = rest.keys() - {"detail"}
            if extra:
                raise ValueError(f"{key}: only detail may stand beside it, not {', '.join(sorted(extra))}")
            read = ImagePart.from_path if key == "image_path" else ImagePart.from_pil
            return read(value, detail=rest.get("detail"))
        case _:
            raise ValueError(f"{key}: a {type(value).__name__} is no image")
