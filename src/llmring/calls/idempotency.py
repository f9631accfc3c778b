"""The key by which a server knows a request again that it has had before, for those few that look for one."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import uuid4

from llmring.calls.call import Call, PlainCall
from llmring.wire.base import EncodedRequest

_MOST_CHARACTERS = 255  # as of a request's own key


def name_call(
    encoded: EncodedRequest, header: str, call: Call | PlainCall[Any], model: str, given: str | None = None
) -> None:
    """Puts the call's key into the header that the provider looks for: `given`, the request's own, else one that is made at the
    first attempt. The same for every attempt at a model, so that an answer that got lost is not made, nor billed, twice.

    Another model of the pool is asked with another body, which a server would refuse under the same key: its name stands behind the key
    there. A header of that name that the caller set stays; what only asks (GET) needs none.
    """
    wanted = header.lower()
    if encoded.method != "POST" or any(name.lower() == wanted for name in encoded.headers):
        return
    if call.idempotency_key is None:
        call.idempotency_key = str(uuid4()) if given is None else given
    key = call.idempotency_key
    if model != call.resolution.candidates[0].ref.model:
        key = f"{key}:{model}"
        if len(key) > _MOST_CHARACTERS or not (key.isascii() and key.isprintable()):
            key = sha256(key.encode()).hexdigest()
    encoded.headers[header] = key
