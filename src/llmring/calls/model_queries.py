"""What a ring knows of models: the lock's facts over those of the registry. Asks no network, and never refuses a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llmring.clock import Clock
from llmring.lockfile.model import Lock
from llmring.providers.roster import Roster
from llmring.registry.catalog import Catalog
from llmring.registry.facts import find_standing, name_source
from llmring.registry.layers import lay_over
from llmring.registry.model_info import ModelInfo
from llmring.resolver import Resolver
from llmring.schemas.context_check import ContextCheck
from llmring.schemas.token_count import TokenCount


@dataclass(frozen=True, slots=True)
class ModelQueries:
    """read_lock: the lock as it is now."""

    resolver: Resolver
    roster: Roster
    catalog: Catalog
    read_lock: Callable[[], Lock]
    clock: Clock

    def info(self, alias_or_model: str, profile: str | None) -> ModelInfo:
        """Of an alias, the model that `resolve_alias` names. Raises as `resolve` does; a model that nobody knows is no error."""
        model = self.resolver.resolve_alias(alias_or_model, profile)
        candidates = self.resolver.resolve(alias_or_model, profile).candidates
        locked = next(each.info for each in candidates if str(each.ref) == model)
        return lay_over(name_source(locked, "the lockfile"), self.catalog.look_up(model)) or locked

    def available(self, provider: str | None) -> dict[str, list[str]]:
        """By provider, what can be called with the credentials that are here. Raises ProviderNotFoundError."""
        if provider is not None and not self.roster.knows(provider):
            self.roster.get(provider)  # says what is near
        known = self.catalog.all()
        lock = self.read_lock()
        bound = {
            model for profile in lock.profiles.values() for each in profile.bindings.values() for model in each.models
        }
        now = self.clock.now()
        found: dict[str, list[str]] = {} if provider is None else {provider: []}
        usable: dict[str, bool] = {}
        for model in sorted({*known, *lock.locked, *bound}):
            name = model.partition(":")[0]
            if provider is not None and name != provider:
                continue
            if name not in usable:
                usable[name] = self.roster.has_credential(name)
            if not usable[name]:
                continue
            info = lay_over(lock.find_info(model), known.get(model))
            if info is None or find_standing(info, now).state != "retired":
                found.setdefault(name, []).append(model)
        return found


def check_context(info: ModelInfo, count: TokenCount, max_tokens: int | None) -> ContextCheck:
    """Whether a prompt of so many tokens, and an answer of at most `max_tokens`, fit the model. Pure."""
    told = f"{'' if count.exact else 'about '}{count.tokens:,} tokens"
    limits: list[tuple[int, str]] = []
    if info.max_input is not None:
        limits.append((info.max_input, f"{info.id} takes {info.max_input:,} (max_input)"))
    if info.context_window is not None:
        window = f"{info.id} holds {info.context_window:,} (context_window)"
        if max_tokens is not None:
            window += f", of which max_tokens keeps {max_tokens:,} for the answer"
        limits.append((max(0, info.context_window - (max_tokens or 0)), window))
    limit, why = min(limits, default=(None, f"no limit of {info.id} is known"))
    fits = None if limit is None else count.tokens <= limit
    reason = f"the prompt has {told}; {why}"
    if max_tokens is not None and info.max_output is not None and max_tokens > info.max_output:
        fits = False
        reason = (
            f"max_tokens is {max_tokens:,}, and {info.id} writes at most {info.max_output:,} (max_output); {reason}"
        )
    return ContextCheck(
        model=info.id,
        fits=fits,
        tokens=count.tokens,
        exact=count.exact,
        limit=limit,
        max_tokens=max_tokens,
        reason=reason,
    )
