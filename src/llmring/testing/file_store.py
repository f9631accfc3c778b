"""The fake provider's files API: uploads and deletions in the words of OpenAI, Anthropic and Google, told apart by what they send."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from llmring.testing.steps import Exact

_JSON = {"content-type": "application/json"}
_FILE = re.compile(r".*/files/([\w-]+)")
_FILENAME = re.compile(rb'filename="([^"]*)"')
_MULTIPART_FILE = re.compile(rb"filename=.*?\r\n\r\n(.*?)\r\n--", re.DOTALL)
# Of the SDKs, every date is read; none of them is looked at by the fake.
_DATE = "2026-11-21T00:00:00Z"


class _Request(Protocol):
    method: str
    path: str
    headers: dict[str, str]
    raw: bytes


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """id: as the API gave it out. data: what was uploaded."""

    id: str
    filename: str
    data: bytes


class FileStore:
    """stored: what was uploaded and not deleted, by id. uploads: how many uploads were made, deletions how many were asked for.
    expires_at: the date that new uploads of Anthropic's and Google's say, None = none. refuse_status: what every request is
    answered with, None = as it should be. gate: replies wait until it is set.
    """

    def __init__(self) -> None:
        self.stored: dict[str, StoredUpload] = {}
        self.uploads = 0
        self.deletions = 0
        self.expires_at: str | None = None
        self.refuse_status: int | None = None
        self.gate: asyncio.Event | None = None
        self._announced = ""

    def answer(self, request: _Request, url: str) -> Exact | None:
        """The reply where this is a request to a files API, else None. url: of the server."""
        reply = self._answer(request, url)
        if reply is not None and self.gate is not None:
            return Exact(status=reply.status, headers=reply.headers, chunks=[self.gate, *reply.chunks])
        return reply

    def _answer(self, request: _Request, url: str) -> Exact | None:
        method, path, headers = request.method, request.path, request.headers
        if self.refuse_status is not None and re.search(r"/files(/|$)", path):
            error = {"code": self.refuse_status, "type": "api_error", "message": "files are refused"}
            return _reply({"type": "error", "error": error}, status=self.refuse_status)
        if "x-goog-upload-command" in headers:
            return self._google_upload(request, url)
        if method == "POST" and path.endswith("/files"):
            return self._multipart(request, "anthropic-version" in headers)
        found = _FILE.fullmatch(path)
        if found is None or method not in {"GET", "DELETE"}:
            return None
        self.deletions += method == "DELETE"
        known = self.stored.get(found[1])
        if known is None:
            error = {"code": 404, "status": "NOT_FOUND", "type": "not_found_error", "message": "no such file"}
            return _reply({"type": "error", "error": error}, status=404)
        if method == "GET":
            return _reply(self._google_file(known, url))
        del self.stored[known.id]
        return _reply({"id": known.id, "object": "file", "type": "file_deleted", "deleted": True})

    def _store(self, filename: str, data: bytes) -> StoredUpload:
        self.uploads += 1
        stored = StoredUpload(f"file-{self.uploads}", filename, data)
        self.stored[stored.id] = stored
        return stored

    def _multipart(self, request: _Request, is_anthropic: bool) -> Exact:
        name, data = _FILENAME.search(request.raw), _MULTIPART_FILE.search(request.raw)
        stored = self._store(name[1].decode() if name else "", data[1] if data else b"")
        if is_anthropic:
            written: dict[str, Any] = {
                "id": stored.id,
                "type": "file",
                "filename": stored.filename,
                "mime_type": "application/pdf",
                "size_bytes": len(stored.data),
                "created_at": _DATE,
                "downloadable": False,
                "expires_at": self.expires_at,
            }
        else:
            written = {
                "id": stored.id,
                "object": "file",
                "bytes": len(stored.data),
                "created_at": 0,
                "filename": stored.filename,
                "purpose": "user_data",
                "status": "processed",
            }
        return _reply(written)

    def _google_upload(self, request: _Request, url: str) -> Exact:
        if request.headers["x-goog-upload-command"] == "start":
            named: Any = orjson.loads(request.raw)["file"]
            self._announced = str(named.get("displayName") or named.get("display_name") or "")
            return _reply({}, headers={"x-goog-upload-url": f"{url}/upload/session"})
        stored = self._store(self._announced, request.raw)
        return _reply({"file": self._google_file(stored, url)}, headers={"x-goog-upload-status": "final"})

    def _google_file(self, stored: StoredUpload, url: str) -> dict[str, Any]:
        written = {
            "name": f"files/{stored.id}",
            "uri": f"{url}/v1beta/files/{stored.id}",
            "displayName": stored.filename,
            "sizeBytes": str(len(stored.data)),
            "mimeType": "application/pdf",
            "state": "ACTIVE",
        }
        return written if self.expires_at is None else written | {"expirationTime": self.expires_at}


def _reply(body: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> Exact:
    return Exact(status=status, headers={**_JSON, **(headers or {})}, chunks=[orjson.dumps(body)])
