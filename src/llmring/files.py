"""Files into message content: base64, data URLs, and the parts of an image prompt.

Reads regular files only, up to a size, and looks at an image's header before anyone decodes it. URLs are passed on, never
fetched here.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import os
import re
import struct
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pydantic import ValidationError

from llmring.exceptions import ConfigurationError
from llmring.regular_file import NotARegularFileError, read_regular_file
from llmring.schemas.messages import ImagePart, Part, TextPart, sniff_image_type

# docs/reliability.md, "something is large".
MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_IMAGE_PIXELS = 40_000_000

# A JPEG's size stands behind metadata segments: 65,533 bytes each, so a profile or preview of megabytes takes dozens.
_MAX_JPEG_SEGMENTS = 1024  # guess

PathInput: TypeAlias = "str | os.PathLike[str]"
ImageInput: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview"
"""An image: a path, its bytes, an http(s) URL, or a data URL."""

_READ_TEXT = "Extract all text from this image, word for word, in reading order. Answer with the text alone."
_COMPARE = "Compare these two images: what is the same in both, and what differs?"


def encode_file_to_base64(path: PathInput) -> str:
    """The file's bytes as base64. Raises ConfigurationError where it is no regular file, unreadable, or over 20 MiB."""
    return base64.b64encode(_read_file(path)).decode()


def get_file_mime_type(path: PathInput) -> str:
    """The file's media type: by its first bytes for images and PDF, by its name for the rest, else application/octet-stream.

    Raises ConfigurationError where it is no regular file or cannot be read.
    """
    return _media_type(path, _read_file(path, first_bytes=16))


def create_data_url(path: PathInput) -> str:
    """The file as `data:<media type>;base64,<data>`. Raises what `encode_file_to_base64` raises."""
    data = _read_file(path)
    return f"data:{_media_type(path, data)};base64,{base64.b64encode(data).decode()}"


def validate_image_file(path: PathInput) -> bool:
    """Whether `create_image_content` takes the file: a readable PNG, JPEG, GIF, WebP or BMP within the limits. Never raises
    for what a file holds or is."""
    try:
        _check_image(_read_file(path), "file")
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
        raise _too_large("base64 image")
    try:
        data = base64.b64decode(b64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"base64 image: not base64: {error}") from None
    _check_limits(data, "base64 image")
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


def _image(src: ImageInput) -> Part:
    if isinstance(src, (bytes, bytearray, memoryview)):
        return _image_of_bytes(bytes(src), "image bytes")
    if isinstance(src, str) and (scheme := src.partition(":")[0].lower()) in {"http", "https", "data"}:
        # Checked before decoding: base64 of what is too large is not worth its memory.
        if len(src) > MAX_FILE_BYTES * 4 // 3 + 200:
            raise _too_large(f"{scheme} URL")
        try:
            part = ImagePart(url=src)
        except ValidationError as error:
            raise _refused(f"{scheme} URL", error) from None
        if part.data is not None:
            _check_limits(part.data, "data URL")
        return part
    return _image_of_bytes(_read_file(src), _shown(src))


def _image_of_bytes(data: bytes, what: str) -> Part:
    _check_image(data, what)
    return ImagePart(data=data)


def _check_image(data: bytes, what: str) -> None:
    if sniff_image_type(data) is None:
        raise ConfigurationError(f"{what}: no PNG, JPEG, GIF, WebP or BMP", hint="convert it to one of these")
    _check_limits(data, what)


def _check_limits(data: bytes, what: str) -> None:
    """Raises ConfigurationError for too many bytes or pixels, and for a known image format whose header is broken."""
    if len(data) > MAX_FILE_BYTES:
        raise _too_large(what)
    media_type = sniff_image_type(data)
    if media_type is None:
        return
    size = _SIZE_READERS[media_type](data)
    if size is None or 0 in size:
        raise ConfigurationError(f"{what}: the {media_type} header is broken: it tells no size")
    if size[0] * size[1] > MAX_IMAGE_PIXELS:
        raise ConfigurationError(
            f"{what}: {size[0]} × {size[1]} pixels are more than {MAX_IMAGE_PIXELS // 1_000_000} megapixels",
            hint="scale it down: models see far fewer pixels",
        )


def _too_large(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"{what}: larger than {MAX_FILE_BYTES // (1024 * 1024)} MiB", hint="scale it down or split it"
    )


def _refused(what: str, error: ValidationError) -> ConfigurationError:
    reasons = "; ".join(problem["msg"].removeprefix("Value error, ") for problem in error.errors(include_input=False))
    return ConfigurationError(f"{what}: {reasons}")


# Files

# Opening a FIFO would wait for a writer for ever, and a terminal could become ours.


def _shown(path: PathInput) -> str:
    """The path as an error may name it: whoever passes base64 for a path would see all of it."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise ConfigurationError(
            f"a {type(path).__name__} is no file", hint="give a path, or for images bytes, an http(s) URL or a data URL"
        ) from None
    return text if len(text) <= 200 else f"{text[:80]}… ({len(text)} characters)"


def _read_file(path: PathInput, *, first_bytes: int | None = None) -> bytes:
    """All of a regular file, or its first bytes. Raises ConfigurationError for anything else, and past the limit."""
    shown = _shown(path)
    try:
        data, status = read_regular_file(path, MAX_FILE_BYTES + 1 if first_bytes is None else first_bytes)
    except NotARegularFileError:
        raise ConfigurationError(f"{shown}: no regular file", hint="folders, devices and pipes are not read") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{shown}: cannot be read: {reason}") from None
    if len(data) > MAX_FILE_BYTES or (first_bytes is None and status.st_size > MAX_FILE_BYTES):
        raise _too_large(shown)
    return data


def _media_type(path: PathInput, data: bytes) -> str:
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    return sniff_image_type(data) or mimetypes.guess_type(os.fsdecode(path))[0] or "application/octet-stream"


_JPEG_FILL = re.compile(rb"\xff+(?=\xff)")  # any number of these may stand before a marker


# Sizes by header: width and height, or None where the header is cut short or broken. No pixel is decoded.


def _png_size(data: bytes) -> tuple[int, int] | None:
    """https://www.rfc-editor.org/rfc/rfc2083#section-4.1.1: IHDR comes first, and begins with width and height."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        return None
    return struct.unpack_from(">II", data, 16)


def _gif_size(data: bytes) -> tuple[int, int] | None:
    """https://www.w3.org/Graphics/GIF/spec-gif89a.txt, 18: the logical screen follows the signature."""
    return struct.unpack_from("<HH", data, 6) if len(data) >= 10 else None


def _bmp_size(data: bytes) -> tuple[int, int] | None:
    """https://learn.microsoft.com/windows/win32/api/wingdi/ns-wingdi-bitmapinfoheader: a negative height counts from the top.
    The older core header has 16 bits for each."""
    if len(data) < 26:
        return None
    header_bytes: int = struct.unpack_from("<I", data, 14)[0]
    if header_bytes == 12:
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return (abs(width), abs(height)) if header_bytes >= 40 else None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """https://www.rfc-editor.org/rfc/rfc9649#section-2: the first chunk says which of three layouts follows."""
    if len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L" if data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":  # https://www.rfc-editor.org/rfc/rfc6386#section-9.1
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2: segments follow one another up to the frame header (SOF), which holds
    height and width. Previews have frame headers too, inside of segments: these are stepped over."""
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        if fill := _JPEG_FILL.match(data, at):
            at = fill.end()
        if len(data) < at + 9 or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        length: int = struct.unpack_from(">H", data, at + 2)[0]
        if marker in (0xD9, 0xDA) or length < 2:  # the end, or pixels, before any frame header
            return None
        at += 2 + length
    return None


_SIZE_READERS: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _png_size,
    "image/jpeg": _jpeg_size,
    "image/gif": _gif_size,
    "image/webp": _webp_size,
    "image/bmp": _bmp_size,
}
