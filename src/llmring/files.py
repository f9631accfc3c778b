"""Files into message content: `File` and `Image`, base64, data URLs, and the parts of an image prompt.

Reads regular files only, up to a size, and looks at an image's header before anyone decodes it. URLs are passed on, never
fetched here.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pydantic import ValidationError

from llmring.exceptions import ConfigurationError
from llmring.media.local import (
    MAX_DOCUMENT_BYTES,
    MAX_FILE_BYTES,
    PathInput,
    check_image,
    check_limits,
    media_type_of,
    read_file,
    read_head,
    show_path,
    too_large,
)
from llmring.schemas.media_parts import BasePart, FilePart, ImageDetail, ImagePart, JSONDict
from llmring.schemas.parts import Part, TextPart

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

ImageInput: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"
"""An image: a path, its bytes, an http(s) URL, or a data URL."""
FileInput: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"
"""A file: a path, its bytes, an http(s) URL, or a data URL."""

_READ_TEXT = "Extract all text from this image, word for word, in reading order. Answer with the text alone."
_COMPARE = "Compare these two images: what is the same in both, and what differs?"

_URL_SCHEMES = frozenset({"http", "https", "data"})


def File(  # noqa: N802 - reads as the part that it makes
    data: FileInput | None = None,
    *,
    file_id: str | None = None,
    media_type: str | None = None,
    filename: str | None = None,
    citations: bool | None = None,
) -> FilePart:
    """A document for a message: a path (read when it is sent), bytes, an http(s) URL, a data URL, or the id of an upload.

    file_id: the provider's id; where it is set, `data` stands for nothing and is not opened. media_type: default, what the bytes
    or the name say; needed for bytes that are no PDF. filename: default, the file's own. For base64: `FilePart(data="…")`.
    Raises ConfigurationError for a file that is missing, no regular file, or larger than 50 MiB.
    """
    if file_id is not None:
        fields: JSONDict = {"file_id": file_id}
    elif data is None:
        raise ConfigurationError("File: nothing was given", hint="give a path, bytes, a URL or file_id=")
    elif isinstance(data, (bytes, bytearray, memoryview)):
        if len(data) > MAX_DOCUMENT_BYTES:
            raise too_large("file bytes", MAX_DOCUMENT_BYTES)
        fields = {"data": bytes(data)}
    elif (scheme := _url_scheme(data)) is not None:
        if len(str(data)) > MAX_DOCUMENT_BYTES * 4 // 3 + 200:
            raise too_large(f"{scheme} URL", MAX_DOCUMENT_BYTES)
        fields = {"url": data}
    else:
        return FilePart.from_path(data, media_type=media_type, filename=filename, citations=citations)
    try:
        return FilePart(**fields, media_type=media_type, filename=filename, citations=citations)
    except ValidationError as error:
        raise _refused("file", error) from None


def Image(  # noqa: N802 - reads as the part that it makes
    data: ImageInput | PillowImage | None = None,
    *,
    file_id: str | None = None,
    detail: ImageDetail | None = None,
    max_size: int | None = None,
) -> ImagePart:
    """An image for a message: a path (read when it is sent), bytes, an http(s) URL, a data URL, an image of Pillow's, or the id
    of an upload.

    file_id: the provider's id; where it is set, `data` stands for nothing and is not opened. detail: how closely to look, "auto",
    "low" or "high"; default, the provider's. max_size: pixels of the longer side, at most (needs Pillow). For base64:
    `ImagePart(data="…")`. Raises ConfigurationError for what is no image within the limits (20 MiB, 40 megapixels).
    """
    if file_id is not None:
        part = ImagePart(file_id=file_id, detail=detail)
    elif data is None:
        raise ConfigurationError("Image: nothing was given", hint="give a path, bytes, a URL or file_id=")
    elif isinstance(data, (bytes, bytearray, memoryview)):
        part = ImagePart.from_bytes(data, detail=detail)
    elif isinstance(data, (str, os.PathLike)):
        if _url_scheme(data) is None:
            part = ImagePart.from_path(data, detail=detail)
        else:
            part = _image_of_url(str(data), detail)
    else:
        part = ImagePart.from_pil(data, detail=detail)
    return part if max_size is None else part.resize(max_size)


def content_to_dicts(content: str | BasePart | Iterable[BasePart]) -> list[JSONDict]:
    """Parts as plain JSON data, for `json.dumps`: what the functions of this page return, or the content of a message."""
    if isinstance(content, str):
        return [TextPart(text=content).to_dict()]
    return [part.to_dict() for part in ([content] if isinstance(content, BasePart) else content)]


def encode_file_to_base64(path: PathInput) -> str:
    """The file's bytes as base64. Raises ConfigurationError where it is no regular file, unreadable, or over 20 MiB."""
    return base64.b64encode(read_file(path)).decode()


def get_file_mime_type(path: PathInput) -> str:
    """The file's media type: by its first bytes for images and PDF, by its name for the rest, else application/octet-stream.

    Raises ConfigurationError where it is no regular file or cannot be read.
    """
    return media_type_of(path, read_head(path))


def create_data_url(path: PathInput) -> str:
    """The file as `data:<media type>;base64,<data>`. Raises what `encode_file_to_base64` raises."""
    data = read_file(path)
    return f"data:{media_type_of(path, data)};base64,{base64.b64encode(data).decode()}"


def validate_image_file(path: PathInput) -> bool:
    """Whether `create_image_content` takes the file: a readable PNG, JPEG, GIF, WebP or BMP within the limits. Never raises
    for what a file holds or is."""
    try:
        check_image(read_file(path), "file")
    except ConfigurationError:
        return False
    return True


def create_image_content(src: ImageInput, text: str | None = None) -> list[Part]:
    """An image, after `text` where there is some, for `Message(content=…)`.

    Raises ConfigurationError for a file that cannot be read or is too large (20 MiB, 40 megapixels), and for what is no PNG,
    JPEG, GIF, WebP or BMP.
    """
    return create_multi_image_content([src], text)


def create_multi_image_content(images: Sequence[ImageInput], text: str | None = None) -> list[Part]:
    """Several images, after `text` where there is some. Raises what `create_image_content` raises, and for no images at all."""
    if isinstance(images, (str, bytes, bytearray, memoryview)):
        raise ConfigurationError("images: a list of images is wanted", hint="create_image_content takes a single one")
    if not images:
        raise ConfigurationError("images: the list is empty")
    return [*_text(text), *(_image(src) for src in images)]


def create_base64_image_content(b64: str, mime: str, text: str | None = None) -> list[Part]:
    """An image given as base64 and its media type. Raises ConfigurationError for broken base64 and for what is too large."""
    if len(b64) > MAX_FILE_BYTES * 4 // 3 + 4:
        raise too_large("base64 image")
    try:
        data = base64.b64decode(b64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"base64 image: not base64: {error}") from None
    check_limits(data, "base64 image")
    try:
        return [*_text(text), ImagePart(data=data, media_type=mime)]
    except ValidationError as error:
        raise _refused("base64 image", error) from None


def analyze_image(src: ImageInput, prompt: str) -> list[Part]:
    """A question about an image: content for a message to a model that sees. Raises what `create_image_content` raises."""
    return create_image_content(src, prompt)


def extract_text_from_image(src: ImageInput, prompt: str = _READ_TEXT) -> list[Part]:
    """A request to read the text in an image. Raises what `create_image_content` raises."""
    return create_image_content(src, prompt)


def compare_images(a: ImageInput, b: ImageInput, prompt: str = _COMPARE) -> list[Part]:
    """A request to compare two images. Raises what `create_image_content` raises."""
    return create_multi_image_content([a, b], prompt)


def _text(text: str | None) -> list[Part]:
    return [TextPart(text=text)] if text else []


def _url_scheme(src: object) -> str | None:
    """The scheme where this is the text of a URL that is taken; None for a path."""
    scheme = src.partition(":")[0].lower() if isinstance(src, str) else ""
    return scheme if scheme in _URL_SCHEMES else None


def _image(src: ImageInput) -> Part:
    if isinstance(src, (bytes, bytearray, memoryview)):
        return ImagePart.from_bytes(src)
    if _url_scheme(src) is not None:
        return _image_of_url(str(src), None)
    data = read_file(src)
    check_image(data, show_path(src))
    return ImagePart(data=data)


def _image_of_url(src: str, detail: ImageDetail | None) -> ImagePart:
    what = "data URL" if src[:5].lower() == "data:" else "URL"
    # Checked before decoding: base64 of what is too large is not worth its memory.
    if len(src) > MAX_FILE_BYTES * 4 // 3 + 200:
        raise too_large(what)
    try:
        part = ImagePart(url=src, detail=detail)
    except ValidationError as error:
        raise _refused(what, error) from None
    if part.data is not None:
        check_limits(part.data, what)
    return part


def _refused(what: str, error: ValidationError) -> ConfigurationError:
    said = (problem["msg"].removeprefix("Value error, ") for problem in error.errors(include_input=False))
    return ConfigurationError(
        f"{what}: {'; '.join(text.removeprefix('image: ').removeprefix('file: ') for text in said)}"
    )
