"""Files that a ring has uploaded: once for the same bytes at the same provider and key, also when many calls want them at once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from llmring.calls.waiting import Together
from llmring.clock import Clock
from llmring.providers.base import BaseLLMProvider
from llmring.providers.file_rules import FilesAPI
from llmring.schemas.media_parts import FilePart
from llmring.schemas.uploads import UploadedFile
from llmring.secret import Secret

# A file that is about to expire is uploaded anew: the request that names it may wait in a queue. Guess.
_MARGIN_S = 300.0

_Key: TypeAlias = "tuple[str, str, Secret | None, str, str | None, str | None]"


@dataclass(slots=True)
class _Held:
    file: UploadedFile
    provider: BaseLLMProvider
    api: FilesAPI


class Uploads:
    """What was uploaded, by provider, key and content. Nothing is deleted unless it is asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[_Key, _Held] = {}
        self._under_way = Together[UploadedFile]()

    async def reference(self, provider: BaseLLMProvider, api: FilesAPI, part: FilePart) -> FilePart:
        """The part as a reference to the upload, which is made now where there is none. Raises ProviderError."""
        data = part.data
        assert data is not None
        digest = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        key = (provider.name, provider.base_url, provider.api_key(), digest, part.media_type, part.filename)
        held = self._held.get(key)
        if held is not None and self._is_alive(held.file):
            file = held.file
        else:
            file = await self._under_way.run(key, lambda: self._upload(key, provider, api, part, data))
        return FilePart(
            file_id=file.file_id, media_type=part.media_type, filename=part.filename, citations=part.citations
        )

    def _is_alive(self, file: UploadedFile) -> bool:
        return file.expires_at is None or self._clock.now() < file.expires_at - _MARGIN_S

    async def _upload(
        self, key: _Key, provider: BaseLLMProvider, api: FilesAPI, part: FilePart, data: bytes
    ) -> UploadedFile:
        from llmring.providers.control.files import upload_file

        media_type = part.media_type or "application/octet-stream"
        filename = part.filename or ("document.pdf" if media_type == "application/pdf" else "document")
        stored = await upload_file(
            provider, api, data, filename=filename, media_type=media_type, sleep=self._clock.sleep
        )
        file = UploadedFile(
            provider=provider.name,
            file_id=stored.file_id,
            name=stored.name,
            filename=filename,
            size_bytes=len(data),
            sha256=key[3],
            uploaded_at=self._clock.now(),
            expires_at=stored.expires_at,
        )
        self._held[key] = _Held(file, provider, api)
        return file

    def find_owner(self, file_id: str) -> str | None:
        """The provider that this ring has uploaded it to; None where it has not."""
        return next((held.file.provider for held in list(self._held.values()) if held.file.file_id == file_id), None)

    def list(self) -> list[UploadedFile]:
        """Those that are still there, oldest first."""
        now = self._clock.now()
        files = [held.file for held in self._held.values()]
        return [file for file in files if file.expires_at is None or now < file.expires_at]

    async def delete(self, wanted: Callable[[UploadedFile], bool]) -> int:
        """Deletes those that are wanted gone; how many. Raises the first ProviderError, after trying all; those stay listed."""
        from llmring.providers.control.files import delete_file

        failure: Exception | None = None
        count = 0
        for key, held in list(self._held.items()):
            if not wanted(held.file):
                continue
            try:
                await delete_file(held.provider, held.api, held.file.name)
            except Exception as error:  # kept for after the rest: one that cannot be deleted must not keep the others
                failure = failure or error
                continue
            self._held.pop(key, None)
            count += 1
        if failure is not None:
            raise failure
        return count

    async def close(self) -> None:
        """Ends uploads that are under way on this loop."""
        await self._under_way.close()
