"""A request in the made-up dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmring.schemas.request import LLMRequest
from llmring.wire.base import EncodedRequest, Target


def encode(
    request: LLMRequest, target: Target, *, stream: bool, under: Mapping[str, Any] | None = None
) -> EncodedRequest:
    body: dict[str, Any] = {"ask": [[message.role, message.text] for message in request.messages], "of": target.model}
    if stream:
        body["stream"] = True
    return EncodedRequest("/sixth", {**(under or {}), **body, **(request.extra_params or {})})
