"""When files are uploaded to a provider instead of being sent along, and what is known of those that were."""

from __future__ import annotations

from dataclasses import dataclass

from llmring.exceptions import ConfigurationError


@dataclass(frozen=True, slots=True)
class FileUploadStrategy:
    """Opts a ring into uploading files: `LLMRing(upload_strategy=FileUploadStrategy())`. Without one, files go along with the
    request, and only what would burst a vendor's limit on requests is uploaded.

    size_threshold (bytes): larger files are uploaded, whoever the provider is.
    auto_upload_openai, auto_upload_anthropic: whether smaller ones are too, at these vendors.
    delete_at_close: whether the ring deletes what it uploaded when it is closed; otherwise it is kept, and
    `ring.uploaded_files()` lists it.
    """

    size_threshold: int = 5 * 1024 * 1024
    auto_upload_openai: bool = True
    auto_upload_anthropic: bool = False
    delete_at_close: bool = False

    def __post_init__(self) -> None:
        if self.size_threshold < 0:
            raise ConfigurationError("FileUploadStrategy.size_threshold: a number of bytes, 0 or above")

    def should_upload(self, provider: str, size_bytes: int = 0) -> bool:
        """Whether a file of this size is uploaded to this provider: the size decides first, then the preference."""
        if size_bytes > self.size_threshold:
            return True
        return {"openai": self.auto_upload_openai, "anthropic": self.auto_upload_anthropic}.get(provider, False)


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that a ring has uploaded.

    file_id: what messages refer to it by. name: what the vendor's API knows it by (Google's differs from the id). sha256: of its
    bytes. uploaded_at, expires_at: seconds since the epoch; expires_at None = it stays until it is deleted.
    """

    provider: str
    file_id: str
    name: str
    filename: str
    size_bytes: int
    sha256: str
    uploaded_at: float
    expires_at: float | None = None
