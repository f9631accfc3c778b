"""Images and documents as parts of a message: by bytes, local file, URL, or the id that a provider gave.

A local file is looked at when the part is made and read when its bytes are first wanted. Nothing here uses the network.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from llmring.media.image_size import sniff_image_type
from llmring.media.local import (
    MAX_DOCUMENT_BYTES,
    LocalFile,
    PathInput,
    check_image,
    file_name,
    look_at,
    read_file,
    show_path,
    too_large,
)
from llmring.secret import safe_url

if TYPE_CHECKING:
    from llmring.schemas.uploads import FileUploadStrategy

JSONDict: TypeAlias = dict[str, Any]
BytesInput: TypeAlias = "bytes | bytearray | memoryview"
ImageDetail: TypeAlias = Literal["auto", "low", "high"]


class BasePart(BaseModel):
    """What all parts share: they are typed, and also read as dicts."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, ser_json_inf_nan="constants")

    def __getitem__(self, key: str) -> Any:
        """Parts also read as dicts: `part["type"]`."""
        if key in type(self).model_fields:
            return getattr(self, key)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key in type(self).model_fields

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict's: `part.get("text", "")`."""
        return getattr(self, key) if key in type(self).model_fields else default

    def to_dict(self) -> JSONDict:
        """The part as JSON data, without what is unset; bytes as base64. `Message(content=[…])` reads it back unchanged."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_log_dict(self) -> JSONDict:
        """The same for logs: of images and files only what they are, not what they hold."""
        return self.to_dict()


_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+=-]+)*?)(;base64)?,", re.ASCII | re.IGNORECASE)


def split_data_url(url: str, what: str) -> tuple[str | None, bytes]:
    """The media type and the bytes of a data URL. Raises ValueError."""
    match = _DATA_URL.match(url)
    if match is None or not match[3]:
        raise ValueError(f"{what}: a data URL must read data:<media type>;base64,<data>")
    try:
        return match[1], base64.b64decode(url[match.end() :], validate=True)
    except binascii.Error as error:
        raise ValueError(f"{what}: the data URL's base64 is broken: {error}") from None


class MediaPart(BasePart):
    """Shared by images and files: exactly one source; bytes are held as bytes and written as base64 in JSON."""

    data: bytes | None = Field(default=None, repr=False)
    media_type: str | None = None
    url: str | None = None
    file_id: str | None = None

    _file: LocalFile | None = PrivateAttr(default=None)

    @field_validator("data", mode="before")
    @classmethod
    def _read_base64(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error as error:
                raise ValueError(f"data: not base64: {error}") from None
        return value

    @field_serializer("data", when_used="unless-none")
    def _write_base64(self, value: bytes) -> str:
        return base64.b64encode(value).decode()

    def _take_source(self, what: str) -> None:
        """Reads a data URL; raises ValueError unless there is exactly one source."""
        if self.url is not None and self.url[:5].lower() == "data:":
            media_type, self.data = split_data_url(self.url, what)
            self.media_type = self.media_type or media_type
            self.url = None
        if [self.url, self.data, self.file_id].count(None) != 2:
            raise ValueError(f"{what}: give a url, data or a file_id, and only one of them")
        if self.url is not None and not self.url.lower().startswith(("https://", "http://")):
            raise ValueError(f"{what}: url must start with https://, http:// or data:")

    # A part of a local file has no `data` in its __dict__ until that is asked for: attribute look-up then comes here.

    @classmethod
    def _of_file(cls, file: LocalFile, fields: JSONDict) -> Self:
        part = cls.model_construct(**fields)
        cast("JSONDict", part.__dict__).pop("data")
        part._file = file
        return part

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name == "data" and self._file is not None:
                data = self.__dict__["data"] = self._file.read()
                self._file = None
                return data
            return super().__getattr__(name)

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> JSONDict:
        _ = self.data  # what is written has been read
        return handler(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MediaPart):
            _ = self.data, other.data
        return super().__eq__(other)

    __hash__ = None  # parts can change, as every model here

    @property
    def is_unread(self) -> bool:
        """Whether this is a local file whose bytes nobody has asked for yet."""
        return self._file is not None

    @property
    def size_bytes(self) -> int | None:
        """How many bytes it has; None for a URL or an id, whose size only others know. Reads nothing."""
        if self._file is not None:
            return self._file.size_bytes
        return None if self.data is None else len(self.data)

    def fingerprint(self) -> str | None:
        """SHA-256 of the bytes, in hexadecimal; None for a URL or an id. Reads a local file."""
        return None if self.data is None else hashlib.sha256(self.data).hexdigest()

    def _key_fields(self) -> tuple[str | None, ...]:
        """What makes two parts with the same source different prompts."""
        return (self.media_type,)

    def cache_key(self) -> str:
        """A key that is equal only for the same prompt: SHA-256 over the exact bytes (or the URL, or the id) and what is asked of
        them, such as `detail`. Never made of a smaller version: two pages that look alike are two keys."""
        digest = hashlib.sha256()
        for name, value in (
            ("type", self["type"].encode()),
            ("data", self.data),
            ("url", self.url and self.url.encode()),
            ("file_id", self.file_id and self.file_id.encode()),
            *((f"field {number}", text and text.encode()) for number, text in enumerate(self._key_fields())),
        ):
            if value is not None:
                digest.update(f"{name} {len(value)}:".encode())
                digest.update(cast("bytes", value))
        return digest.hexdigest()

    def to_log_dict(self) -> JSONDict:
        """What it is, not what it holds: type, media type, name, size and fingerprint; of a URL neither query nor fragment."""
        written = {
            name: self[name]
            for name in type(self).model_fields
            if name not in {"data", "url"} and self[name] is not None
        }
        if self.url is not None:
            written["url"] = safe_url(self.url)
        if self.size_bytes is not None:
            written["size_bytes"] = self.size_bytes
        if not self.is_unread and self.data is not None:
            written["sha256"] = self.fingerprint()
        return written


def _read_bytes(data: BytesInput) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
        raise TypeError(f"bytes are wanted, not {type(data).__name__}")
    return bytes(data)


class ImagePart(MediaPart):
    """An image, by URL, by bytes, or by id. `Image(…)` and `ImagePart.from_path(…)` make one of a file.

    url: http(s), passed on to providers that fetch images themselves and fetched for those that do not; a data URL is read into
    `data`. data: the image's bytes. file_id: the id that the provider gave it when it was uploaded. media_type: default, what the
    bytes say. detail: how closely to look; default, the provider's.
    """

    type: Literal["image"] = "image"
    detail: ImageDetail | None = None

    @model_validator(mode="after")
    def _one_source(self) -> ImagePart:
        if self.is_unread:  # a finished part, passing through the validation of its message
            return self
        self._take_source("image")
        if self.data is not None and self.media_type is None:
            self.media_type = sniff_image_type(self.data)
            if self.media_type is None:
                raise ValueError("image: the bytes are no PNG, JPEG, GIF, WebP or BMP; name the media_type")
        if self.media_type is not None and not self.media_type.startswith("image/"):
            raise ValueError("image: media_type must start with image/; documents go into a FilePart")
        return self

    @classmethod
    def from_path(cls, path: PathInput, *, detail: ImageDetail | None = None) -> Self:
        """An image file: its header is checked now (20 MiB, 40 megapixels), its bytes are read when they are first wanted.

        Raises ConfigurationError where it is missing, no regular file, or no PNG, JPEG, GIF, WebP or BMP within the limits.
        """
        file = look_at(path, is_image=True)
        return cls._of_file(file, {"media_type": file.media_type, "detail": detail})

    @classmethod
    def from_bytes(cls, data: BytesInput, *, detail: ImageDetail | None = None) -> Self:
        """An image by its bytes. Raises ConfigurationError for what is no image within the limits."""
        held = _read_bytes(data)
        check_image(held, "image bytes")
        return cls(data=held, detail=detail)

    @classmethod
    def from_pil(cls, image: Any, *, detail: ImageDetail | None = None) -> Self:
        """An image of Pillow's: as JPEG where it was read from one, else as PNG. Raises ConfigurationError for anything else."""
        from llmring.media.pixels import encode_pillow_image

        return cls(data=encode_pillow_image(image), detail=detail)

    @classmethod
    def from_pdf(
        cls,
        src: PathInput | BytesInput,
        dpi: int = 200,
        target_size: int | None = 1024,
        *,
        detail: ImageDetail | None = None,
    ) -> list[Self]:
        """The pages of a PDF as JPEG images, in order. Needs pypdfium2 and Pillow (the extra [pdf]).

        dpi: dots an inch. target_size: pixels of the longer side, at most; None = as many as `dpi` gives.
        Raises ConfigurationError for what is no PDF, needs a password, or has more than 500 pages.
        """
        from llmring.media.pdf import render_pages

        if isinstance(src, (bytes, bytearray, memoryview)):
            what, data = "PDF bytes", bytes(src)
            if len(data) > MAX_DOCUMENT_BYTES:
                raise too_large(what, MAX_DOCUMENT_BYTES)
        else:
            what, data = show_path(src), read_file(src, max_bytes=MAX_DOCUMENT_BYTES)
        return [
            cls(data=page, media_type="image/jpeg", detail=detail)
            for page in render_pages(data, dpi=dpi, target_size=target_size, what=what)
        ]

    def resize(self, max_size: int) -> ImagePart:
        """The image with its longer side at most `max_size` pixels and its proportions kept; a copy. Never enlarges. Needs Pillow.

        JPEG and WebP stay what they are, the rest becomes PNG. Raises ConfigurationError for a URL or an id: its pixels are not here.
        """
        from llmring.exceptions import ConfigurationError
        from llmring.media.pixels import shrink

        if self.data is None:
            raise ConfigurationError(
                "resize: the image is a URL or an id, whose pixels are not here", hint="give its bytes or its file"
            )
        data = shrink(self.data, max_size, "image")
        return self if data is self.data else ImagePart(data=data, detail=self.detail)

    def _key_fields(self) -> tuple[str | None, ...]:
        return (self.media_type, self.detail)


class FilePart(MediaPart):
    """A document, by bytes, by URL, or by the id that the provider gave it when it was uploaded. `File(…)` and
    `FilePart.from_path(…)` make one of a file.

    citations: whether the answer is to say which of its passages it rests on, where the provider can; default, its own.
    """

    type: Literal["file"] = "file"
    filename: str | None = None
    citations: bool | None = None

    @model_validator(mode="after")
    def _one_source(self) -> FilePart:
        if self.is_unread:  # a finished part, passing through the validation of its message
            return self
        self._take_source("file")
        if self.data is not None and self.media_type is None:
            if not self.data.startswith(b"%PDF-"):
                raise ValueError("file: the bytes are no PDF; name the media_type")
            self.media_type = "application/pdf"
        return self

    @classmethod
    def from_path(
        cls,
        path: PathInput,
        *,
        media_type: str | None = None,
        filename: str | None = None,
        citations: bool | None = None,
    ) -> Self:
        """A file: looked at now, read when its bytes are first wanted. media_type: default, what its first bytes or its name say.
        filename: default, its own.

        Raises ConfigurationError where it is missing, no regular file, or larger than 50 MiB.
        """
        file = look_at(path, is_image=False)
        fields = {
            "media_type": media_type or file.media_type,
            "filename": filename or file_name(path),
            "citations": citations,
        }
        return cls._of_file(file, fields)

    def should_upload(self, provider: str, strategy: FileUploadStrategy | None = None) -> bool:
        """Whether it goes to this provider as an id rather than with the request: it has one, or the strategy says so."""
        if self.file_id is not None:
            return True
        return strategy is not None and strategy.should_upload(provider, self.size_bytes or 0)

    def _key_fields(self) -> tuple[str | None, ...]:
        return (self.media_type, self.filename, None if self.citations is None else str(self.citations))
