"""The providers of one ring by name: those of the table, those that were declared, objects of the user's own, and plug-ins'."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmring.exceptions import ConfigurationError, MissingCredentialError, ProviderError, ProviderNotFoundError
from llmring.plugins import PluginError
from llmring.providers.base import BaseLLMProvider, Caller, ProviderKey
from llmring.providers.custom import Provider, is_provider
from llmring.providers.declared import DeclaredProvider, ProviderOptions, Trust, declare
from llmring.providers.table import PROVIDERS
from llmring.schemas.model_ref import PROVIDER_NAME, ModelRef
from llmring.secret import Scrubber, Secret, safe_url
from llmring.wire.base import ModelFacts, Target

if TYPE_CHECKING:
    from llmring.providers.plugged import ProviderPlugins

_log = logging.getLogger("llmring.providers")


class Roster:
    """Makes a provider when it is first asked for, and keeps it.

    declared: declarations of files. caller: what the providers that are made here call with.
    keys: of those that have several, by provider.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        scrubber: Scrubber,
        caller: Caller,
        declared: Mapping[str, DeclaredProvider],
    ) -> None:
        self._environ = environ
        self._scrubber = scrubber
        self._caller = caller
        self._declared = dict(declared)
        self._made: dict[str, BaseLLMProvider] = {}
        self._by_key: dict[tuple[str, str], BaseLLMProvider] = {}  # of those with several keys: one for each
        self.keys: dict[str, tuple[ProviderKey, ...]] = {}
        for name, provider in self._declared.items():
            self._note_keys(name, provider)
        self._custom: dict[str, Provider] = {}
        self._replaced: list[BaseLLMProvider | Provider] = []
        self._plugins: ProviderPlugins | None = None
        self._origins: dict[str, str] = {}  # of plug-ins that were taken, in words
        self._refused: set[str] = set()
        self._guard = threading.RLock()

    def register(self, name: str, given: ProviderOptions | Mapping[str, Any] | BaseLLMProvider | Provider) -> None:
        """Adds a provider, or takes the place of the one of this name; calls under way end with the old one.

        Raises ConfigurationError for what is none.
        """
        if isinstance(given, (ProviderOptions, Mapping)):
            declared = declare(name, given, Trust.CODE)
            self._forget(name)
            self._declared[name] = declared
            self._note_keys(name, declared)
            return
        if not PROVIDER_NAME.fullmatch(name):
            raise ConfigurationError(f"provider {name!r}: the name must read [a-z][a-z0-9_-]*, at most 32 characters")
        if isinstance(given, BaseLLMProvider):
            self._forget(name)
            self._made[name] = given
        elif is_provider(given):
            self._forget(name)
            self._custom[name] = given
        else:
            raise ConfigurationError(
                f"provider {name!r}: a {type(given).__name__} is no provider",
                hint="it needs name, chat, chat_stream, embed and close: derive it from CustomProvider",
            )

    def _forget(self, name: str) -> None:
        self._origins.pop(name, None)
        for known in (self._made, self._custom):
            old = known.pop(name, None)
            if old is not None:
                self._replaced.append(old)
        self._declared.pop(name, None)
        self.keys.pop(name, None)
        for place in [place for place in self._by_key if place[0] == name]:
            self._replaced.append(self._by_key.pop(place))

    def _note_keys(self, name: str, declared: DeclaredProvider) -> None:
        if declared.row.keys:
            self.keys[name] = declared.row.keys

    def get(self, name: str, credential: str | None = None) -> BaseLLMProvider:
        """credential: with which of its keys, by its variable, where it has several; default, the first that is set.

        Raises ProviderNotFoundError, and ConfigurationError for an object of the user's own, and for a variable that is none of them.
        """
        if credential is not None:
            return self._by_key.get((name, credential)) or self._make_with_key(name, credential)
        provider = self._made.get(name)
        if provider is None:
            if name in self._custom:
                raise ConfigurationError(
                    f"provider {name} is an object of your own, without an SDK client", hint="call that object itself"
                )
            provider = self._made[name] = self._make(name)
        return provider

    def find_custom(self, name: str) -> Provider | None:
        """The user's own object of this name, None where the name is a provider of llmring's, or of nobody's."""
        found = self._custom.get(name)
        # A pool's models are not looked up when an alias is: this may be the first that is heard of a plug-in's.
        if found is None and name not in PROVIDERS and self.knows(name):
            return self._custom.get(name)
        return found

    def _make(self, name: str) -> BaseLLMProvider:
        declared = self._declared.get(name)
        if declared is None:
            row = PROVIDERS.get(name)
            if row is None and self._plug_in(name):
                return self.get(name)
            if row is None:
                raise _unknown_provider(name, self.names())
            declared = DeclaredProvider(row)
        return declared.make(environ=self._environ, scrubber=self._scrubber, caller=self._caller)

    def _make_with_key(self, name: str, credential: str) -> BaseLLMProvider:
        declared = self._declared.get(name)
        variables = [key.variable for key in self.keys.get(name, ())]
        if declared is None or credential not in variables:
            raise ConfigurationError(
                f"provider {name} has no key of that name: {credential[:128]!r}",
                hint=f"its keys: {', '.join(variables)}" if variables else "it has one alone: leave the credential out",
            )
        row = dataclasses.replace(declared.row, key_variables=(credential,), keys=())
        made = dataclasses.replace(declared, row=row).make(
            environ=self._environ, scrubber=self._scrubber, caller=self._caller
        )
        self._by_key[name, credential] = made
        return made

    def find_mark(self, name: str, credential: str | None) -> object:
        """Something that changes when this key does, and tells nothing of it."""
        provider = self._made.get(name) if credential is None else self._by_key.get((name, credential))
        return None if provider is None else provider.key_mark()

    def find_account(self, name: str, credential: str | None) -> tuple[Secret | None, str]:
        """Whose a provider's limits are: its key, and where it is. Nothing of those that cannot say."""
        if name in self._custom:
            return None, ""
        provider = self.get(name, credential)
        try:
            return provider.api_key(), provider.base_url
        except (ConfigurationError, ProviderError):
            return None, ""

    def knows(self, name: str) -> bool:
        return name in PROVIDERS or self._is_given(name) or self._plug_in(name)

    def _is_given(self, name: str) -> bool:
        return name in self._declared or name in self._made or name in self._custom

    def _plug_in(self, name: str) -> bool:
        """Whether an installed package provides this name, which nobody else has; it does from now on. A broken one is told once."""
        if name in self._refused:
            return False
        with self._guard:
            if self._is_given(name):  # by another thread, meanwhile
                return True
            plugin = self._find_plugins().find(name)
            if plugin is None:
                return False
            from llmring.providers.plugged import load_provider

            try:
                given = load_provider(plugin)
            except PluginError as error:
                self._refused.add(name)
                _log.warning("%s", error)
                return False
            if isinstance(given, DeclaredProvider):
                self._declared[name] = given
                self._note_keys(name, given)
            elif isinstance(given, BaseLLMProvider):
                self._made[name] = given
            else:
                self._custom[name] = given
            self._origins[name] = f"the plug-in of {plugin.package} {plugin.version}"
            return True

    def _find_plugins(self) -> ProviderPlugins:
        if self._plugins is None:
            from llmring.providers.plugged import ProviderPlugins

            self._plugins = ProviderPlugins()
        return self._plugins

    def plug_in_all(self) -> None:
        """Loads the providers of every plug-in, but those whose names others have."""
        for plugin in self._find_plugins().list():
            self.knows(plugin.name)

    def knows_model(self, ref: ModelRef) -> bool:
        """Whether the provider's row has something to say of this model."""
        declared = self._declared.get(ref.provider)
        row = PROVIDERS.get(ref.provider) if declared is None else declared.row
        return row is not None and any(re.fullmatch(pattern, ref.model) for pattern, _ in row.model_quirks)

    def names(self) -> list[str]:
        return [*PROVIDERS, *self._declared, *self._made, *self._custom]

    def targets(self, models: Iterable[tuple[ModelRef, ModelFacts]]) -> list[Target]:
        """The models as their dialects know them, without those of unknown providers and of the user's own."""
        return [
            self.get(ref.provider).target(ref.model, info)
            for ref, info in models
            if ref.provider not in self._custom and self.knows(ref.provider)
        ]

    def has_credential(self, name: str) -> bool:
        """Whether a call could be sent. A provider of the user's own is taken to have what it needs."""
        made = self._made.get(name)  # first: asked with every look-up of an alias, and nearly always there
        if made is not None:
            return made.has_credential()
        return name in self._custom or (self.knows(name) and self.get(name).has_credential())

    def explain_credential(self, name: str) -> tuple[bool, str]:
        """The same, with the reason."""
        if name in self._custom:
            return True, self._origins.get(name, "a provider of your own")
        if not self.knows(name):
            return False, f"provider {name} is not known"
        provider = self.get(name)
        if provider.signer is not None:
            has = provider.has_credential()
            return (
                has,
                f"signs with {provider.signer.credentials}"
                if has
                else f"nothing to sign with: {provider.signer.credentials}",
            )
        variables = " or ".join(provider.row.key_variables)
        if provider.has_credential():
            source = provider.key_source if name not in self.keys else self._tell_keys(name)
            return True, f"has a key ({source})" if source else "needs no key"
        return False, f"{variables or 'api_key'} is not set"

    def _tell_keys(self, name: str) -> str:
        keys = self.describe_keys(name)
        unset = [key["variable"] for key in keys if key["source"] is None]
        found = ", ".join(key["source"] for key in keys if key["source"] is not None)
        return f"{found}; not set: {', '.join(unset)}" if unset else found

    def describe_keys(self, name: str) -> list[dict[str, Any]]:
        """The keys of a provider that has several, as JSON data: variable, source (None where it is not set) and weight."""
        return [
            {"variable": key.variable, "source": self.get(name, key.variable).key_source, "weight": key.weight}
            for key in self.keys.get(name, ())
        ]

    def describe(self, name: str) -> dict[str, Any]:
        """What is known of a provider, as JSON data; no key, and no URL that may hold one. Raises ProviderNotFoundError."""
        has_credential, why = self.explain_credential(name)
        told: dict[str, Any] = {"name": name, "credential": has_credential, "why": why}
        if name in self._custom:
            return told | {"declared_in": self._origins.get(name, "LLMRing(providers=…)")}
        provider = self.get(name)
        row, url, problem = provider.row, None, None
        try:
            url = safe_url(provider.base_url)
        except (ConfigurationError, MissingCredentialError) as error:
            problem = str(error)
        declared = self._declared.get(name)
        # An object that the program made itself is in neither list.
        origin = "built in" if name in PROVIDERS and provider.row is PROVIDERS[name] else "LLMRing(providers=…)"
        if declared is not None and declared.declared_in is not None:
            origin = declared.declared_in
        return told | {
            "dialect": row.dialect,
            "base_url": None if url is None else str(url),
            "problem": problem,
            "key_variables": list(row.key_variables),
            "key_source": provider.key_source,
            "keys": self.describe_keys(name),
            "declared_in": self._origins.get(name, origin),
            "untrusted": row.untrusted,
            "local": row.local,
        }

    async def close(self) -> None:
        """Closes every provider, the user's own included."""
        for provider in (*self._made.values(), *self._by_key.values(), *self._custom.values(), *self._replaced):
            try:
                await provider.close()
            except Exception as error:  # somebody else's code, or an SDK's: the others are closed all the same
                _log.warning("provider %s could not be closed: %s", provider.name, type(error).__name__)


def refuse_plugin_names(declared: Iterable[str]) -> None:
    """Raises ConfigurationError where a repository's file declares a provider that an installed package provides: it would take over
    requests, and perhaps a key, that are meant for that one.
    """
    from llmring.plugins import PROVIDERS as GROUP
    from llmring.plugins import find_plugins

    plugins = {plugin.name: plugin for plugin in find_plugins(GROUP)}
    for name in declared:
        if name in plugins:
            raise ConfigurationError(
                f"provider {name!r} in the manifest: {plugins[name]} provides it",
                hint="give it another name in the manifest",
            )


def _unknown_provider(name: str, known: list[str]) -> ProviderNotFoundError:
    close = tuple(difflib.get_close_matches(name, sorted(set(known)), n=3))
    return ProviderNotFoundError(
        f"no provider {name[:40]!r}",
        name=name,
        close_matches=close,
        hint=f"did you mean {' or '.join(close)}?" if close else f"known providers: {', '.join(sorted(set(known)))}",
    )
