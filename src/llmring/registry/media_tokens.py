"""What images and documents cost in tokens, by the vendors' published rules where there are any. Estimates, all of them."""

from __future__ import annotations

import math
import re
from typing import Final

from llmring.media.image_size import read_size, sniff_image_type
from llmring.schemas.media_parts import FilePart, ImagePart

# Where the size of an image is not known (a URL, an id), or its vendor says nothing: guess, about one of 1024 × 1024 pixels.
IMAGE_TOKENS: Final = 1_000
# https://platform.claude.com/docs/en/build-with-claude/pdf-support (2026-11-21): 1,500 to 3,000 a page. For others: guess, the same.
PAGE_TOKENS: Final = 3_000
# https://ai.google.dev/gemini-api/docs/media-resolution (2026-11-21): Gemini 3's defaults, for an image and for a page.
_GEMINI_IMAGE: Final = 1_120
_GEMINI_PAGE: Final = 560
# https://ai.google.dev/gemini-api/docs/tokens (2026-11-21): Gemini 2, for each tile of 768 × 768, and for a page.
_GEMINI_2: Final = 258
# https://platform.claude.com/docs/en/build-with-claude/vision (2026-11-21): patches of 28 × 28 pixels; 2,576 pixels and 4,784 patches
# at most for models that see in high resolution, 1,568 of either for the others. The larger limit, so as not to say too little.
_CLAUDE_PATCH, _CLAUDE_EDGE, _CLAUDE_PATCHES = 28, 2_576, 4_784
# https://platform.openai.com/docs/guides/images-vision (2026-11-21): patches of 32 × 32 pixels, 1,536 at most, times a factor of the
# model's; 1.2 is what gpt-5-mini was measured to take, for the others a guess. detail "low": 85 for gpt-4o, the others about that.
# https://community.openai.com/t/gpt-5-mini-image-input-token-calculation-discrepancy-with-official-faq-formula/1344040
_OPENAI_PATCH, _OPENAI_PATCHES, _OPENAI_FACTOR, _OPENAI_LOW = 32, 1_536, 1.2, 85

# A page's object in a PDF, where it is not packed away: https://opensource.adobe.com/dc-acrobat-sdk-docs/pdfstandards/PDF32000_2008.pdf
_PDF_PAGE: Final = re.compile(rb"/Type\s{0,4}/Page\b")


def image_tokens(part: ImagePart, family: str, model: str) -> int:
    """What an image costs at a vendor. family: "openai", "anthropic", "google" or any other. Reads a local file."""
    if family == "openai" and part.detail == "low":
        return _OPENAI_LOW
    data = part.data
    kind = None if data is None else sniff_image_type(data)
    size = None if data is None or kind is None else read_size(data, kind)
    if family == "google" and not _is_gemini_2(model):
        return _GEMINI_IMAGE
    if size is None or min(size) < 1:
        return IMAGE_TOKENS
    match family:
        case "google":
            return _GEMINI_2 if max(size) <= 384 else _GEMINI_2 * math.prod(math.ceil(side / 768) for side in size)
        case "anthropic":
            scale = min(1.0, _CLAUDE_EDGE / max(size))
            return min(_patches(size, scale, _CLAUDE_PATCH), _CLAUDE_PATCHES)
        case "openai":
            return math.ceil(min(_patches(size, 1.0, _OPENAI_PATCH), _OPENAI_PATCHES) * _OPENAI_FACTOR)
        case _:
            return IMAGE_TOKENS


def document_tokens(part: FilePart, family: str, model: str) -> int:
    """What a PDF costs, by its pages as far as they can be counted by looking; of what is not here, as one page. Reads a local file."""
    data = part.data or b""
    pages = max(1, len(_PDF_PAGE.findall(data)))
    if family != "google":
        return pages * PAGE_TOKENS
    return pages * (_GEMINI_2 if _is_gemini_2(model) else _GEMINI_PAGE)


def _patches(size: tuple[int, int], scale: float, side: int) -> int:
    return math.prod(math.ceil(edge * scale / side) for edge in size)


def _is_gemini_2(model: str) -> bool:
    return model.startswith("gemini-2")
