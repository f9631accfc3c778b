"""Pages of a PDF as images."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from llmring import ConfigurationError, ImagePart, Message
from llmring.media import pdf

MakePDF = Callable[..., bytes]


def opened(part: ImagePart) -> Pillow.Image:
    assert part.data is not None
    return Pillow.open(io.BytesIO(part.data))


@pytest.mark.spec("F10")
def test_two_pages_become_two_jpegs_in_order(make_pdf: MakePDF, tmp_path: Path) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf((612, 792), (792, 612)))
    for source in (path, str(path), path.read_bytes()):
        pages = ImagePart.from_pdf(source, detail="low")
        assert [page.media_type for page in pages] == ["image/jpeg", "image/jpeg"]
        assert [page.detail for page in pages] == ["low", "low"]
        assert [opened(page).size for page in pages] == [(792, 1024), (1024, 792)]
        red, green = (opened(page).convert("RGB").getpixel((400, 400)) for page in pages)
        assert isinstance(red, tuple)
        assert isinstance(green, tuple)
        assert red[0] > 200 > green[0]
    assert Message.user(pages).content == pages


@pytest.mark.spec("F10")
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (800, 400)),  # 288 × 144 points at 200 dpi, below 1024
        ({"dpi": 72}, (288, 144)),
        ({"dpi": 72, "target_size": None}, (288, 144)),
        ({"target_size": None}, (800, 400)),
        ({"dpi": 1000}, (1024, 512)),
        ({"target_size": 100}, (100, 50)),
    ],
)
def test_dpi_sets_the_size_and_target_size_is_its_limit(
    make_pdf: MakePDF, options: dict[str, Any], size: tuple[int, int]
) -> None:
    (page,) = ImagePart.from_pdf(make_pdf((288, 144)), **options)
    assert opened(page).size == size


@pytest.mark.spec("F10")
def test_what_is_no_pdf_or_too_much_of_one_is_refused(
    make_pdf: MakePDF, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="no PDF that can be read"):
        ImagePart.from_pdf(b"hello")
    with pytest.raises(ConfigurationError, match=r"missing\.pdf: cannot be read"):
        ImagePart.from_pdf(tmp_path / "missing.pdf")
    with pytest.raises(ConfigurationError, match="dpi and target_size"):
        ImagePart.from_pdf(make_pdf((72, 72)), dpi=0)
    with pytest.raises(ConfigurationError, match="page 1: 20000 × 20000 pixels are more than 40"):
        ImagePart.from_pdf(make_pdf((72, 72)), dpi=20_000, target_size=None)
    monkeypatch.setattr(pdf, "MAX_PAGES", 1)
    with pytest.raises(ConfigurationError, match="2 pages are more than 1"):
        ImagePart.from_pdf(make_pdf((72, 72), (72, 72)))


@pytest.mark.spec("F10")
@pytest.mark.parametrize("missing", ["pypdfium2", "PIL"])
def test_without_its_packages_the_error_names_them(
    make_pdf: MakePDF, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    data = make_pdf((72, 72))
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "PIL":
        monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ConfigurationError, match=r"install pypdfium2 and pillow.*\[pdf\]"):
        ImagePart.from_pdf(data)
