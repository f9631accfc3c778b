"""Files into message content: each helper, and each way in which a file can be bad.

`tests/images` was written by Pillow 13, every picture 37 × 21; `preview.jpg` holds a smaller file of another size inside.
"""

from __future__ import annotations

import base64
import inspect
import json
import os
import socket
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmring
from llmring import files
from llmring.exceptions import ConfigurationError
from llmring.files import (
    analyze_image,
    compare_images,
    create_base64_image_content,
    create_data_url,
    create_image_content,
    create_multi_image_content,
    encode_file_to_base64,
    extract_text_from_image,
    get_file_mime_type,
    validate_image_file,
)
from llmring.media import local
from llmring.media.local import MAX_FILE_BYTES
from llmring.schemas import ImagePart, LLMRequest, Message, Part, Role, TextPart

IMAGES = Path(__file__).parent / "images"
NAMES = sorted(path.name for path in IMAGES.iterdir())
PNG = (IMAGES / "plain.png").read_bytes()
JPEG = (IMAGES / "baseline.jpg").read_bytes()
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".bmp": "image/bmp"}


def image_of(content: Sequence[Part]) -> ImagePart:
    (image,) = (part for part in content if isinstance(part, ImagePart))
    return image


def bomb(width: int, height: int) -> bytes:
    """A PNG that is honest about its size and tiny on disk: every pixel is black."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    squeeze = zlib.compressobj(9)
    row = bytes(1 + width // 8)  # one bit a pixel
    pixels = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


# The ten, as documented


@pytest.mark.spec("U51")
def test_the_ten_have_the_documented_signatures() -> None:
    wanted = {
        "encode_file_to_base64": ["path"],
        "get_file_mime_type": ["path"],
        "create_data_url": ["path"],
        "validate_image_file": ["path"],
        "create_image_content": ["src", "text=None"],
        "create_multi_image_content": ["images", "text=None"],
        "create_base64_image_content": ["b64", "mime", "text=None"],
        "analyze_image": ["src", "prompt"],
        "extract_text_from_image": ["src", "prompt=…"],
        "compare_images": ["a", "b", "prompt=…"],
    }
    found: dict[str, list[str]] = {}
    for name in wanted:
        function: Callable[..., Any] = getattr(files, name)
        found[name] = [
            parameter.name
            if parameter.default is parameter.empty
            else f"{parameter.name}={'…' if isinstance(parameter.default, str) else parameter.default}"
            for parameter in inspect.signature(function).parameters.values()
        ]
    assert found == wanted


@pytest.mark.spec("U34")
@pytest.mark.parametrize(
    "name",
    [
        "encode_file_to_base64",
        "get_file_mime_type",
        "create_data_url",
        "validate_image_file",
        "create_image_content",
        "create_multi_image_content",
        "create_base64_image_content",
        "analyze_image",
        "extract_text_from_image",
        "compare_images",
    ],
)
def test_all_ten_come_from_the_top(name: str) -> None:
    assert getattr(llmring, name) is getattr(files, name)
    assert name in llmring.__all__


@pytest.mark.spec("U20")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_as_base64_type_and_data_url(name: str, kind: Callable[[Path], str | Path]) -> None:
    path, data = IMAGES / name, (IMAGES / name).read_bytes()
    media_type = TYPES[path.suffix]
    assert base64.b64decode(encode_file_to_base64(kind(path))) == data
    assert get_file_mime_type(kind(path)) == media_type
    assert create_data_url(kind(path)) == f"data:{media_type};base64,{base64.b64encode(data).decode()}"
    assert validate_image_file(kind(path)) is True


@pytest.mark.parametrize(
    ("name", "data", "media_type"),
    [
        ("wrong.png", JPEG, "image/jpeg"),
        ("no-suffix", PNG, "image/png"),
        ("paper", b"%PDF-1.7\n", "application/pdf"),
        ("notes.txt", b"hello", "text/plain"),
        ("table.csv", b"a,b", "text/csv"),
        ("what.is-this", b"\0\1", "application/octet-stream"),
        ("empty.png", b"", "image/png"),
    ],
)
def test_the_type_is_what_the_bytes_say_before_what_the_name_says(
    name: str, data: bytes, media_type: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    assert get_file_mime_type(tmp_path / name) == media_type


SOURCES: dict[str, Callable[[], Any]] = {
    "path as text": lambda: str(IMAGES / "plain.png"),
    "Path": lambda: IMAGES / "plain.png",
    "bytes": lambda: PNG,
    "bytearray": lambda: bytearray(PNG),
    "memoryview": lambda: memoryview(PNG),
    "data URL": lambda: PNG_URL,
}


@pytest.mark.spec("U20")
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_source_gives_the_same_image(source: Callable[[], Any]) -> None:
    assert create_image_content(source()) == [ImagePart(data=PNG, media_type="image/png")]
    assert create_image_content(source(), "look") == [TextPart(text="look"), ImagePart(data=PNG)]
    assert analyze_image(source(), "what is it?")[0] == TextPart(text="what is it?")
    assert len(compare_images(source(), source())) == 3
    assert image_of(extract_text_from_image(source())).data == PNG


def test_a_url_is_passed_on_and_not_fetched() -> None:
    # The environment of the tests refuses connections to anywhere else.
    url = "https://images.example.org/cat.png?size=1"
    assert create_image_content(url, "look") == [TextPart(text="look"), ImagePart(url=url)]
    assert (
        image_of(create_image_content("HTTP://images.example.org/cat.png")).url == "HTTP://images.example.org/cat.png"
    )


@pytest.mark.spec("U20")
def test_several_images_keep_their_order_behind_the_text() -> None:
    content = create_multi_image_content([PNG, "https://example.org/b.png", IMAGES / "baseline.jpg"], "compare")
    assert content == [
        TextPart(text="compare"),
        ImagePart(data=PNG),
        ImagePart(url="https://example.org/b.png"),
        ImagePart(data=JPEG),
    ]


@pytest.mark.spec("U20")
def test_base64_with_its_type_becomes_an_image_that_keeps_the_type() -> None:
    encoded = base64.b64encode(JPEG).decode()
    assert create_base64_image_content(encoded, "image/jpeg", "look") == [TextPart(text="look"), ImagePart(data=JPEG)]
    assert (
        image_of(create_base64_image_content(base64.b64encode(b"<svg/>").decode(), "image/svg+xml")).data == b"<svg/>"
    )


@pytest.mark.spec("U20")
def test_prompts_have_defaults_and_give_way_to_yours() -> None:
    for content in (extract_text_from_image(PNG), compare_images(PNG, JPEG)):
        assert isinstance(content[0], TextPart)
        assert content[0].text
    assert extract_text_from_image(PNG, "read it")[0] == TextPart(text="read it")
    assert compare_images(PNG, JPEG, "which?") == [TextPart(text="which?"), ImagePart(data=PNG), ImagePart(data=JPEG)]


@pytest.mark.spec("U51", "U52")
def test_the_result_goes_straight_into_a_message_and_a_request() -> None:
    content = analyze_image(IMAGES / "plain.png", "what is it?")
    request = LLMRequest(model="vision", messages=[Message(role="user", content=content)])
    assert request.messages == [Message(role=Role.USER, content=content)]
    assert content[0]["type"] == "text"
    assert content[1]["type"] == "image"
    assert json.loads(json.dumps(request.messages[0].to_dict()))["content"][1]["media_type"] == "image/png"


# Bad files


def refusal(source: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        create_image_content(source)
    return str(caught.value)


@pytest.mark.spec("U20")
def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing.png"
    for use in (encode_file_to_base64, get_file_mime_type, create_data_url, create_image_content):
        with pytest.raises(ConfigurationError, match=r"missing\.png: cannot be read: No such file"):
            use(path)
    assert validate_image_file(path) is False


@pytest.mark.spec("U20")
@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "socket", "link to a folder"])
def test_what_is_no_regular_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it.png"
    listener = socket.socket(socket.AF_UNIX)
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "socket":
            # The path of a socket is short by nature: bind from within the folder.
            here = Path.cwd()
            os.chdir(tmp_path)
            listener.bind("it.png")
            os.chdir(here)
        case "device":
            path = Path("/dev/zero")
        case _:
            path.symlink_to(tmp_path)
    try:
        for use in (encode_file_to_base64, get_file_mime_type, create_data_url, create_image_content):
            with pytest.raises(ConfigurationError, match=r"no regular file|cannot be read"):
                use(path)
        assert validate_image_file(path) is False
    finally:
        listener.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(PNG)
    path.chmod(0)
    assert "locked.png: cannot be read: Permission denied" in refusal(path)


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(IMAGES / "plain.png")
    assert image_of(create_image_content(tmp_path / "link.png")).data == PNG


@pytest.mark.parametrize("name", ["nul\0byte.png", "x" * 5000])
def test_a_name_that_no_file_can_have_is_a_typed_error(name: str) -> None:
    assert "cannot be read" in refusal(name)
    assert len(refusal(name)) < 300


@pytest.mark.spec("U20")
@pytest.mark.parametrize("source", [None, 3, ["a.png"], object()])
def test_what_is_no_source_is_a_typed_error_that_lists_the_kinds(source: object) -> None:
    assert "give a path, or for images bytes, an http(s) URL or a data URL" in refusal(source)


@pytest.mark.spec("U20")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no PNG, JPEG, GIF, WebP or BMP"),
        (b"hello", "no PNG, JPEG, GIF, WebP or BMP"),
        (b"%PDF-1.7", "no PNG, JPEG, GIF, WebP or BMP"),
        (b"\x89PNG\r\n\x1a\n", "header is broken"),
        (PNG[:20], "header is broken"),
        (PNG[:16] + bytes(8) + PNG[24:], "header is broken"),
        (b"\xff\xd8\xff", "header is broken"),
        (b"\xff\xd8\xff\xd9", "header is broken"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x01" * 9, "header is broken"),
        (b"\xff\xd8" + b"\xff\xe0\x00\x02" * 5000, "header is broken"),
        (b"GIF89a\1", "header is broken"),
        (b"BM" + bytes(60), "header is broken"),
        (b"RIFF\0\0\0\0WEBPVP8?" + bytes(40), "header is broken"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(40), "header is broken"),
    ],
)
def test_a_file_that_is_no_image_is_refused_by_name(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    assert words in refusal(path)
    assert "bad.png" in refusal(path)
    assert words in refusal(data)
    assert validate_image_file(path) is False


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("data:image/png;base64,@@@", "data URL: the data URL's base64 is broken"),
        ("data:image/png,plain", "data URL: a data URL must read"),
        (f"data:text/plain;base64,{base64.b64encode(b'x').decode()}", "must start with image/"),
        (f"data:image/png;base64,{base64.b64encode(PNG[:20]).decode()}", "header is broken"),
        ("ftp://example.org/a.png", "cannot be read"),
        ("file:///etc/hostname", "cannot be read"),
    ],
)
def test_a_url_that_is_no_image_is_refused(source: str, words: str) -> None:
    assert words in refusal(source)


@pytest.mark.spec("U20")
@pytest.mark.parametrize(
    ("b64", "mime", "words"),
    [
        ("@@@", "image/png", "not base64"),
        ("é", "image/png", "not base64"),
        (base64.b64encode(PNG).decode(), "text/plain", "must start with image/"),
        (base64.b64encode(PNG[:20]).decode(), "image/png", "header is broken"),
    ],
)
def test_base64_that_is_no_image_is_refused(b64: str, mime: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create_base64_image_content(b64, mime)


def test_a_single_image_or_none_is_no_list_of_images() -> None:
    for wrong in (str(IMAGES / "plain.png"), PNG):
        with pytest.raises(ConfigurationError, match="create_image_content takes a single one"):
            create_multi_image_content(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigurationError, match="empty"):
        create_multi_image_content([])


# Limits


@pytest.mark.parametrize("name", NAMES)
def test_the_size_of_every_format_is_read_from_its_header(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_IMAGE_PIXELS", 37 * 21)
    assert validate_image_file(IMAGES / name)
    monkeypatch.setattr(local, "MAX_IMAGE_PIXELS", 37 * 21 - 1)
    assert f"{name}: 37 × 21 pixels" in refusal(IMAGES / name)


def test_old_bitmaps_and_bitmaps_from_the_top_have_sizes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_IMAGE_PIXELS", 1)
    core = b"BM" + bytes(12) + struct.pack("<IHH", 12, 37, 21) + bytes(10)
    from_the_top = b"BM" + bytes(12) + struct.pack("<Iii", 40, 37, -21) + bytes(40)
    assert "37 × 21" in refusal(core)
    assert "37 × 21" in refusal(from_the_top)


def test_fill_bytes_before_a_jpeg_marker_are_stepped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_IMAGE_PIXELS", 1)
    assert "37 × 21" in refusal(JPEG[:2] + b"\xff" * 100 + JPEG[2:])


@pytest.mark.spec("RT19")
@pytest.mark.parametrize("source", ["path", "bytes", "data URL", "base64"])
def test_a_bomb_of_144_megapixels_is_refused_by_its_header(source: str, tmp_path: Path) -> None:
    data = bomb(12_000, 12_000)
    assert len(data) < 100_000
    path = tmp_path / "bomb.png"
    path.write_bytes(data)
    encoded = base64.b64encode(data).decode()
    begin: dict[str, Callable[[], object]] = {
        "path": lambda: create_image_content(path),
        "bytes": lambda: create_image_content(data),
        "data URL": lambda: create_image_content(f"data:image/png;base64,{encoded}"),
        "base64": lambda: create_base64_image_content(encoded, "image/png"),
    }
    tracemalloc.start()
    try:
        started = time.perf_counter()
        with pytest.raises(ConfigurationError, match="12000 × 12000 pixels are more than 40 megapixels"):
            begin[source]()
        seconds, peak_bytes = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds < 0.25
    assert peak_bytes < 32 * 1024 * 1024
    assert validate_image_file(path) is False


@pytest.mark.spec("RT19")
def test_a_file_over_20_mib_is_refused_before_all_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(10 * MAX_FILE_BYTES)  # sparse: it takes no room
    started = time.perf_counter()
    assert "huge.png: larger than 20 MiB" in refusal(path)
    assert time.perf_counter() - started < 0.25
    for use in (encode_file_to_base64, create_data_url):
        with pytest.raises(ConfigurationError, match="larger than 20 MiB"):
            use(path)
    assert get_file_mime_type(path) == "image/png"
    assert validate_image_file(path) is False


@pytest.mark.spec("RT19")
def test_bytes_and_base64_over_20_mib_are_refused() -> None:
    too_much = PNG + bytes(MAX_FILE_BYTES)
    assert "image bytes: larger than 20 MiB" in refusal(too_much)
    long_text = "A" * (MAX_FILE_BYTES * 2)
    assert "data URL: larger than 20 MiB" in refusal(f"data:image/png;base64,{long_text}")
    with pytest.raises(ConfigurationError, match="larger than 20 MiB"):
        create_base64_image_content(long_text, "image/png")


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAX_FILE_BYTES", len(PNG))
    assert validate_image_file(IMAGES / "plain.png")
    (tmp_path / "more.png").write_bytes(PNG + b"\0")
    assert not validate_image_file(tmp_path / "more.png")


MARKERS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"BM",
    b"RIFF....WEBPVP8 ",
    b"RIFF....WEBPVP8L",
    b"RIFF....WEBPVP8X",
]


@given(st.sampled_from(MARKERS), st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_typed_error(marker: bytes, rest: bytes) -> None:
    try:
        create_image_content(marker + rest)
    except ConfigurationError:
        pass


@given(st.sampled_from(NAMES), st.integers(0, 700), st.integers(0, 255))
def test_a_changed_byte_raises_nothing_but_a_typed_error(name: str, at: int, value: int) -> None:
    data = bytearray((IMAGES / name).read_bytes())
    data[at % len(data)] = value
    try:
        create_image_content(data)
    except ConfigurationError:
        pass


def test_no_error_repeats_what_was_given_as_data() -> None:
    said = base64.b64encode(b"the launch code is 0000").decode() * 20
    for wrong in (said, f"data:image/png;base64,{said}", f"data:text/plain;base64,{said}"):
        assert said not in refusal(wrong)
