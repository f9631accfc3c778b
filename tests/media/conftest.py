"""Pictures and documents made here by Pillow, so that what they look like is known."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

MakeImage = Callable[..., bytes]


@pytest.fixture
def make_image() -> MakeImage:
    """An image as bytes: its left half red, its right half blue."""

    def make(width: int, height: int, kind: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
        image = Image.new("RGB", (width, height), (0, 0, 255))
        image.paste((255, 0, 0), (0, 0, width // 2, height))
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, kind, **options)
        return buffer.getvalue()

    return make


@pytest.fixture
def make_pdf() -> Callable[..., bytes]:
    """A PDF whose pages have these sizes in points, each of another colour."""

    def make(*sizes: tuple[int, int]) -> bytes:
        colours = ["red", "green", "blue", "black"]
        pages = [Image.new("RGB", size, colours[number % 4]) for number, size in enumerate(sizes)]
        buffer = io.BytesIO()
        pages[0].save(buffer, "PDF", resolution=72, save_all=True, append_images=pages[1:])
        return buffer.getvalue()

    return make
