"""Answers that the provider makes in the background: how to ask for one again, and how to call it off. Pure.

https://developers.openai.com/api/docs/guides/background (2026-11-21)
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

from llmring.exceptions import MalformedResponseError
from llmring.wire.base import BackgroundJob, EncodedRequest, parse_json

# An id goes into a path, and a server may write anything: nothing that could lead to another path.
_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.=~:-]{0,255}", re.ASCII)
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def read_job(body: bytes) -> BackgroundJob:
    """What a response says of itself. Raises MalformedResponseError for what is none, or unfinished and without a usable id."""
    value: Any = parse_json(body, "reply")
    if not isinstance(value, dict):
        raise MalformedResponseError("reply: JSON, but no object")
    fields = cast("dict[str, Any]", value)
    status = fields.get("status")
    is_done = not isinstance(status, str) or status not in _UNFINISHED
    id = fields.get("id")
    if not isinstance(id, str) or not _ID.fullmatch(id):
        if not is_done:
            raise MalformedResponseError("reply: a background response whose id cannot be asked for")
        id = ""
    return BackgroundJob(id, is_done)


def encode_poll(id: str) -> EncodedRequest:
    return EncodedRequest(f"/responses/{id}", {}, method="GET")


def encode_cancel(id: str) -> EncodedRequest:
    return EncodedRequest(f"/responses/{id}/cancel", {})
