"""Files and images on this machine, within limits: regular files only, up to a size, images judged by their header.

Every refusal is a ConfigurationError that names the file and never quotes what it holds.
"""

from __future__ import annotations

import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from llmring.exceptions import ConfigurationError
from llmring.media.image_size import read_size, sniff_image_type
from llmring.regular_file import NotARegularFileError, read_regular_file

PathInput: TypeAlias = "str | os.PathLike[str]"

# docs/reliability.md, "something is large".
MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_DOCUMENT_BYTES = 50 * 1024 * 1024
MAX_IMAGE_PIXELS = 40_000_000

# Enough for the header of nearly every image; a JPEG with a large preview or profile is read whole to find it.
_HEAD_BYTES = 64 * 1024  # guess


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that was looked at and is read when its bytes are wanted.

    path: absolute, so that a change of folder does not matter. shown: the path as errors name it. media_type: by its first
    bytes or its name. size_bytes: when it was looked at. is_image: whether an image's limits hold for it.
    """

    path: str
    shown: str
    media_type: str
    size_bytes: int
    is_image: bool

    def read(self) -> bytes:
        """All of it. Raises ConfigurationError where it is gone, has become too large, or is of another type now."""
        data = read_file(self.path, shown=self.shown, max_bytes=_max_bytes(self.is_image))
        if self.is_image:
            check_image(data, self.shown)
        if media_type_of(self.path, data) != self.media_type:
            raise ConfigurationError(
                f"{self.shown}: it was {self.media_type} when it was named, and is of another type now"
            )
        return data


def look_at(path: PathInput, *, is_image: bool) -> LocalFile:
    """Checks a file without holding its bytes: that it is there, within the limits, and for an image, that it is one.

    Raises ConfigurationError.
    """
    shown = show_path(path)
    head, size = _read(path, shown, _HEAD_BYTES)
    if size > _max_bytes(is_image):
        raise too_large(shown, _max_bytes(is_image))
    if is_image:
        kind = sniff_image_type(head)
        if kind is not None and read_size(head, kind) is None and size > len(head):
            head = read_file(path, shown=shown)
        check_image(head, shown)
    return LocalFile(os.path.abspath(os.fsdecode(path)), shown, media_type_of(path, head), size, is_image)


def read_file(path: PathInput, *, shown: str | None = None, max_bytes: int | None = None) -> bytes:
    """All of a regular file. max_bytes: default 20 MiB. Raises ConfigurationError for anything else, and past the limit."""
    shown = show_path(path) if shown is None else shown
    limit = MAX_FILE_BYTES if max_bytes is None else max_bytes
    data, size = _read(path, shown, limit + 1)
    if len(data) > limit or size > limit:
        raise too_large(shown, limit)
    return data


def read_head(path: PathInput) -> bytes:
    """The first bytes, enough to tell a type. Raises ConfigurationError where it is no regular file or cannot be read."""
    return _read(path, show_path(path), 16)[0]


def _read(path: PathInput, shown: str, limit: int) -> tuple[bytes, int]:
    try:
        data, status = read_regular_file(path, limit)
    except NotARegularFileError:
        raise ConfigurationError(f"{shown}: no regular file", hint="folders, devices and pipes are not read") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{shown}: cannot be read: {reason}") from None
    return data, max(status.st_size, len(data))


def show_path(path: PathInput) -> str:
    """The path as an error may name it: whoever passes base64 for a path would see all of it."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise ConfigurationError(
            f"a {type(path).__name__} is no file", hint="give a path, or for images bytes, an http(s) URL or a data URL"
        ) from None
    return text if len(text) <= 200 else f"{text[:80]}… ({len(text)} characters)"


def file_name(path: PathInput) -> str:
    """The last part of a path."""
    return Path(os.fsdecode(path)).name


def media_type_of(name: PathInput, data: bytes) -> str:
    """By the first bytes for images and PDF, by the name for the rest, else application/octet-stream."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    return sniff_image_type(data) or mimetypes.guess_type(os.fsdecode(name))[0] or "application/octet-stream"


def check_image(data: bytes, what: str) -> None:
    """Raises ConfigurationError for what is no image, or one past the limits."""
    if sniff_image_type(data) is None:
        raise ConfigurationError(f"{what}: no PNG, JPEG, GIF, WebP or BMP", hint="convert it to one of these")
    check_limits(data, what)


def check_limits(data: bytes, what: str) -> None:
    """Raises ConfigurationError for too many bytes or pixels, and for a known image format whose header is broken."""
    if len(data) > MAX_FILE_BYTES:
        raise too_large(what)
    media_type = sniff_image_type(data)
    if media_type is None:
        return
    size = read_size(data, media_type)
    if size is None or 0 in size:
        raise ConfigurationError(f"{what}: the {media_type} header is broken: it tells no size")
    check_pixels(*size, what)


def check_pixels(width: int, height: int, what: str) -> None:
    """Raises ConfigurationError for more than 40 megapixels."""
    if width * height > MAX_IMAGE_PIXELS:
        raise ConfigurationError(
            f"{what}: {width} × {height} pixels are more than {MAX_IMAGE_PIXELS // 1_000_000} megapixels",
            hint="scale it down: models see far fewer pixels",
        )


def too_large(what: str, max_bytes: int | None = None) -> ConfigurationError:
    """The refusal of a file for its size; default, that of an image."""
    mebibytes = (MAX_FILE_BYTES if max_bytes is None else max_bytes) // (1024 * 1024)
    return ConfigurationError(f"{what}: larger than {mebibytes} MiB", hint="scale it down or split it")


def _max_bytes(is_image: bool) -> int:
    return MAX_FILE_BYTES if is_image else MAX_DOCUMENT_BYTES
