"""Errors of the made-up dialect: a status says it all."""

from __future__ import annotations

from collections.abc import Mapping

from llmring.exceptions import ProviderError
from llmring.wire.errors import class_of_status, excerpt, read_retry_after


def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    kind = class_of_status(status)
    return kind(excerpt(body) or "no words", status=status, retry_after_s=read_retry_after(headers, limited=True))
