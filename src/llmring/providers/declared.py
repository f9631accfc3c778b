"""Providers that a user declares or adjusts: in code (`LLMRing(providers=…)`), in the user's config file, or in the manifest.

A manifest is a repository's file, and a repository may be anybody's: it can add providers on public https hosts with key
variables of llmring's own, but never point a known provider, or a known provider's key, at another host.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import tomli

from llmring import env
from llmring.exceptions import ConfigurationError
from llmring.providers.auth.base import TokenProvider
from llmring.providers.base import BaseLLMProvider, Caller, ProviderKey, ProviderRow, normalize_base_url
from llmring.providers.lmstudio import LMStudioProvider
from llmring.providers.table import PROVIDERS
from llmring.schemas.model_ref import PROVIDER_NAME
from llmring.schemas.request import CREDENTIAL_HEADERS, FRAMING_HEADERS, RequestOptions, check_extra_headers
from llmring.secret import Scrubber, Secret
from llmring.wire.base import Quirks
from llmring.wire.table import get_dialect


class Trust(Enum):
    """Who wrote a declaration: the program itself, an installed package, the user's own config file, or a file of the repository."""

    CODE = "LLMRing(providers=…)"
    PLUGIN = "a plug-in"
    USER = "the user's config file"
    REPOSITORY = "the manifest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """A provider that is new, or a known one adjusted.

    like: a known provider that a new one takes everything from, so that two accounts have a name each.
    base_url: default, the known provider's; needed for a new one.
    dialect: default, the known provider's; "openai_chat" for a new one.
    api_key: in code only; files name the variable that holds it. key_variable: that variable.
    keys: several of them, in the order to try: where one is refused or used up, the next is taken. With
    {"variable": "NAME", "weight": 2} each call draws which comes first. Each has gates and limits of its own.
    token_provider: in code only, a function that gives a bearer token at each call, async or not, such as azure.identity's
    get_bearer_token_provider.
    auth: "bearer" (default), "none", or "header:NAME".
    extra_headers: sent to this provider alone; may hold credentials.
    organization: goes into the header OpenAI-Organization.
    local: whether it is a server on the user's machine (long first token).
    max_tokens (tokens): cap on the answer, where neither the request nor the ring's defaults say anything.
    default_temperature (0 or above): the same for the temperature.
    max_tokens_field: how the server spells the cap on the answer, max_tokens (default) or max_completion_tokens.
    idempotency_header: in which header the server looks for the key of a call, such as "Idempotency-Key"; default None, none is sent.
    Each call has a key of its own, the same for all its attempts: `LLMRequest.idempotency_key`, or one that is made for it.
    """

    like: str | None = None
    base_url: str | None = None
    dialect: str | None = None
    api_key: str | Secret | None = field(default=None, repr=False)
    key_variable: str | None = None
    keys: Sequence[str | Mapping[str, Any]] = ()
    token_provider: TokenProvider | None = field(default=None, repr=False)
    auth: str | None = None
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    organization: str | None = None
    local: bool | None = None
    max_tokens: int | None = None
    default_temperature: float | None = None
    max_tokens_field: str | None = None
    idempotency_header: str | None = None


@dataclass(frozen=True, slots=True)
class DeclaredProvider:
    """A declaration, checked: the row to use, and what the program gave for it. declared_in: who wrote it, in words."""

    row: ProviderRow
    base_url: str | None = None
    api_key: Secret | None = None
    token_provider: TokenProvider | None = field(default=None, repr=False)
    declared_in: str | None = None

    def make(self, *, environ: Mapping[str, str], scrubber: Scrubber, caller: Caller) -> BaseLLMProvider:
        """The provider itself."""
        if self.api_key is not None:
            scrubber.add(self.api_key)
        kind = _KINDS.get(self.row.like or self.row.name, BaseLLMProvider)
        return kind(
            self.row,
            environ=environ,
            scrubber=scrubber,
            api_key=self.api_key,
            base_url=self.base_url,
            token_provider=self.token_provider,
            caller=caller,
        )


# Providers that can do more than the others.
_KINDS: Mapping[str, type[BaseLLMProvider]] = {"lmstudio": LMStudioProvider}
_FIELDS = tuple(f.name for f in dataclasses.fields(ProviderOptions))
_TYPES: Mapping[str, Any] = {
    "api_key": (str, Secret),
    "token_provider": Callable,
    "extra_headers": Mapping,
    "keys": (list, tuple),
    "local": bool,
    "max_tokens": int,
    "default_temperature": (int, float),
}
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
# What every request says, or a dialect or a signer sets.
_OWN_HEADERS = (
    CREDENTIAL_HEADERS
    | FRAMING_HEADERS
    | {"accept", "accept-encoding", "content-encoding", "content-type", "user-agent"}
    | {"anthropic-beta", "anthropic-version", "x-amz-content-sha256", "x-amz-date"}
)
_AUTH = re.compile(r"bearer|none|header:[A-Za-z0-9-]{1,64}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
# What looks like a key, though it could be a name: it begins as vendors' keys do, or has a stretch of twenty or more letters and digits
# where lower case and digits are mixed. Guess.
_KEY = re.compile(r"(gsk_|sk_|AIza|AKIA|ASIA).*|.*(?=[A-Za-z0-9]{20})(?=[A-Z0-9]*[a-z])(?=[A-Za-z]*[0-9]).*", re.ASCII)


def declare(name: str, given: ProviderOptions | Mapping[str, Any], trust: Trust) -> DeclaredProvider:
    """Checks one declaration. Raises ConfigurationError naming the provider, the setting and who wrote it."""
    where = f"provider {name!r} in {trust.value}"
    if not PROVIDER_NAME.fullmatch(name):
        raise ConfigurationError(f"{where}: the name must read [a-z][a-z0-9_-]*, at most 32 characters")
    options = given if isinstance(given, ProviderOptions) else _read_options(given, where)
    known = _find_known(name, options.like, where)
    if options.key_variable is not None:  # before anything that tells its name
        _check_variable(options.key_variable, "key_variable", where)
    if trust is Trust.REPOSITORY:
        _check_repository(name, options, where)
    if known is None and options.base_url is None:
        raise ConfigurationError(f"{where}: no base_url", hint="a provider that llmring does not know needs one")
    if options.api_key is not None and options.token_provider is not None:
        raise ConfigurationError(f"{where}: api_key and token_provider were both given", hint="give one of them")
    if options.api_key is not None and trust in (Trust.USER, Trust.REPOSITORY):
        raise ConfigurationError(f"{where}: api_key stands in a file", hint='name its variable: key_variable = "…"')
    keys = _read_keys(options, where)
    if trust is Trust.REPOSITORY:
        for key in keys:
            _check_repository_key(name, key.variable, where)
    row = _make_row(known, name, options, keys, trust, where)
    return DeclaredProvider(
        row=row,
        base_url=None if options.base_url is None else row.read_base_url(options.base_url),
        api_key=Secret(options.api_key) if isinstance(options.api_key, str) else options.api_key,
        token_provider=options.token_provider,
        declared_in=trust.value,
    )


def _find_known(name: str, like: str | None, where: str) -> ProviderRow | None:
    if like is None:
        return PROVIDERS.get(name)
    if name in PROVIDERS and name != like:
        raise ConfigurationError(f"{where}: like = {like!r} would make another of a known provider")
    known = PROVIDERS.get(like)
    if known is None:
        close = difflib.get_close_matches(like, PROVIDERS, n=1)
        raise ConfigurationError(
            f"{where}: like names {like[:40]!r}, which llmring does not know",
            hint=f"did you mean {close[0]}?" if close else f"known: {', '.join(PROVIDERS)}",
        )
    return dataclasses.replace(known, name=name, like=like)


def _read_options(given: Mapping[str, Any], where: str) -> ProviderOptions:
    for key in given:
        if key not in _FIELDS:
            close = difflib.get_close_matches(str(key), _FIELDS, n=1)
            raise ConfigurationError(
                f"{where}: no such setting: {key}",
                hint=f"did you mean {close[0]}?" if close else f"settings are {', '.join(_FIELDS)}",
            )
        value = given[key]
        # None is "not given", as on the class. A bool passes for a number in Python, not here.
        fits = value is None or isinstance(value, _TYPES.get(key, str))
        if not fits or (isinstance(value, bool) and key != "local"):
            raise ConfigurationError(f"{where}: {key} has the wrong type: {type(value).__name__}")
    return ProviderOptions(**dict(given))


def _read_keys(options: ProviderOptions, where: str) -> tuple[ProviderKey, ...]:
    """Those of `keys`. Raises ConfigurationError; what stands where a name was meant may be a key, so it is not told."""
    if isinstance(options.keys, str):
        raise ConfigurationError(f"{where}: keys is one text", hint='a list: keys = ["NAME_OF_A_VARIABLE", …]')
    rivals = {
        "api_key": options.api_key,
        "key_variable": options.key_variable,
        "token_provider": options.token_provider,
    }
    given = [name for name, value in rivals.items() if value is not None]
    if options.keys and (given or options.auth == "none"):
        raise ConfigurationError(
            f"{where}: keys stands beside {given[0] if given else 'auth none'}", hint="give one of them"
        )
    keys: list[ProviderKey] = []
    for number, item in enumerate(options.keys):
        fields: Mapping[str, Any] = {"variable": item} if isinstance(item, str) else item
        if not isinstance(fields, Mapping) or not {"variable"} <= fields.keys() <= {"variable", "weight"}:  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(
                f"{where}: keys[{number}] is none", hint='"NAME_OF_A_VARIABLE", or {"variable": …, "weight": …}'
            )
        variable, weight = fields["variable"], fields.get("weight")
        variable = _check_variable(variable, f"keys[{number}]", where)
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if weight is not None and not (is_number and math.isfinite(weight) and weight > 0):
            shown = f"{weight!r}" if is_number else f"a {type(weight).__name__}"
            raise ConfigurationError(f"{where}: keys[{number}]: weight {shown}", hint="a number above 0")
        keys.append(ProviderKey(variable, weight))
    if len({key.variable for key in keys}) < len(keys):
        raise ConfigurationError(f"{where}: keys names a variable twice")
    if any(key.weight is not None for key in keys):
        return tuple(ProviderKey(key.variable, 1.0 if key.weight is None else key.weight) for key in keys)
    return tuple(keys)


def _check_variable(given: object, setting: str, where: str) -> str:
    """The name of a variable. What stands there instead may be a key, so it is not told."""
    if not isinstance(given, str) or not _VARIABLE.fullmatch(given):
        what = "is no name of a variable"
    elif _KEY.fullmatch(given):
        what = "looks like a key, and is to be the name of a variable that holds one"
    else:
        return given
    raise ConfigurationError(
        f"{where}: {setting} {what}",
        hint="a key itself is not written here: set a variable to it, and name that; letters, digits and _, at most 64",
    )


def _make_row(
    known: ProviderRow | None,
    name: str,
    options: ProviderOptions,
    keys: tuple[ProviderKey, ...],
    trust: Trust,
    where: str,
) -> ProviderRow:
    if options.auth is not None and not _AUTH.fullmatch(options.auth):
        # Not what it says: it may be a whole header, with the key.
        raise ConfigurationError(f"{where}: auth is no way to send a key", hint="write bearer, none or header:NAME")
    if options.max_tokens_field not in (None, "max_tokens", "max_completion_tokens"):
        raise ConfigurationError(f"{where}: max_tokens_field must be max_tokens or max_completion_tokens")
    try:
        check_extra_headers(options.extra_headers, credentials=True)
        get_dialect(options.dialect or (known.dialect if known else "openai_chat"))
    except (ValueError, ConfigurationError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    base = known or _new_row(name, options)
    headers = {**base.headers, **options.extra_headers}
    if options.organization is not None:
        headers["OpenAI-Organization"] = options.organization
    quirks = base.quirks
    if options.max_tokens_field is not None:
        quirks = dataclasses.replace(quirks, max_tokens_field=options.max_tokens_field)
    auth = options.auth or base.auth
    key_auth = base.key_auth if options.auth is None else dict[str, str]()
    if options.idempotency_header is not None:
        taken = (*headers, *base.header_variables, *(how.removeprefix("header:") for how in (auth, *key_auth.values())))
        _check_idempotency_header(options.idempotency_header, taken, where)
    return dataclasses.replace(
        base,
        dialect=options.dialect or base.dialect,
        sdk=base.sdk if options.dialect is None else None,
        auth=auth,
        key_auth=key_auth,
        key_variables=tuple(key.variable for key in keys) or _key_variables(base, options),
        keys=keys if len(keys) > 1 else (),
        headers=headers,
        local=base.local if options.local is None else options.local,
        defaults=_make_defaults(options, where) or base.defaults,
        quirks=quirks,
        untrusted=trust is Trust.REPOSITORY,
        idempotency_header=options.idempotency_header or base.idempotency_header,
    )


def _check_idempotency_header(name: str, taken: Iterable[str], where: str) -> None:
    """taken: headers that this provider's requests have anyway."""
    if not _HEADER.fullmatch(name):
        raise ConfigurationError(
            f"{where}: idempotency_header is no name of a header", hint='letters, digits, dash: "Idempotency-Key"'
        )
    if name.lower() in _OWN_HEADERS | {other.lower() for other in taken}:
        raise ConfigurationError(
            f"{where}: idempotency_header is {name!r}, which says something else already",
            hint='the name of a header of its own, such as "Idempotency-Key"',
        )


def _new_row(name: str, options: ProviderOptions) -> ProviderRow:
    """A row that nobody has made yet. How a URL is read, and whether images may be URLs, goes with the dialect."""
    dialect = options.dialect or "openai_chat"
    like = next((row for row in PROVIDERS.values() if row.dialect == dialect and row.find_base_url is None), None)
    if like is None:
        return ProviderRow(name, dialect, normalize_base_url(options.base_url or ""))
    base_url = like.read_base_url(options.base_url or "")
    # Whoever else speaks that dialect would refuse Google's seals: https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-21)
    is_google = (urlsplit(base_url).hostname or "").endswith(".googleapis.com")
    quirks = dataclasses.replace(Quirks(), image_urls=like.quirks.image_urls, extra_content=is_google)
    return ProviderRow(name, dialect, base_url, read_base_url=like.read_base_url, quirks=quirks)


def _make_defaults(options: ProviderOptions, where: str) -> RequestOptions | None:
    if options.max_tokens is None and options.default_temperature is None:
        return None
    try:
        return RequestOptions(max_tokens=options.max_tokens, temperature=options.default_temperature)
    except ConfigurationError as error:
        text = error.message.removeprefix("RequestOptions.").replace("temperature:", "default_temperature:", 1)
        raise ConfigurationError(f"{where}: {text}", hint=error.hint) from None


def _key_variables(base: ProviderRow, options: ProviderOptions) -> tuple[str, ...]:
    if options.auth == "none":
        return ()
    return base.key_variables if options.key_variable is None else (options.key_variable,)


def _check_repository(name: str, options: ProviderOptions, where: str) -> None:
    if name in PROVIDERS:
        raise ConfigurationError(
            f"{where}: a repository may not redefine a known provider",
            hint=f"give it another name here, or set it in {env.LLMRING_CONFIG} or in code",
        )
    if options.key_variable is not None:
        _check_repository_key(name, options.key_variable, where)
    if options.like is not None:
        raise ConfigurationError(
            f"{where}: like is for code and the user's config file: it would take over key variables"
        )
    if options.extra_headers:
        raise ConfigurationError(f"{where}: extra_headers are for code and the user's config file")


def _check_repository_key(name: str, variable: str, where: str) -> None:
    # A hostile repository would name any variable worth stealing, and call its provider after it: NAME_API_KEY is some
    # vendor's for every name worth it. Under this prefix there is nothing that was not set for this provider.
    own = f"LLMRING_{name.upper().replace('-', '_')}_API_KEY"
    if variable != own:
        raise ConfigurationError(
            f"{where}: {variable} may not be sent to a host that a repository names",
            hint=f"the key variable of this provider is {own}; any other goes into the user's config file or code",
        )


def config_path(environ: Mapping[str, str]) -> Path | None:
    """Where the user's config file would be: LLMRING_CONFIG, else llmring/config.toml in the user's config folder."""
    given = env.get(env.LLMRING_CONFIG, environ)
    if given is not None:
        path = Path(given)
        if not path.is_file():
            raise ConfigurationError(f"{env.LLMRING_CONFIG} names {given!r}, which is no file")
        return path
    home = env.get(env.XDG_CONFIG_HOME, environ)
    # A relative one would be a folder of whatever repository this is; the XDG specification has it ignored.
    folder = (
        Path(home) if home and os.path.isabs(home) else Path.home() / ".config" if env.get(env.HOME, environ) else None
    )
    path = None if folder is None else folder / "llmring" / "config.toml"
    return path if path is not None and path.is_file() else None


def read_config_providers(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """The `[providers.NAME]` tables of the user's config file. Raises ConfigurationError for what is none."""
    try:
        data = tomli.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"config file {path}: {error}") from None
    unknown = sorted(set(data) - {"providers"})
    if unknown:
        raise ConfigurationError(
            f"config file {path}: no such table: {', '.join(unknown)}", hint="known: [providers.NAME]"
        )
    tables: Any = data.get("providers", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in cast("dict[str, Any]", tables).values()):
        raise ConfigurationError(f"config file {path}: write providers as tables: [providers.NAME]")
    return cast("dict[str, dict[str, Any]]", tables)
