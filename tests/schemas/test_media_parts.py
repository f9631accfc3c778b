"""Images and files as parts: where they may come from, when they are read, what keys and logs say of them."""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from pydantic import ValidationError

import llmring
from llmring import (
    ConfigurationError,
    File,
    FilePart,
    Image,
    ImagePart,
    InvalidRequestError,
    LLMRequest,
    Message,
    TextPart,
    ToolOutputPart,
    content_to_dicts,
    normalize_messages,
)
from llmring.media import local
from llmring.schemas.messages import Role
from llmring.wire.anthropic_messages import asked
from llmring.wire.openai_chat import request

IMAGES = Path(__file__).parent.parent / "images"
PNG = (IMAGES / "plain.png").read_bytes()
JPEG = (IMAGES / "baseline.jpg").read_bytes()
PDF = b"%PDF-1.7\nnot much of one"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(PDF)
    return path


# Sources

FILES: dict[str, Callable[[Path], FilePart]] = {
    "path as text": lambda path: File(str(path)),
    "Path": File,
    "from_path": FilePart.from_path,
    "bytes": lambda path: File(path.read_bytes(), filename="paper.pdf"),
    "bytearray": lambda path: File(bytearray(path.read_bytes()), filename="paper.pdf"),
    "memoryview": lambda path: File(memoryview(path.read_bytes()), filename="paper.pdf"),
    "base64": lambda path: FilePart.model_validate({"data": b64(PDF), "filename": "paper.pdf"}),
    "data URL": lambda path: File(f"data:application/pdf;base64,{b64(PDF)}", filename="paper.pdf"),
}


@pytest.mark.spec("F01")
@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_every_source_of_a_file_gives_the_same_part(make: Callable[[Path], FilePart], paper: Path) -> None:
    part = make(paper)
    assert part == FilePart(data=PDF, media_type="application/pdf", filename="paper.pdf")
    assert part.size_bytes == len(PDF)
    assert json.loads(json.dumps(part.to_dict())) == {
        "type": "file",
        "data": b64(PDF),
        "media_type": "application/pdf",
        "filename": "paper.pdf",
    }


@pytest.mark.spec("F01", "F14")
def test_a_url_and_an_id_are_kept_as_they_are() -> None:
    assert File("https://example.org/a.pdf") == FilePart(url="https://example.org/a.pdf")
    assert File("https://example.org/a.pdf").size_bytes is None
    assert Image("https://example.org/a.png", detail="low") == ImagePart(url="https://example.org/a.png", detail="low")
    assert Image(file_id="file-1").file_id == "file-1"
    assert File(file_id="file-1", media_type="application/pdf").fingerprint() is None


@pytest.mark.spec("F14")
def test_with_an_id_the_data_stands_for_nothing_and_is_not_opened() -> None:
    part = File("dummy", file_id="file-abc123", media_type="application/pdf", filename="paper.pdf")
    assert part == FilePart(file_id="file-abc123", media_type="application/pdf", filename="paper.pdf")
    assert Image("dummy", file_id="file-abc123") == ImagePart(file_id="file-abc123")


@pytest.mark.spec("F14")
def test_type_and_name_can_be_said(paper: Path) -> None:
    part = File(paper, media_type="text/plain", filename="other.txt", citations=True)
    assert (part.media_type, part.filename, part.citations) == ("text/plain", "other.txt", True)
    assert File(b"a,b", media_type="text/csv").media_type == "text/csv"


@pytest.mark.spec("F01")
@pytest.mark.parametrize("make", [File, FilePart.from_path, Image, ImagePart.from_path])
def test_a_missing_file_is_told_when_the_part_is_made(make: Callable[[Path], Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.png: cannot be read: No such file"):
        make(tmp_path / "gone.png")
    with pytest.raises(ConfigurationError, match="no regular file"):
        make(tmp_path)


@pytest.mark.spec("F01")
def test_nothing_at_all_is_refused() -> None:
    for make in (File, Image):
        with pytest.raises(ConfigurationError, match="nothing was given"):
            make()
    with pytest.raises(ConfigurationError, match="name the media_type"):
        File(b"what is this")
    with pytest.raises(ConfigurationError, match="base64 is broken"):
        File("data:application/pdf;base64,@@@")


# When they are read


@pytest.mark.spec("F01")
@pytest.mark.parametrize("make", [FilePart.from_path, File])
def test_bytes_are_read_when_they_are_first_wanted_and_once(make: Callable[[Path], FilePart], paper: Path) -> None:
    part = make(paper)
    assert part.is_unread
    assert part.size_bytes == len(PDF)
    asking = LLMRequest(model="m", messages=Message(role="user", content=[part]))
    assert "paper.pdf" in repr(asking)
    assert part.is_unread
    paper.write_bytes(PDF + b", and more")
    assert part.data == PDF + b", and more"
    assert not part.is_unread
    paper.unlink()
    assert part.data == PDF + b", and more"


@pytest.mark.spec("F01")
def test_a_change_of_folder_does_not_lose_the_file(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paper.parent)
    part = File("paper.pdf")
    monkeypatch.chdir("/")
    assert part.data == PDF


@pytest.mark.spec("F01")
def test_a_file_that_went_or_became_another_is_a_typed_error(paper: Path, tmp_path: Path) -> None:
    gone, changed = File(paper), File(paper)
    paper.write_bytes(PNG)
    with pytest.raises(ConfigurationError, match="was application/pdf when it was named"):
        _ = changed.data
    paper.unlink()
    with pytest.raises(ConfigurationError, match=r"paper\.pdf: cannot be read"):
        _ = gone.data
    picture = tmp_path / "picture.png"
    picture.write_bytes(PNG)
    part = Image(picture)
    picture.write_bytes(b"no image any more")
    with pytest.raises(ConfigurationError, match="no PNG, JPEG"):
        _ = part.data


def only(message: Message) -> ImagePart:
    assert isinstance(message.content, list)
    (part,) = message.content
    assert isinstance(part, ImagePart)
    return part


COPIES: dict[str, Callable[[ImagePart], ImagePart]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda part: pickle.loads(pickle.dumps(part)),
    "model_copy": lambda part: part.model_copy(),
    "dict": lambda part: ImagePart.model_validate(part.to_dict()),
    "message": lambda part: only(Message.from_dict(Message.user([part]).to_dict())),
    "request": lambda part: only(LLMRequest(model="m", messages=Message.user([part])).messages[0]),
}


@pytest.mark.spec("F01", "T04")
@pytest.mark.parametrize("make_copy", COPIES.values(), ids=COPIES)
def test_a_part_of_a_file_is_a_part_like_any_other(make_copy: Callable[[ImagePart], ImagePart]) -> None:
    part = Image(IMAGES / "plain.png", detail="high")
    copied = make_copy(part)
    assert copied == part
    assert copied == ImagePart(data=PNG, detail="high")
    assert copied.data == PNG
    assert copied != ImagePart(data=JPEG, detail="high")


@pytest.mark.spec("F01", "RT19")
@pytest.mark.parametrize("path_of", [FilePart.from_path, ImagePart.from_path])
def test_limits_hold_when_the_part_is_made(
    path_of: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(60 * 1024 * 1024)  # sparse
    with pytest.raises(ConfigurationError, match=r"huge\.png: larger than (20|50) MiB"):
        path_of(path)
    monkeypatch.setattr(local, "MAX_IMAGE_PIXELS", 1)
    with pytest.raises(ConfigurationError, match="37 × 21 pixels"):
        Image(IMAGES / "plain.png")


@pytest.mark.spec("F01")
def test_an_image_whose_size_stands_far_behind_is_found(tmp_path: Path) -> None:
    # Metadata of 200 kB before the frame header, as cameras write it.
    path = tmp_path / "camera.jpg"
    path.write_bytes(JPEG[:2] + (b"\xff\xe1\xff\xff" + bytes(0xFFFD)) * 3 + JPEG[2:])
    assert Image(path).is_unread


# Images


@pytest.mark.spec("F07")
@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("plain.png", "image/png"),
        ("baseline.jpg", "image/jpeg"),
        ("plain.gif", "image/gif"),
        ("plain.bmp", "image/bmp"),
        ("lossy.webp", "image/webp"),
    ],
)
def test_base64_is_what_its_bytes_say(name: str, media_type: str) -> None:
    data = (IMAGES / name).read_bytes()
    forms: list[dict[str, Any]] = [
        {"type": "image", "data": b64(data)},
        {"type": "image", "image_base64": b64(data)},
        {"type": "image", "image_url": f"data:;base64,{b64(data)}"},
    ]
    for form in forms:
        (part,) = Message.model_validate({"role": "user", "content": [form]}).content or []
        assert isinstance(part, ImagePart)
        assert part.media_type == media_type


@pytest.mark.spec("F07")
def test_a_data_url_keeps_the_type_it_says() -> None:
    assert Image(f"data:image/webp;base64,{b64(PNG)}").media_type == "image/webp"


DICTS: dict[str, tuple[dict[str, Any], ImagePart]] = {
    "image_path": ({"image_path": str(IMAGES / "plain.png")}, ImagePart(data=PNG)),
    "image_path as Path": ({"image_path": IMAGES / "plain.png", "detail": "low"}, ImagePart(data=PNG, detail="low")),
    "image_url": ({"image_url": "https://example.org/a.png"}, ImagePart(url="https://example.org/a.png")),
    "image_url as dict": (
        {"image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        ImagePart(url="https://example.org/a.png", detail="low"),
    ),
    "image_url as data URL": ({"image_url": f"data:image/png;base64,{b64(PNG)}"}, ImagePart(data=PNG)),
    "image_base64": ({"image_base64": b64(PNG)}, ImagePart(data=PNG)),
    "image_base64 of a JPEG": ({"image_base64": b64(JPEG)}, ImagePart(data=JPEG, media_type="image/jpeg")),
    "image_base64 with its type": (
        {"image_base64": b64(b"<svg/>"), "media_type": "image/svg+xml"},
        ImagePart(data=b"<svg/>", media_type="image/svg+xml"),
    ),
    "image_base64 as data URL": ({"image_base64": f"data:image/png;base64,{b64(PNG)}"}, ImagePart(data=PNG)),
}


@pytest.mark.spec("F06")
@pytest.mark.parametrize(("form", "wanted"), DICTS.values(), ids=DICTS)
@pytest.mark.parametrize("typed", [True, False])
def test_images_are_read_by_key(form: dict[str, Any], wanted: ImagePart, typed: bool) -> None:
    part = {"type": "image", **form} if typed else form
    given: Any = {"role": "user", "content": [{"type": "text", "text": "look"}, part]}
    before = copy.deepcopy(given)
    for message in (
        Message.model_validate(given),
        *normalize_messages([given]),
        *LLMRequest(model="m", messages=given).messages,
    ):
        assert message == Message(role=Role.USER, content=[TextPart(text="look"), wanted])
    assert given == before


@pytest.mark.spec("F06")
def test_an_image_of_pillows_is_read_by_key() -> None:
    image = Pillow.open(IMAGES / "plain.png")
    message = Message(role="user", content=[{"type": "image", "image_pil": image, "detail": "high"}])
    assert isinstance(message.content, list)
    (part,) = message.content
    assert isinstance(part, ImagePart)
    assert (part.media_type, part.detail) == ("image/png", "high")
    assert Pillow.open(io.BytesIO(part.data or b"")).tobytes() == image.tobytes()


@pytest.mark.spec("F06")
def test_all_four_kinds_are_images_through_the_one_function() -> None:
    assert Image(IMAGES / "plain.png") == Image(PNG) == Image(f"data:image/png;base64,{b64(PNG)}")
    assert Image(Pillow.open(IMAGES / "plain.png")).media_type == "image/png"
    with pytest.raises(ConfigurationError, match="no PNG, JPEG"):
        Image(PDF)


@pytest.mark.spec("F06")
@pytest.mark.parametrize(
    ("form", "error", "words"),
    [
        ({"image_path": "/nowhere.png"}, ConfigurationError, r"/nowhere\.png: cannot be read"),
        ({"image_path": 3}, ConfigurationError, "int is no file"),
        ({"image_pil": "no image"}, ConfigurationError, "str is no image of Pillow's"),
        ({"image_base64": "@@@"}, ValidationError, "not base64"),
        ({"image_base64": 3}, ValidationError, "int is no image"),
        ({"image_url": "ftp://example.org/a"}, ValidationError, "https://, http:// or data:"),
        ({"image_url": {"href": "x"}}, ValidationError, "dict is no image"),
        ({"image_path": str(IMAGES / "plain.png"), "media_type": "x"}, ValidationError, "only detail may stand"),
    ],
)
def test_a_key_with_no_image_says_why(form: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Message(role="user", content=[{"type": "image", **form}])


@pytest.mark.spec("F06")
def test_without_pillow_nothing_else_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "PIL.Image")
    with pytest.raises(ConfigurationError, match="no image of Pillow's"):
        Message(role="user", content=[{"type": "image", "image_pil": object()}])
    assert Image(PNG).data == PNG


@pytest.mark.spec("F06", "RT17")
def test_what_came_over_the_network_or_from_a_store_names_no_file_of_this_machine() -> None:
    part = {"type": "image", "image_path": str(IMAGES / "plain.png")}
    message = {"role": "user", "content": [part]}
    # Anthropic's reader keeps a block that it does not know as a block: nothing is read there either.
    (read,) = asked.decode_request({"model": "m", "max_tokens": 9, "messages": [message]}).messages
    assert b64(PNG) not in json.dumps(read.to_dict())
    with pytest.raises(InvalidRequestError, match="may not name a file of this machine"):
        request.decode_request({"model": "m", "messages": [message]})
    with pytest.raises(ValidationError, match="may not name a file of this machine"):
        Message.from_dict(message)
    # The program's own messages may.
    assert LLMRequest(model="m", messages=[message]).messages[0].content == [ImagePart(data=PNG)]


# Keys and logs


@pytest.mark.spec("F11")
def test_images_that_look_alike_have_different_keys() -> None:
    def page(last_pixel: int) -> ImagePart:
        image = Pillow.new("L", (1700, 2200), 255)
        image.putpixel((900, 1100), last_pixel)
        return ImagePart.from_pil(image)

    # Alike in any small version: one grey level of one pixel in 3.7 million.
    assert page(0).cache_key() != page(1).cache_key()
    assert page(0).cache_key() == page(0).cache_key()
    # Alike but for the last of three million bytes.
    noughts = [ImagePart(data=PNG + bytes(3_000_000) + last).cache_key() for last in (b"0", b"1")]
    assert len(set(noughts)) == 2


@pytest.mark.spec("F11")
def test_a_key_says_all_that_changes_the_prompt_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "same.png").write_bytes(PNG)
    different = [
        ImagePart(data=PNG),
        ImagePart(data=JPEG),
        ImagePart(data=PNG, detail="low"),
        ImagePart(data=PNG, detail="high"),
        ImagePart(url="https://example.org/a.png"),
        ImagePart(url="https://example.org/b.png"),
        ImagePart(file_id="https://example.org/a.png"),
        FilePart(data=PNG, media_type="image/png"),
        FilePart(data=PNG, media_type="image/png", filename="a.png"),
        FilePart(data=PNG, media_type="image/png", citations=True),
    ]
    assert len({part.cache_key() for part in different}) == len(different)
    assert Image(tmp_path / "same.png").cache_key() == Image(PNG).cache_key()
    assert len(Image(PNG).cache_key()) == 64


@pytest.mark.spec("F13")
def test_the_log_form_names_media_and_holds_none() -> None:
    big = PNG + bytes(5_000_000)
    message = Message(
        role="user",
        content=[
            TextPart(text="look"),
            ImagePart(data=big, detail="low"),
            FilePart(data=PDF, filename="paper.pdf"),
            ImagePart(url="https://example.org/a.png?signature=secret#x"),
            FilePart(file_id="file-1"),
        ],
    )
    logged = message.to_log_dict()
    text = json.dumps(logged)
    assert len(text) < 1000
    assert "secret" not in text
    image, paper = logged["content"][1], logged["content"][2]
    assert image["size_bytes"] == len(big)
    assert image["sha256"] == ImagePart(data=big).fingerprint()
    assert paper["filename"] == "paper.pdf"
    assert "data" not in image.keys() | paper.keys()
    assert logged["content"][0] == {"type": "text", "text": "look"}
    assert logged["content"][3]["url"].startswith("https://example.org/a.png")


@pytest.mark.spec("F13")
def test_the_log_form_reads_no_file_and_reaches_into_tool_results(paper: Path) -> None:
    part = File(paper)
    output = ToolOutputPart(tool_call_id="1", content=[TextPart(text="here"), Image(PNG)])
    logged = Message(role="user", content=[part, output]).to_log_dict()
    assert part.is_unread
    assert logged["content"][0]["size_bytes"] == len(PDF)
    assert b64(PNG) not in json.dumps(logged)
    assert Message.user("hi").to_log_dict() == Message.user("hi").to_dict()


@pytest.mark.spec("F13", "T04")
def test_to_dict_loses_nothing(paper: Path) -> None:
    message = Message(role="user", content=[Image(PNG, detail="low"), File(paper), FilePart(file_id="file-1")])
    assert Message.from_dict(json.loads(json.dumps(message.to_dict()))) == message


# As dicts


@pytest.mark.spec("U52")
def test_parts_read_as_dicts() -> None:
    content = llmring.analyze_image(PNG, "what is it?")
    assert content[0]["type"] == "text"
    assert content[0]["text"] == "what is it?"
    assert content[1]["type"] == "image"
    assert content[1]["data"] == PNG
    assert content[1].get("detail") is None
    assert content[1].get("colour", "red") == "red"
    assert "media_type" in content[1]
    assert "text" not in content[1]
    with pytest.raises(KeyError):
        content[0]["colour"]
    assert Image(IMAGES / "plain.png")["data"] == PNG


@pytest.mark.spec("U52")
def test_one_call_makes_json_of_what_the_functions_give() -> None:
    content = llmring.analyze_image(PNG, "what is it?")
    written = json.loads(json.dumps(content_to_dicts(content)))
    assert written == [
        {"type": "text", "text": "what is it?"},
        {"type": "image", "data": b64(PNG), "media_type": "image/png"},
    ]
    assert Message(role="user", content=written) == Message(role="user", content=content)
    assert content_to_dicts("hi") == content_to_dicts(TextPart(text="hi")) == [{"type": "text", "text": "hi"}]
