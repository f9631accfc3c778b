"""Uploading a file to a vendor and deleting it again, through the vendor's SDK. Knows nothing of messages or of what is kept."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from llmring.exceptions import (
    LLMRingError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderResponseError,
    ProviderTimeoutError,
)

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider
    from llmring.providers.file_rules import FilesAPI

T = TypeVar("T")

# Google's files are looked at before they can be used: https://ai.google.dev/gemini-api/docs/files (2026-11-21)
_POLL_S: Final = 1.0
_POLLS: Final = 120  # guess: videos take minutes, documents no time


@dataclass(frozen=True, slots=True)
class StoredFile:
    """file_id: what messages name it by. name: what the files API knows it by. expires_at: seconds since the epoch."""

    file_id: str
    name: str
    expires_at: float | None


async def upload_file(
    provider: BaseLLMProvider,
    api: FilesAPI,
    data: bytes,
    *,
    filename: str,
    media_type: str,
    sleep: Callable[[float], Awaitable[None]],
) -> StoredFile:
    """Uploads, and waits until the file can be used. Raises ProviderError, and ConfigurationError where there is no SDK."""
    client = provider.client
    what = "uploading a file"
    match api:
        case "openai":
            # https://platform.openai.com/docs/api-reference/files/create (2026-11-21)
            work = client.files.create(file=(filename, data, media_type), purpose="user_data")
            stored = await ask(provider, what, work)
            return StoredFile(stored.id, stored.id, stored.expires_at)
        case "anthropic":
            # https://docs.claude.com/en/api/files-create (2026-11-21)
            stored = await ask(provider, what, client.beta.files.upload(file=(filename, data, media_type)))
            return StoredFile(stored.id, stored.id, _seconds(stored.expires_at))
        case "google":
            # https://ai.google.dev/api/files (2026-11-21): kept for 48 hours
            config = {"mime_type": media_type, "display_name": filename}
            stored = await ask(provider, what, client.aio.files.upload(file=io.BytesIO(data), config=config))
            return await _wait_until_active(provider, stored, sleep)


async def _wait_until_active(
    provider: BaseLLMProvider, stored: Any, sleep: Callable[[float], Awaitable[None]]
) -> StoredFile:
    for _ in range(_POLLS):
        state = str(getattr(stored.state, "value", stored.state) or "ACTIVE")
        if state == "ACTIVE":
            return StoredFile(stored.uri, stored.name, _seconds(stored.expiration_time))
        if state == "FAILED":
            raise ProviderResponseError("the provider could not process the uploaded file")
        await sleep(_POLL_S)
        work = provider.client.aio.files.get(name=stored.name)
        stored = await ask(provider, "asking for an uploaded file", work)
    raise ProviderTimeoutError(f"the uploaded file was not ready within {_POLLS * _POLL_S:g} s")


async def delete_file(provider: BaseLLMProvider, api: FilesAPI, name: str) -> None:
    """Deletes an upload; one that is gone already is no error. Raises ProviderError."""
    client = provider.client
    match api:
        case "openai":
            work = client.files.delete(name)
        case "anthropic":
            work = client.beta.files.delete(name)
        case "google":
            work = client.aio.files.delete(name=name)
    try:
        await ask(provider, "deleting a file", work)
    except ProviderError as error:
        if error.status != 404:
            raise


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


async def ask(provider: BaseLLMProvider, what: str, work: Awaitable[T]) -> T:
    """What the SDK gives; raises ProviderError. The SDK's errors hold requests, and these hold keys: none of them leaves this function."""
    try:
        return await work
    except LLMRingError:
        raise
    except Exception as error:  # the SDK's code, on what a server sent
        failure = _typed(provider, what, error)
    raise failure


def _typed(provider: BaseLLMProvider, what: str, error: Exception) -> ProviderError:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(status, int):
        headers = {str(name).lower(): str(value) for name, value in dict(response.headers).items()}
        failure = provider.dialect.classify(status, headers, provider.scrubber.scrub(bytes(response.content)))
        if isinstance(failure, ModelNotFoundError):  # it is not the model that is missing here
            failure = ProviderResponseError(failure.message, status=status, code=failure.code)
        failure.message = f"{what}: {failure.message}"
        failure.args = (failure.message,)
        return failure
    name = type(error).__name__
    if "Timeout" in name:
        return ProviderTimeoutError(f"{what}: no answer in time")
    # Connection errors of openai, anthropic and httpx: APIConnectionError, ConnectError, ReadError, WriteError, …
    if isinstance(error, OSError) or name.endswith(("ConnectionError", "ConnectError", "ReadError", "WriteError")):
        return ProviderConnectionError(f"{what}: no connection, or it broke")
    return ProviderResponseError(f"{what}: {name}")
