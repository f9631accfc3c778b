"""When a file is uploaded: the decision, row by row."""

from __future__ import annotations

import pytest

from llmring import ConfigurationError, FilePart, FileUploadStrategy

MIB = 1024 * 1024
DEFAULT = FileUploadStrategy()


@pytest.mark.spec("F16")
def test_the_defaults_are_the_documented_ones() -> None:
    assert (DEFAULT.size_threshold, DEFAULT.auto_upload_openai, DEFAULT.auto_upload_anthropic) == (5 * MIB, True, False)
    assert DEFAULT.delete_at_close is False
    with pytest.raises(ConfigurationError, match="size_threshold"):
        FileUploadStrategy(size_threshold=-1)


@pytest.mark.spec("F16")
@pytest.mark.parametrize(
    ("file_id", "size", "provider", "strategy", "wanted"),
    [
        # An id decides alone.
        ("file-1", 0, "openai", None, True),
        ("file-1", 0, "anthropic", DEFAULT, True),
        ("file-1", 0, "google", FileUploadStrategy(auto_upload_openai=False), True),
        # No strategy: nothing is uploaded by choice.
        (None, 1, "openai", None, False),
        (None, 6 * MIB, "openai", None, False),
        # Then the size, whoever the provider is.
        (None, 5 * MIB + 1, "anthropic", DEFAULT, True),
        (None, 5 * MIB + 1, "google", DEFAULT, True),
        (None, 5 * MIB + 1, "openai", FileUploadStrategy(auto_upload_openai=False), True),
        (None, 5 * MIB, "google", DEFAULT, False),
        (None, 11, "google", FileUploadStrategy(size_threshold=10), True),
        # Then what the provider prefers.
        (None, 1, "openai", DEFAULT, True),
        (None, 1, "anthropic", DEFAULT, False),
        (None, 1, "google", DEFAULT, False),
        (None, 1, "mistral", DEFAULT, False),
        (None, 1, "openai", FileUploadStrategy(auto_upload_openai=False), False),
        (None, 1, "anthropic", FileUploadStrategy(auto_upload_anthropic=True), True),
    ],
)
def test_an_id_then_the_size_then_the_provider(
    file_id: str | None, size: int, provider: str, strategy: FileUploadStrategy | None, wanted: bool
) -> None:
    data = None if file_id is not None else b"%PDF-".ljust(size, b"\0")[: max(size, 1)]
    part = FilePart(file_id=file_id, data=data, media_type="application/pdf")
    assert part.should_upload(provider, strategy) is wanted
    if file_id is None and strategy is not None:
        assert strategy.should_upload(provider, size) is wanted
