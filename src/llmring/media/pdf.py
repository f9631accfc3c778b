"""Pages of a PDF as images. pypdfium2 and Pillow are loaded when first needed; without them, a typed error names them."""

from __future__ import annotations

import threading
from typing import Any

from llmring.exceptions import ConfigurationError
from llmring.media.local import check_pixels
from llmring.media.pixels import jpeg

_POINTS_PER_INCH = 72
MAX_PAGES = 500  # guess: above what any vendor takes in one request

# PDFium is not thread-safe: https://pypdfium2.readthedocs.io/en/stable/python_api.html (2026-11-21)
_one_at_a_time = threading.Lock()


def render_pages(data: bytes, *, dpi: int, target_size: int | None, what: str) -> list[bytes]:
    """Each page as a JPEG: at `dpi`, or smaller where its longer side would be more than `target_size` pixels.

    Raises ConfigurationError for what is no PDF or needs a password, for more than 500 pages, and for a page that would be more
    than 40 megapixels.
    """
    if dpi < 1 or (target_size is not None and target_size < 1):
        raise ConfigurationError("from_pdf: dpi and target_size are numbers above 0")
    pdfium = _load()
    with _one_at_a_time:
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError:
            raise ConfigurationError(f"{what}: no PDF that can be read, or one with a password") from None
        try:
            count = len(document)
            if count > MAX_PAGES:
                raise ConfigurationError(f"{what}: {count} pages are more than {MAX_PAGES}", hint="split it")
            return [_render(document[index], dpi, target_size, f"{what}, page {index + 1}") for index in range(count)]
        except pdfium.PdfiumError:
            raise ConfigurationError(f"{what}: one of its pages is broken") from None
        finally:
            document.close()


def _render(page: Any, dpi: int, target_size: int | None, what: str) -> bytes:
    width, height = page.get_size()
    scale = dpi / _POINTS_PER_INCH
    if target_size is not None:
        # Rendered at its final size: a page may be as large as a wall, and its pixels would be gigabytes.
        scale = min(scale, target_size / max(width, height, 1))
    check_pixels(round(width * scale), round(height * scale), what)
    bitmap = page.render(scale=scale)
    try:
        return jpeg(bitmap.to_pil(), what)
    finally:
        bitmap.close()
        page.close()


def _load() -> Any:
    try:
        import PIL.Image  # noqa: F401  # pyright: ignore[reportUnusedImport]: pypdfium2 loads it late, and says less
        import pypdfium2
    except ImportError as error:
        raise ConfigurationError(
            f"reading the pages of a PDF needs the package {error.name}, which is not installed",
            hint="install pypdfium2 and pillow, or llmring with its extra [pdf]",
        ) from None
    return pypdfium2
