"""One image, in the form that each API takes. The forms are those of the vendors' own pages, named beside each."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from llmring import ConfigurationError, File, FilePart, Image, ImagePart, LLMRequest, Message
from llmring.registry.model_info import ModelInfo
from llmring.wire.base import Quirks, Target
from llmring.wire.table import DIALECTS, get_dialect

PATH = Path(__file__).parent.parent / "images" / "plain.png"
B64 = base64.b64encode(PATH.read_bytes()).decode()
DATA_URL = f"data:image/png;base64,{B64}"
URL = "https://example.org/cat.png"

# Which dialects have images: all that have chat.
CHAT = sorted(name for name in DIALECTS if name != "cohere_embed")


def encoded(dialect: str, part: ImagePart | FilePart, quirks: Quirks = Quirks()) -> dict[str, Any]:
    request = LLMRequest(model="m", messages=[Message(role="user", content=["look", part])], max_tokens=9)
    body = get_dialect(dialect).encode(request, Target("p", "m", ModelInfo("p:m"), quirks), stream=False).body
    turns = body.get("messages") or body.get("input") or body.get("contents")
    assert turns
    turn = turns[-1]
    if dialect == "ollama_chat":
        return {"images": turn["images"]}
    return (turn.get("content") or turn.get("parts"))[-1]


# https://developers.openai.com/api/docs/guides/images-vision, …/api/reference/chat and …/responses;
# https://platform.claude.com/docs/en/build-with-claude/vision; https://ai.google.dev/gemini-api/docs/file-input-methods;
# https://docs.ollama.com/capabilities/vision; https://docs.mistral.ai/inference/quickstarts/analyze-an-image (2026-11-21)
BY_BYTES: dict[str, tuple[str, Quirks, dict[str, Any]]] = {
    "oa_chat": ("openai_chat", Quirks(), {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}),
    "oa_resp": ("openai_responses", Quirks(), {"type": "input_image", "detail": "low", "image_url": DATA_URL}),
    "anthropic": (
        "anthropic_messages",
        Quirks(),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}},
    ),
    "gemini": ("gemini_generate", Quirks(), {"inlineData": {"mimeType": "image/png", "data": B64}}),
    "ollama": ("ollama_chat", Quirks(), {"images": [B64]}),
    "mistral": ("openai_chat", Quirks(image_strings=True), {"type": "image_url", "image_url": DATA_URL}),
}
BY_URL: dict[str, tuple[str, Quirks, dict[str, Any]]] = {
    "oa_chat": ("openai_chat", Quirks(), {"type": "image_url", "image_url": {"url": URL, "detail": "low"}}),
    "oa_resp": ("openai_responses", Quirks(), {"type": "input_image", "detail": "low", "image_url": URL}),
    "anthropic": ("anthropic_messages", Quirks(), {"type": "image", "source": {"type": "url", "url": URL}}),
    "gemini": ("gemini_generate", Quirks(), {"fileData": {"fileUri": URL, "mimeType": "image/png"}}),
    "mistral": ("openai_chat", Quirks(image_strings=True), {"type": "image_url", "image_url": URL}),
}


def test_no_dialect_with_chat_is_missing_here() -> None:
    assert sorted({dialect for dialect, _, _ in BY_BYTES.values()}) == CHAT


def without_resolution(part: dict[str, Any]) -> dict[str, Any]:
    """Gemini says `detail` as a resolution beside the image; what it says is for that dialect's own cases."""
    return {name: value for name, value in part.items() if name not in {"mediaResolution", "media_resolution"}}


@pytest.mark.spec("F15", "F07")
@pytest.mark.parametrize(("dialect", "quirks", "wanted"), BY_BYTES.values(), ids=BY_BYTES)
@pytest.mark.parametrize("source", ["path", "bytes", "data URL"])
def test_an_image_by_its_bytes(dialect: str, quirks: Quirks, wanted: dict[str, Any], source: str) -> None:
    given: dict[str, Any] = {"path": PATH, "bytes": PATH.read_bytes(), "data URL": DATA_URL}
    assert without_resolution(encoded(dialect, Image(given[source], detail="low"), quirks)) == wanted


@pytest.mark.spec("F15", "F08")
@pytest.mark.parametrize(("dialect", "quirks", "wanted"), BY_URL.values(), ids=BY_URL)
def test_an_image_by_url(dialect: str, quirks: Quirks, wanted: dict[str, Any]) -> None:
    assert without_resolution(encoded(dialect, Image(URL, detail="low"), quirks)) == wanted


UPLOADED: dict[str, tuple[FilePart | ImagePart, dict[str, Any]]] = {
    "openai_chat": (File(file_id="file-1"), {"type": "file", "file": {"file_id": "file-1"}}),
    "openai_responses": (Image(file_id="file-1"), {"type": "input_image", "detail": "auto", "file_id": "file-1"}),
    "anthropic_messages": (Image(file_id="file-1"), {"type": "image", "source": {"type": "file", "file_id": "file-1"}}),
    "gemini_generate": (
        FilePart(file_id="https://x/files/1", media_type="application/pdf"),
        {"fileData": {"fileUri": "https://x/files/1", "mimeType": "application/pdf"}},
    ),
}


@pytest.mark.spec("F14", "F15")
@pytest.mark.parametrize(
    ("dialect", "part", "wanted"), [(name, *rest) for name, rest in UPLOADED.items()], ids=UPLOADED
)
def test_an_upload_goes_as_its_id(dialect: str, part: ImagePart | FilePart, wanted: dict[str, Any]) -> None:
    assert encoded(dialect, part) == wanted


@pytest.mark.spec("F15")
@pytest.mark.parametrize(
    ("dialect", "part"),
    [
        ("openai_chat", ImagePart(file_id="file-1")),
        ("openai_chat", FilePart(url="https://example.org/a.pdf")),
        ("ollama_chat", ImagePart(file_id="file-1")),
        ("ollama_chat", FilePart(file_id="file-1")),
    ],
)
def test_what_a_dialect_has_no_words_for_is_never_sent_as_something_else(
    dialect: str, part: ImagePart | FilePart
) -> None:
    with pytest.raises(ConfigurationError):
        encoded(dialect, part)


@pytest.mark.spec("F15", "U21")
def test_openrouter_takes_a_documents_url_in_the_place_of_its_bytes() -> None:
    part = encoded("openai_chat", File("https://example.org/a.pdf"), Quirks(file_urls=True))
    assert part == {"type": "file", "file": {"file_data": "https://example.org/a.pdf"}}


@pytest.mark.spec("F15")
def test_what_mistral_has_no_words_for_is_said_once() -> None:
    content = [Image(PATH, detail="low"), Image(URL, detail="low")]
    request = LLMRequest(model="m", messages=[Message(role="user", content=content)])
    target = Target("mistral", "m", ModelInfo("mistral:m"), Quirks(image_strings=True))
    encoded = get_dialect("openai_chat").encode(request, target, stream=False)
    assert encoded.warnings == ["detail of an image was left out: mistral:m has no words for it"]
