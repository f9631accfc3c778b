"""A registry from an https address: its index, then the files that the index names, each by its hash. Sends no key, keeps nothing.

At the address is a folder: `index.json` and one PROVIDER.json for each provider. The index is
`{"schema": "1", "files": {"openai.json": {"sha256": "…"}}}`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from llmring.exceptions import ProviderError, RegistryError
from llmring.registry.snapshot import INDEX_NAME, MAX_SNAPSHOT_BYTES, check_names
from llmring.secret import safe_url
from llmring.transport.guard import GuardedTransport, fetch
from llmring.wire.base import parse_json

FETCH_S: Final = 5.0  # for all files together
MAX_INDEX_BYTES: Final = 64 * 1024
_SCHEMA: Final = re.compile(r"1(\.[1-9]\d{0,3})?", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


async def fetch_files(transport: GuardedTransport, url: str, *, until: float) -> dict[str, bytes]:
    """The files of the registry at `url`, by name. until: when to give up, in the clock's `monotonic()` seconds.

    Raises UnsafeURLError, and RegistryError for what cannot be reached, is too large, or is not what the index says. Redirects
    are not followed.
    """
    base = url if url.endswith("/") else f"{url}/"
    index = await _get(transport, base + INDEX_NAME, MAX_INDEX_BYTES, until)
    contents: dict[str, bytes] = {}
    left = MAX_SNAPSHOT_BYTES
    for name, digest in parse_index(index, f"{safe_url(base)}{INDEX_NAME}").items():
        data = await _get(transport, base + name, left, until)
        if hashlib.sha256(data).hexdigest() != digest:
            raise RegistryError(
                f"{safe_url(base)}{name} is not the file that {INDEX_NAME} names: its sha256 differs",
                hint="it may just have been replaced: try again",
            )
        contents[name] = data
        left -= len(data)
    return contents


def parse_index(data: bytes, source: str) -> dict[str, str]:
    """The sha256 of each file, by name. Raises RegistryError for anything that is no index."""
    try:
        index: Any = parse_json(data, source)
    except ProviderError as error:
        raise RegistryError(error.message) from None
    top = cast("dict[str, Any]", index) if isinstance(index, dict) else {}
    given: Any = top.get("files")
    if not isinstance(given, dict):
        raise RegistryError(f"{source}: no index of a registry", hint='{"schema": "1", "files": {…}}')
    schema: Any = top.get("schema")
    if not isinstance(schema, str) or not _SCHEMA.fullmatch(schema):
        raise RegistryError(f"{source}: schema is none that this llmring reads", hint='it reads schema "1"')
    files = cast("dict[str, Any]", given)
    check_names(files, source)
    digests: dict[str, str] = {}
    for name, row in files.items():
        digest: Any = cast("dict[str, Any]", row).get("sha256") if isinstance(row, dict) else None
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise RegistryError(f"{source}: {name} has no sha256")
        digests[name] = digest
    return digests


def render_index(contents: Mapping[str, bytes]) -> bytes:
    """The index of these files, as it is served beside them. Raises RegistryError where a name is no provider's."""
    check_names(contents, INDEX_NAME)
    files = {name: {"sha256": hashlib.sha256(contents[name]).hexdigest()} for name in sorted(contents)}
    return orjson.dumps({"schema": "1", "files": files}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


async def _get(transport: GuardedTransport, url: str, max_bytes: int, until: float) -> bytes:
    where = safe_url(url)
    try:
        found = await fetch(transport, url, max_bytes=max_bytes, redirects=0, until=until)
    except TimeoutError:
        raise RegistryError(f"{where} did not answer within {FETCH_S:g} seconds") from None
    except ProviderError as error:
        raise RegistryError(f"the registry at {where} cannot be fetched: {error.message}") from None
    if found.status != 200:
        raise RegistryError(f"{where} answered with status {found.status}")
    return found.body
