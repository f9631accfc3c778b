"""Scaling: the longer side, the proportions, the format, and what cannot be scaled."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable

import pytest
from PIL import Image as Pillow

from llmring import ConfigurationError, Image, ImagePart

MakeImage = Callable[..., bytes]


def opened(part: ImagePart) -> Pillow.Image:
    assert part.data is not None
    return Pillow.open(io.BytesIO(part.data))


@pytest.mark.spec("F09")
@pytest.mark.parametrize(
    ("size", "max_size", "wanted"),
    [
        ((400, 200), 100, (100, 50)),
        ((200, 400), 100, (50, 100)),
        ((300, 300), 100, (100, 100)),
        ((1000, 3), 100, (100, 1)),
        ((333, 100), 50, (50, 15)),
        ((100, 50), 100, (100, 50)),
        ((10, 5), 100, (10, 5)),
    ],
)
def test_the_longer_side_is_cut_to_size_and_the_proportions_stay(
    make_image: MakeImage, size: tuple[int, int], max_size: int, wanted: tuple[int, int]
) -> None:
    original = ImagePart.from_bytes(make_image(*size), detail="high")
    resized = original.resize(max_size)
    assert opened(resized).size == wanted
    assert resized.detail == "high"
    assert opened(original).size == size
    assert (resized.data == original.data) == (max(size) <= max_size)


@pytest.mark.spec("F09")
@pytest.mark.parametrize(
    ("kind", "mode", "media_type"),
    [
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "1", "image/png"),
        ("PNG", "LA", "image/png"),
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("WEBP", "RGBA", "image/webp"),
        ("GIF", "P", "image/png"),
        ("BMP", "RGB", "image/png"),
    ],
)
def test_every_format_can_be_scaled(make_image: MakeImage, kind: str, mode: str, media_type: str) -> None:
    resized = ImagePart.from_bytes(make_image(80, 40, kind, mode)).resize(20)
    assert resized.media_type == media_type
    image = opened(resized).convert("RGB")
    assert image.size == (20, 10)
    if mode not in {"1", "L", "LA"}:
        left, right = image.getpixel((2, 5)), image.getpixel((17, 5))
        assert isinstance(left, tuple)
        assert isinstance(right, tuple)
        assert left[0] > left[2]
        assert right[2] > right[0]


def test_an_image_that_a_camera_turned_stands_upright(make_image: MakeImage) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees
    assert opened(ImagePart.from_bytes(make_image(80, 40, "JPEG", exif=exif)).resize(20)).size == (10, 20)


@pytest.mark.spec("F09")
def test_image_takes_the_size_and_the_detail_at_once(make_image: MakeImage) -> None:
    part = Image(make_image(80, 40), detail="low", max_size=20)
    assert opened(part).size == (20, 10)
    assert part.detail == "low"


@pytest.mark.parametrize("max_size", [0, -1, True, 1.5])
def test_a_size_that_is_none_is_refused(make_image: MakeImage, max_size: int) -> None:
    with pytest.raises(ConfigurationError, match="max_size"):
        ImagePart.from_bytes(make_image(8, 4)).resize(max_size)


@pytest.mark.parametrize("part", [ImagePart(url="https://example.org/a.png"), ImagePart(file_id="file-1")])
def test_what_is_elsewhere_cannot_be_scaled_here(part: ImagePart) -> None:
    with pytest.raises(ConfigurationError, match="whose pixels are not here"):
        part.resize(10)


@pytest.mark.spec("F09")
def test_pixels_that_are_not_there_are_a_typed_error() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    broken = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 400, 400, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")
    )
    with pytest.raises(ConfigurationError, match="cannot be decoded"):
        ImagePart.from_bytes(broken).resize(10)


@pytest.mark.spec("F09")
def test_without_pillow_the_error_names_it(make_image: MakeImage, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_image(80, 40)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigurationError, match=r"pillow.*\[images\]"):
        ImagePart.from_bytes(data).resize(10)


@pytest.mark.spec("F06")
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "F", "I;16"])
def test_an_image_of_pillows_becomes_a_png_whatever_its_mode(mode: str) -> None:
    image = Pillow.new(mode, (37, 21))
    part = Image(image, detail="low")
    assert part.media_type == "image/png"
    assert part.detail == "low"
    assert opened(part).size == (37, 21)


@pytest.mark.spec("F06")
def test_pixels_of_pillows_survive_and_a_jpeg_stays_one(make_image: MakeImage) -> None:
    image = Pillow.new("RGBA", (2, 1))
    image.putpixel((0, 0), (1, 2, 3, 4))
    assert opened(ImagePart.from_pil(image)).tobytes() == image.tobytes()
    photo = Pillow.open(io.BytesIO(make_image(80, 40, "JPEG")))
    assert ImagePart.from_pil(photo).media_type == "image/jpeg"


@pytest.mark.spec("F06")
def test_an_image_of_pillows_that_is_none_or_too_large_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a dict is no image of Pillow's"):
        ImagePart.from_pil({})
    with pytest.raises(ConfigurationError, match="more than 40 megapixels"):
        ImagePart.from_pil(Pillow.new("1", (10_000, 4_001)))
