"""The providers of one ring by name: those of the table, those that were declared, and objects of the user's own."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from llmring.exceptions import ConfigurationError, ProviderNotFoundError
from llmring.providers.base import BaseLLMProvider, Caller
from llmring.providers.custom import Provider, is_provider
from llmring.providers.declared import DeclaredProvider, ProviderOptions, Trust, declare
from llmring.providers.table import PROVIDERS
from llmring.schemas.model_ref import PROVIDER_NAME, ModelRef
from llmring.secret import Scrubber
from llmring.wire.base import ModelFacts, Target

_log = logging.getLogger("llmring.providers")


class Roster:
    """Makes a provider when it is first asked for, and keeps it.

    declared: declarations of files. caller: what the providers that are made here call with.
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
        self._custom: dict[str, Provider] = {}
        self._replaced: list[BaseLLMProvider | Provider] = []

    def register(self, name: str, given: ProviderOptions | Mapping[str, Any] | BaseLLMProvider | Provider) -> None:
        """Adds a provider, or takes the place of the one of this name; calls under way end with the old one.

        Raises ConfigurationError for what is none.
        """
        if isinstance(given, (ProviderOptions, Mapping)):
            declared = declare(name, given, Trust.CODE)
            self._forget(name)
            self._declared[name] = declared
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
        for known in (self._made, self._custom):
            old = known.pop(name, None)
            if old is not None:
                self._replaced.append(old)
        self._declared.pop(name, None)

    def get(self, name: str) -> BaseLLMProvider:
        """Raises ProviderNotFoundError, and ConfigurationError for an object of the user's own."""
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
        return self._custom.get(name)

    def _make(self, name: str) -> BaseLLMProvider:
        declared = self._declared.get(name)
        if declared is None:
            row = PROVIDERS.get(name)
            if row is None:
                raise _unknown_provider(name, self.names())
            declared = DeclaredProvider(row)
        return declared.make(environ=self._environ, scrubber=self._scrubber, caller=self._caller)

    def knows(self, name: str) -> bool:
        return name in PROVIDERS or name in self._declared or name in self._made or name in self._custom

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
            return True, "a provider of your own"
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
            return True, f"has a key ({variables})" if variables else "needs no key"
        return False, f"{variables or 'api_key'} is not set"

    async def close(self) -> None:
        """Closes every provider, the user's own included."""
        for provider in (*self._made.values(), *self._custom.values(), *self._replaced):
            try:
                await provider.close()
            except Exception as error:  # somebody else's code, or an SDK's: the others are closed all the same
                _log.warning("provider %s could not be closed: %s", provider.name, type(error).__name__)


def _unknown_provider(name: str, known: list[str]) -> ProviderNotFoundError:
    close = tuple(difflib.get_close_matches(name, known, n=3))
    return ProviderNotFoundError(
        f"no provider {name[:40]!r}",
        name=name,
        close_matches=close,
        hint=f"did you mean {' or '.join(close)}?" if close else f"known providers: {', '.join(sorted(set(known)))}",
    )
