"""Images scaled, and images of Pillow's as bytes. Pillow is loaded when first needed; without it, a typed error names it."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from llmring.exceptions import ConfigurationError
from llmring.media.image_size import read_size, sniff_image_type
from llmring.media.local import check_image, check_pixels

if TYPE_CHECKING:
    from PIL import Image

JPEG_QUALITY = 90  # guess: no difference to the eye, a third of the size of 100

# The modes that each format can hold: https://pillow.readthedocs.io/en/stable/handbook/image-file-formats.html (2026-11-21)
_MODES = {
    "PNG": frozenset({"1", "L", "LA", "I;16", "P", "RGB", "RGBA"}),
    "JPEG": frozenset({"L", "RGB"}),
    "WEBP": frozenset({"RGB", "RGBA"}),
}
_FORMATS = {"image/jpeg": "JPEG", "image/webp": "WEBP"}


def is_pillow_image(value: object) -> bool:
    """Whether this is an image of Pillow's. Loads nothing: such an object exists only where Pillow is loaded."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def encode_pillow_image(image: Any) -> bytes:
    """An image of Pillow's as bytes: JPEG where it was read from one, else PNG, which loses nothing. Raises ConfigurationError."""
    if not is_pillow_image(image):
        raise ConfigurationError(
            f"image_pil: a {type(image).__name__} is no image of Pillow's", hint="PIL.Image.open(…) gives one"
        )
    check_pixels(image.width, image.height, "image_pil")
    return _save(image, "JPEG" if image.format == "JPEG" else "PNG", "image_pil")


def shrink(data: bytes, max_size: int, what: str) -> bytes:
    """The image with its longer side at most `max_size` pixels, its proportions kept; as it is where it is small enough.

    JPEG and WebP stay what they are, the rest becomes PNG; of several frames the first one stays. Raises ConfigurationError.
    """
    if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 1:  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
        raise ConfigurationError(f"max_size: {max_size!r} is no number of pixels above 0")
    check_image(data, what)
    media_type = sniff_image_type(data) or ""
    size = read_size(data, media_type)
    if size is not None and max(size) <= max_size:
        return data
    pillow, operations = _load()
    try:
        with pillow.open(io.BytesIO(data), formats=[media_type.removeprefix("image/").upper()]) as image:
            check_pixels(image.width, image.height, what)  # a second header may say more than the first
            # How a camera was held stands in metadata, which does not survive.
            upright = operations.exif_transpose(image)
            scale = max_size / max(upright.size)
            target = (max(1, round(upright.width * scale)), max(1, round(upright.height * scale)))
            if upright.mode in {"P", "1"}:
                upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
            return _save(upright.resize(target, pillow.Resampling.LANCZOS), _FORMATS.get(media_type, "PNG"), what)
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise ConfigurationError(f"{what}: cannot be decoded: {type(error).__name__}") from None


def _save(image: Image.Image, kind: str, what: str) -> bytes:
    buffer = io.BytesIO()
    if image.mode not in _MODES[kind]:
        image = image.convert("RGBA" if kind != "JPEG" and "A" in image.getbands() else "RGB")
    try:
        image.save(buffer, kind, quality=JPEG_QUALITY)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{what}: cannot be written as {kind}: {type(error).__name__}") from None
    data = buffer.getvalue()
    check_image(data, what)
    return data


def jpeg(image: Image.Image, what: str) -> bytes:
    """An image of Pillow's as JPEG."""
    return _save(image, "JPEG", what)


def _load() -> tuple[Any, Any]:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise ConfigurationError(
            "scaling an image needs the package pillow, which is not installed",
            hint="install pillow, or llmring with its extra [images]",
        ) from None
    return Image, ImageOps
