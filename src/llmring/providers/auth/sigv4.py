"""AWS Signature Version 4, pure: the headers that authenticate one request. No I/O, no clock, no credentials of its own.

The request is put into a canonical text; its hash, the time and a scope (day, region, service) make the string to sign; a key
derived for that scope signs it. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
(2026-11-21)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from llmring.secret import Secret

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# Hops on the way change or drop these; botocore 1.44 signs none of them either.
_UNSIGNED: Final = frozenset(
    {
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    }
)
_REPLACED: Final = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})


@dataclass(frozen=True, slots=True)
class AWSCredentials:
    """A key of an AWS account. session_token: with temporary keys only."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    credentials: AWSCredentials,
    region: str,
    service: str,
    now: float,
) -> dict[str, str]:
    """`headers` with Authorization, X-Amz-Date and, for temporary keys, X-Amz-Security-Token; old ones are replaced.

    url: whole, escaped as it is sent. now: seconds since the epoch; AWS refuses a time that is 5 minutes off.
    """
    signed = {name: value for name, value in headers.items() if name.lower() not in _REPLACED}
    timestamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    signed["X-Amz-Date"] = timestamp
    if credentials.session_token is not None:
        signed["X-Amz-Security-Token"] = credentials.session_token.reveal()
    parts = urlsplit(url)
    names, lines = _canonical_headers(signed, parts)
    canonical = "\n".join(
        (
            method.upper(),
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            *lines,
            "",
            names,
            hashlib.sha256(body or b"").hexdigest(),
        )
    )
    scope = f"{timestamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, timestamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    signature = _signature(credentials.secret_access_key, scope, text)
    signed["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def _canonical_headers(headers: Mapping[str, str], parts: SplitResult) -> tuple[str, list[str]]:
    """The names that are signed, and a line for each, in their order."""
    found = {name.lower().strip(): " ".join(value.split()) for name, value in headers.items()}
    found.setdefault("host", _host(parts))
    kept = sorted(name for name in found if name not in _UNSIGNED)
    return ";".join(kept), [f"{name}:{found[name]}" for name in kept]


def _host(parts: SplitResult) -> str:
    """The Host header as HTTP clients write it: lower case, no default port."""
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _canonical_path(path: str) -> str:
    """Without dot segments and doubled slashes, and escaped once more: an escaped path is escaped twice (all services but S3)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    whole = "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
    return quote(whole, safe="/~")


def _canonical_query(query: str) -> str:
    """The query's pairs in order, escaped as they are sent."""
    pairs = (pair.partition("=") for pair in query.split("&")) if query else ()
    return "&".join(f"{name}={value}" for name, value in sorted((name, value) for name, _, value in pairs))


def _signature(secret_access_key: Secret, scope: str, text: str) -> str:
    key = ("AWS4" + secret_access_key.reveal()).encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
