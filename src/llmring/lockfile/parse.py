"""Bytes of a lockfile into a `Lock`: 1.0 (TOML or JSON) and 1.1 (TOML). Pure: no file is opened, no name looked up.

A lock is a repository's file, and a repository may be anybody's: names are held to their grammar before anything uses them,
and no error quotes what may be a key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

import orjson
import tomli

from llmring.exceptions import LockfileError, LockfileVersionError
from llmring.lockfile.model import POLICIES, Binding, ExtendedPackage, Lock, LockedModel, Policy, Profile
from llmring.lockfile.rows import Reader, Row
from llmring.registry.model_info import PINS

MAX_LOCK_BYTES: Final = 16 * 1024 * 1024
MAX_EXTENDED: Final = 200  # a guess
SUPPORTED_MAJOR: Final = 1
SUPPORTED_MINOR: Final = 1

T = TypeVar("T")

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})(?=\s|$)", re.MULTILINE)
# TOML and JSON forbid these raw; named here so that the message says where, whatever the parser would say.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Shapes of the keys of model providers, of GitHub, AWS and of PEM files, each behind the mark (in lower case) that a text must
# hold to be worth the search. A guess by prefix and length: it catches a key pasted by accident, review catches the rest.
_KEY_PREFIXES = ("sk-", "xai-", "pplx-", "aiza", "akia", "gsk_", "hf_", "r8_", "ghp_", "gho_", "github_pat_", "bearer ")
_SECRET_NAMES = (("key", "api[_-]?key"), ("secret", "secret"), ("password", "password"), ("token", "access[_-]?token"))
_KEYS = (
    *((mark, rf"(?<![a-z0-9]){mark}[a-z0-9._~+/-]{{16,}}") for mark in _KEY_PREFIXES),
    *((mark, rf"{name}[\"']?\s*[=:]\s*[\"'][^\"'\s]{{8,}}") for mark, name in _SECRET_NAMES),
    ("private key-", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
)
_VERSION = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.\d{1,4})?", re.ASCII)


def parse_lock(data: bytes, source: str, *, max_bytes: int = MAX_LOCK_BYTES) -> Lock:
    """The lock that `data` holds. `source` names it in messages.

    Raises LockfileVersionError for another major version, LockfileError for everything else that is wrong with it.
    """
    text = _check_text(data, source, max_bytes)
    table = _decode_json(text, source) if text.lstrip()[:1] == "{" else _decode_toml(text, source)
    version, minor = _read_version(table, source)
    # 1.0 files carry keys of their writers' own; from 1.1 on every key is ours, so an unknown one is news or a misspelling.
    reader = Reader(source, lenient=minor > SUPPORTED_MINOR, warn_unknown=minor >= 1)
    top = reader.row(table, "")
    lock = Lock(
        version=version,
        default_profile=top.name("default_profile"),
        profiles=_read_profiles(top),
        locked=_index(top.rows("locked", label="id"), _read_locked, lambda row: row.info.id, "model"),
        extended=_index(_extended_rows(top), _read_extended, lambda row: row.package, "package"),
        digest=digest_of(data),
        source=source,
    )
    top.done("version")
    reader.report_unknown(version)
    return lock


def digest_of(data: bytes) -> str:
    """`sha256:…` of a lockfile's bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _check_text(data: bytes, source: str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise LockfileError(
            f"{source}: larger than {max_bytes} bytes", hint="a lockfile names models, it holds no data"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LockfileError(f"{source}: not UTF-8 at byte {error.start}") from None
    control = _CONTROL.search(text)
    if control is not None:
        raise LockfileError(f"{source}: control character in line {_line(text, control.start())}", hint="remove it")
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        raise LockfileError(
            f"{source}: git conflict marker in line {_line(text, conflict.start())}",
            hint="`llmring lock --resolve-conflicts` merges both sides, or says what a person has to choose",
        )
    _refuse_keys(text, source)
    return text


def _refuse_keys(text: str, source: str) -> None:
    lower = text.lower()
    for mark, shape in _KEYS:
        # Compiled when its mark is there: compiling all of them would cost every start 4 ms.
        found = re.search(shape, text, re.IGNORECASE) if mark in lower else None
        if found is not None:
            line = _line(text, found.start())
            raise LockfileError(
                f"{source}: what looks like an API key in line {line}; strings that look like keys are refused",
                hint="remove it, revoke it at its provider, and set the provider's environment variable instead",
            )


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _decode_json(text: str, source: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise LockfileError(f"{source}: broken JSON in line {error.lineno}: {error.msg}") from None


def _decode_toml(text: str, source: str) -> Any:
    try:
        return tomli.loads(text)
    except ValueError as error:  # tomli's own, and Python's for a number of thousands of digits
        raise LockfileError(f"{source}: broken TOML: {error}") from None
    except RecursionError:
        raise LockfileError(f"{source}: broken TOML: nested too deep") from None


def _read_version(table: Any, source: str) -> tuple[str, int]:
    """The version as text, and its minor part."""
    given = cast("dict[str, Any]", table).get("version") if isinstance(table, dict) else None
    # Writers without a schema leave the quotes out.
    text = str(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else ""
    found = _VERSION.fullmatch(text)
    if found is None:
        what = "no version" if given is None else "version is no text like 1.1"
        raise LockfileError(
            f"{source}: {what}", hint=f'write version = "{SUPPORTED_MAJOR}.{SUPPORTED_MINOR}" at its top'
        )
    if int(found[1]) != SUPPORTED_MAJOR:
        raise LockfileVersionError(
            f"{source}: written for lockfile version {text}; this llmring reads version {SUPPORTED_MAJOR}.x,"
            f" up to {SUPPORTED_MAJOR}.{SUPPORTED_MINOR}",
            hint="use the llmring that wrote it, or write the lockfile anew",
        )
    return text, int(found[2] or 0)


def _read_profiles(top: Row) -> Mapping[str, Profile]:
    profiles: dict[str, Profile] = {}
    for name, row in top.tables("profiles", label="profile"):
        row.check_name(name, "the profile's name")
        written = row.name("name")
        if written not in (None, name):
            raise row.error(f"name is {written!r}", hint=f"write name = {name!r}, or rename the table")
        bindings = _index(row.rows("bindings", label="alias"), _read_binding, lambda b: b.alias, "alias")
        on_drift, min_pin = row.word("on_drift", POLICIES), row.word("min_pin", PINS)
        row.done()
        # A word of a newer minor version is the stricter one for what this version knows of it.
        policy: Policy = on_drift if on_drift in POLICIES else "fail" if on_drift else "warn"
        profiles[name] = Profile(name, bindings, policy, min_pin)
    return profiles


def _read_binding(row: Row) -> Binding:
    alias = row.name("alias")
    if alias is None:
        raise row.error("no alias", hint='write alias = "…"')
    binding = Binding(
        alias=alias,
        models=row.pool(),
        input=row.hash("input"),
        requested=row.refs("requested"),
        resolved=row.hash("resolved"),
        until=row.date("until"),
        then=row.refs("then"),
        parameters=row.parameters(),
    )
    row.done()
    return binding


def _read_locked(row: Row) -> LockedModel:
    info = row.info()
    locked = LockedModel(
        info=info,
        digest=row.hash("digest"),
        retires_kind=row.word("retires_kind", ("earliest", "firm")),
        facts=row.hash("facts"),
    )
    row.done()
    return locked


def _extended_rows(top: Row) -> list[Row]:
    rows = top.rows("extended", label="package")
    if len(rows) > MAX_EXTENDED:
        raise top.error(
            f"it extends {len(rows)} packages", hint=f"{MAX_EXTENDED} at most: each is looked for on the disk"
        )
    return rows


def _read_extended(row: Row) -> ExtendedPackage:
    package, lock = row.name("package"), row.hash("lock")
    if package is None or lock is None:
        raise row.error("needs package and lock", hint='write package = "…" and lock = "sha256:…"')
    extended = ExtendedPackage(package, row.text("dist"), lock)
    row.done()
    return extended


def _index(rows: list[Row], read: Callable[[Row], T], key: Callable[[T], str], noun: str) -> dict[str, T]:
    found: dict[str, T] = {}
    for row in rows:
        value = read(row)
        name = key(value)
        if name in found:
            raise row.error(f"the {noun} stands here twice", hint="keep one of the two rows")
        found[name] = value
    return found
