"""Files that go along with a message on the command line: images and PDFs as such, text as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from llmring.cli.failures import CommandError
from llmring.cli.piped import is_terminal, read_bytes
from llmring.files import File, Image
from llmring.media.local import file_name, media_type_of, read_file
from llmring.schemas.parts import Part, TextPart

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_TEXT_BYTES: Final = 10 * 1024 * 1024  # a guess: no model reads as much
_MAX_SHOWN: Final = 80
_IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")


def read_attachments(sources: Sequence[str]) -> list[Part]:
    """Each a path, a URL (of an image, else of a document), or `-` for stdin.

    Raises CommandError for what is neither image, PDF nor text; ConfigurationError for what cannot be read or is too large.
    """
    if sources.count("-") > 1:
        raise CommandError("-a - was given twice: stdin is read once")
    return [_read(source) for source in sources]


def _read(source: str) -> Part:
    if source == "-":
        if is_terminal():
            raise CommandError("-a - reads stdin, which is a terminal", hint="pipe a file in, or name it")
        return _part_of(read_bytes(), "stdin", None)
    if source.lower().startswith(("https://", "http://")):
        try:
            path = urlsplit(source).path
        except ValueError:
            raise CommandError(f"{source[:_MAX_SHOWN]} is no URL") from None
        return Image(source) if path.lower().endswith(_IMAGE_ENDINGS) else File(source)
    return _part_of(read_file(source), file_name(source), source)


def _part_of(data: bytes, name: str, path: str | None) -> Part:
    media_type = media_type_of(name, data)
    if media_type.startswith("image/"):
        return Image(data)
    if media_type == "application/pdf":
        return File(data, media_type=media_type) if path is None else File(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise CommandError(f"{name} is neither an image, a PDF nor UTF-8 text: it cannot be attached")
    if len(data) > _MAX_TEXT_BYTES:
        raise CommandError(f"{name} is larger than {_MAX_TEXT_BYTES} bytes")
    if not text.strip():
        raise CommandError(f"{name} is empty")
    return TextPart(text=f"{name}:\n\n{text.rstrip()}\n")
