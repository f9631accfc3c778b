"""What vendors allow of files inside a request, and who has an API to upload the rest: data for the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

FilesAPI = Literal["openai", "anthropic", "google"]


@dataclass(frozen=True, slots=True)
class FileRules:
    """api: whose files API it is. dialects: in which an uploaded file can be named. media_types: of what can be uploaded for a
    message; None = anything. inline_bytes: of all that a request holds, base64 included; inline_file_bytes: of one file, before
    base64. Past these a file is uploaded.
    """

    api: FilesAPI
    dialects: frozenset[str]
    media_types: frozenset[str] | None
    inline_bytes: int
    inline_file_bytes: int | None = None


# "up to … 32MB of total content in a single request to the API, across multiple file inputs":
# https://platform.openai.com/docs/guides/pdf-files (as of 2025-04; the page of 2026-11-21 could not be read to its end). Chat
# Completions takes PDF alone: https://developers.openai.com/api/docs/guides/file-inputs (2026-11-21)
OPENAI: Final = FileRules(
    "openai",
    frozenset({"openai_chat", "openai_responses"}),
    frozenset({"application/pdf"}),
    inline_bytes=32_000_000,
)
# Messages take requests of 32 MB: https://docs.claude.com/en/api/errors (2026-11-21). Documents by id are PDF or plain text:
# https://docs.claude.com/en/docs/build-with-claude/files (2026-11-21)
ANTHROPIC: Final = FileRules(
    "anthropic",
    frozenset({"anthropic_messages"}),
    frozenset({"application/pdf", "text/plain"}),
    inline_bytes=32_000_000,
)
# 100 MB inline, as base64: https://blog.google/innovation-and-ai/technology/developers-tools/gemini-api-new-file-limits; a PDF
# 50 MB: https://ai.google.dev/gemini-api/docs/file-input-methods (both 2026-11-21)
GOOGLE: Final = FileRules(
    "google",
    frozenset({"gemini_generate"}),
    None,
    inline_bytes=100_000_000,
    inline_file_bytes=50_000_000,
)
