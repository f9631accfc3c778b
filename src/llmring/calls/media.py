"""Before a request is encoded: local files are read, what the target cannot take by URL is fetched, what is too large is uploaded.

The caller's request is not changed; where nothing is to be done, it is the request itself that goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from llmring.calls.uploads import Uploads
from llmring.calls.waiting import within_deadline
from llmring.clock import Clock
from llmring.exceptions import ConfigurationError, ProviderError, UnsafeURLError
from llmring.media.local import MAX_FILE_BYTES, check_image, media_type_of
from llmring.providers.base import BaseLLMProvider
from llmring.providers.file_rules import FileRules
from llmring.resilience.deadline import deadline_passed
from llmring.schemas.media_parts import FilePart, ImagePart, MediaPart
from llmring.schemas.messages import Message
from llmring.schemas.parts import TextPart, ToolOutputPart
from llmring.schemas.request import LLMRequest
from llmring.schemas.uploads import FileUploadStrategy
from llmring.secret import safe_url
from llmring.wire.base import Target
from llmring.wire.handover import HANDOVER

if TYPE_CHECKING:
    from llmring.transport.guard import Fetched, GuardedTransport

_Replaced: TypeAlias = "dict[int, MediaPart]"

# Past this, a request is encoded in a thread: at some 200 MB/s, one of 1 MiB keeps the event loop for 5 ms.
LARGE_BYTES = 1024 * 1024
FETCH_S = 60.0  # guess: 20 MiB at 3 Mbit/s


@dataclass(slots=True)
class Weight:
    """How much a request holds. size_bytes: about what it will be as JSON; media: its images and files, in order."""

    size_bytes: int = 0
    media: list[MediaPart] = field(default_factory=list[MediaPart])


@dataclass(frozen=True, slots=True)
class MediaPlace:
    """Where a request goes. dialect: the name of the one that it is written in. deadline: in the clock's `monotonic()` seconds."""

    provider: BaseLLMProvider
    target: Target
    dialect: str
    deadline: float | None


def weigh(request: LLMRequest) -> Weight:
    """Cheap: looks at lengths alone, and reads no file."""
    weight = Weight()
    for message in request.messages:
        content = message.content
        if content.__class__ is str:
            weight.size_bytes += len(content)  # pyright: ignore[reportArgumentType]: a str, told the fast way
        elif content:
            for part in cast("list[object]", content):
                _add(part, weight)
    return weight


def _add(part: object, weight: Weight) -> None:
    if isinstance(part, TextPart):
        weight.size_bytes += len(part.text)
    elif isinstance(part, MediaPart):
        weight.size_bytes += _inline_bytes(part)
        weight.media.append(part)
    elif isinstance(part, ToolOutputPart):
        if isinstance(part.content, str):
            weight.size_bytes += len(part.content)
        else:
            for inner in part.content:
                _add(inner, weight)


def _inline_bytes(part: MediaPart) -> int:
    """Of its base64."""
    return ((part.size_bytes or 0) + 2) // 3 * 4


class MediaStep:
    """Makes a request's images and files fit for its target.

    find_fetcher: gives the transport that URLs are fetched through; it has a guard. strategy: None = files go along with the
    request unless that would burst the vendor's limit.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        find_fetcher: Callable[[], GuardedTransport],
        strategy: FileUploadStrategy | None = None,
    ) -> None:
        self._clock = clock
        self._find_fetcher = find_fetcher
        self._strategy = strategy
        self.uploads = Uploads(clock)

    async def prepare(
        self,
        request: LLMRequest,
        weight: Weight,
        place: MediaPlace,
        fetched: dict[str, Fetched],
        check: Callable[[], object],
    ) -> LLMRequest:
        """The request, or a copy with its parts replaced. fetched: what was fetched for the same call before; added to. check: called
        before anything is fetched or uploaded; what it raises is raised.

        Raises ConfigurationError for what cannot be read or fetched, ProviderError for an upload that failed,
        DeadlineExceededError.
        """
        replaced: _Replaced = {}
        if any(part.url is not None and not _takes_url(part, place.target) for part in weight.media):
            check()
        for part in weight.media:
            if part.file_id is not None:
                self._refuse_foreign(part.file_id, place)
            elif part.is_unread:
                await asyncio.to_thread(_read, part)
            elif part.url is not None and not _takes_url(part, place.target):
                replaced[id(part)] = await self._fetch(part, place.deadline, fetched)
        rules = place.provider.row.files
        if rules is not None and place.dialect in rules.dialects:
            await self._upload(weight, replaced, place, rules, check)
        return _with_parts(request, replaced) if replaced else request

    def _refuse_foreign(self, file_id: str, place: MediaPlace) -> None:
        """Raises ConfigurationError for an upload that is known to lie at another provider: HANDOVER's `uploads`."""
        owner = self.uploads.find_owner(file_id)
        takes = HANDOVER.get(place.dialect)
        if owner not in (None, place.provider.name) and takes is not None and takes.uploads == "refused":
            raise ConfigurationError(
                f"{place.provider.name} does not know the upload {file_id[:80]!r}: it lies at {owner}",
                hint="give the file itself: it is uploaded where it is needed",
            )

    # URLs

    async def _fetch(self, part: MediaPart, deadline: float | None, fetched: dict[str, Fetched]) -> MediaPart:
        url = part.url or ""
        found = fetched.get(url)
        if found is None:
            found = fetched[url] = await self._get(url, deadline)
        shown, data = safe_url(url), found.body
        try:
            if isinstance(part, ImagePart):
                check_image(data, shown)
                return ImagePart(data=data, detail=part.detail)
            assert isinstance(part, FilePart)
            return _file_of(part, url, found)
        except ValidationError:
            raise ConfigurationError(
                f"{shown}: cannot tell what kind of file it is", hint="name its media_type"
            ) from None

    async def _get(self, url: str, deadline: float | None) -> Fetched:
        from llmring.transport.guard import fetch  # its tables take 3 ms to build; few calls fetch

        until = self._clock.monotonic() + FETCH_S
        until = until if deadline is None else min(until, deadline)
        shown = safe_url(url)
        hint = "pass its bytes or its file, or name a model whose provider fetches URLs itself"
        try:
            found = await fetch(self._find_fetcher(), url, max_bytes=MAX_FILE_BYTES, until=until)
        except TimeoutError:
            if deadline is not None and until == deadline:
                raise deadline_passed() from None
            raise ConfigurationError(f"{shown} did not come within {FETCH_S:g} s", hint=hint) from None
        except UnsafeURLError:
            raise
        except ProviderError as error:
            # Not the provider's failure: it was never asked.
            raise ConfigurationError(f"{shown} cannot be fetched: {error.message}", hint=hint) from None
        if found.status != 200:
            raise ConfigurationError(f"{shown} cannot be fetched: status {found.status}", hint=hint)
        return found

    # Uploads

    async def _upload(
        self, weight: Weight, replaced: _Replaced, place: MediaPlace, rules: FileRules, check: Callable[[], object]
    ) -> None:
        files = [replaced.get(id(part), part) for part in weight.media]
        chosen = _choose(weight, replaced, files, rules, self._strategy)
        if chosen:
            check()
        for part, file in zip(weight.media, files, strict=True):
            if any(file is one for one in chosen):
                assert isinstance(file, FilePart)
                work = self.uploads.reference(place.provider, rules.api, file)
                replaced[id(part)] = await within_deadline(work, place.deadline, self._clock)


def _choose(
    weight: Weight,
    replaced: _Replaced,
    files: list[MediaPart],
    rules: FileRules,
    strategy: FileUploadStrategy | None,
) -> list[FilePart]:
    """The files to upload: those that the strategy names, those over the limit for one, then the largest until the rest fits."""
    able = [
        file
        for file in files
        if isinstance(file, FilePart)
        and file.data is not None
        and (rules.media_types is None or file.media_type in rules.media_types)
    ]
    limit = rules.inline_file_bytes
    chosen = [
        file
        for file in able
        if file.should_upload(rules.api, strategy) or (limit is not None and (file.size_bytes or 0) > limit)
    ]
    total = weight.size_bytes + sum(_inline_bytes(part) for part in replaced.values())
    total -= sum(_inline_bytes(file) for file in chosen)
    rest = [file for file in able if not any(file is one for one in chosen)]
    for file in sorted(rest, key=_inline_bytes, reverse=True):
        if total <= rules.inline_bytes:
            break
        chosen.append(file)
        total -= _inline_bytes(file)
    return chosen


def _takes_url(part: MediaPart, target: Target) -> bool:
    return target.quirks.image_urls if isinstance(part, ImagePart) else target.quirks.file_urls


def _read(part: MediaPart) -> None:
    _ = part.data


def _file_of(part: FilePart, url: str, found: Fetched) -> FilePart:
    name = PurePosixPath(unquote(urlsplit(url).path)).name or None
    served = found.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = part.media_type or media_type_of(name or "", found.body)
    if kind == "application/octet-stream" and served:
        kind = served
    return FilePart(
        data=found.body, media_type=kind, filename=part.filename or (name and name[:200]), citations=part.citations
    )


def without_media(request: LLMRequest) -> LLMRequest:
    """The same request with a word in place of each image and file: what else its dialect has no words for shows without them."""
    stand_in: Any = TextPart(text="media")
    return _with_parts(request, {id(part): stand_in for part in weigh(request).media})


def _with_parts(request: LLMRequest, replaced: _Replaced) -> LLMRequest:
    messages = [_message_with_parts(message, replaced) for message in request.messages]
    return request.model_copy(update={"messages": messages})


def _message_with_parts(message: Message, replaced: _Replaced) -> Message:
    if not isinstance(message.content, list):
        return message
    content = [_part_with_parts(part, replaced) for part in message.content]
    if all(new is old for new, old in zip(content, message.content, strict=True)):
        return message
    return message.model_copy(update={"content": content})


def _part_with_parts(part: Any, replaced: _Replaced) -> Any:
    if isinstance(part, ToolOutputPart) and not isinstance(part.content, str):
        content: list[Any] = [replaced.get(id(inner), inner) for inner in part.content]
        return part.model_copy(update={"content": content})
    return replaced.get(id(part), part)
