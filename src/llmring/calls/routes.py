"""The ways that a call can go, in the order to try them: the pool's models, each with every key of its provider."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from llmring import env
from llmring.calls.call import Call, PlainCall
from llmring.exceptions import ConfigurationError
from llmring.providers.base import ProviderKey
from llmring.resolver import Candidate, Resolution
from llmring.schemas.messages import Role

if TYPE_CHECKING:
    from llmring.schemas.request import LLMRequest

LAST: Final = "last"

# A lock names a few dozen models; those named without one are made anew with each call.
_MOST_KEPT: Final = 1000


class Routes:
    """Lists the routes of calls. Decides nothing by how targets are doing: who rests is passed over later, in this order.

    keys: of the providers that have several; read at each call. weights: by alias, one for each model of its pool: which of them a
    call asks first is drawn. random: what draws.
    """

    def __init__(
        self,
        keys: Mapping[str, tuple[ProviderKey, ...]],
        *,
        environ: Mapping[str, str],
        random: Random,
        weights: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._keys = keys
        self._environ = environ
        self._random = random
        self._weights = _read_weights(weights or {})
        self._made: dict[int, tuple[Candidate, tuple[ProviderKey, ...], tuple[Candidate, ...]]] = {}

    def of_chat(self, call: Call) -> tuple[Candidate, ...]:
        candidates = call.resolution.candidates
        if self._weights or call.request.prefer_model is not None:
            candidates = self._in_order(call.resolution, call.request)
        return self._with_keys(candidates) if self._keys else candidates

    def of_plain(self, call: PlainCall[Any]) -> tuple[Candidate, ...]:
        candidates = call.resolution.candidates
        return self._with_keys(candidates) if self._keys else candidates

    def explain(self, resolution: Resolution, request: LLMRequest) -> dict[str, Any]:
        """What decides which model of the pool is asked first, as JSON data. Raises as a call does."""
        weights = self._weights_of(resolution)
        preferred = _find_preferred(resolution.candidates, request)
        return {
            "weights": None if weights is None else list(weights),
            "preferred": None if preferred is None else str(preferred.ref),
        }

    def _in_order(self, resolution: Resolution, request: LLMRequest) -> tuple[Candidate, ...]:
        """The model that is preferred, or drawn, before the others, which keep their order."""
        candidates = resolution.candidates
        first = _find_preferred(candidates, request)
        if first is None:
            weights = self._weights_of(resolution)
            if weights is None:
                return candidates
            first = self._random.choices(candidates, weights)[0]
        return candidates if first is candidates[0] else (first, *(c for c in candidates if c is not first))

    def _weights_of(self, resolution: Resolution) -> tuple[float, ...] | None:
        """None where no weights are given, or there is nothing to choose from."""
        weights = self._weights.get(resolution.alias or "")
        count = len(resolution.candidates)
        if weights is None or count == 1:
            return None
        if len(weights) != count:
            raise ConfigurationError(
                f"weights: {len(weights)} for alias {resolution.alias!r}, whose pool in profile {resolution.profile!r} has {count} models",
                hint="LLMRing(weights={alias: …}) gives one number for each model of the pool, in its order",
            )
        return weights

    def _with_keys(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        routes: list[Candidate] = []
        for candidate in candidates:
            keys = self._keys.get(candidate.ref.provider)
            if keys is None:
                routes.append(candidate)
                continue
            values: set[str | None] = {None}  # one key under two names has one account's limits, and is refused once
            here: list[tuple[ProviderKey, Candidate]] = []
            for key, made in zip(keys, self._with_each(candidate, keys), strict=True):
                value = env.get(key.variable, self._environ)
                if value not in values:
                    values.add(value)
                    here.append((key, made))
            if not here:
                routes.append(candidate)  # whose attempt tells which variables to set
                continue
            if keys[0].weight is not None and len(here) > 1:
                here = self._shuffle(here)
            routes += [made for _, made in here]
        return tuple(routes)

    def _with_each(self, candidate: Candidate, keys: tuple[ProviderKey, ...]) -> tuple[Candidate, ...]:
        """The candidate, once for each key. Kept: making them takes longer than all else here."""
        known = self._made.get(id(candidate))
        if known is not None and known[0] is candidate and known[1] is keys:
            return known[2]
        made = tuple(replace(candidate, credential=key.variable) for key in keys)
        if len(self._made) >= _MOST_KEPT:
            self._made.clear()
        self._made[id(candidate)] = candidate, keys, made
        return made

    def _shuffle(self, keys: list[tuple[ProviderKey, Candidate]]) -> list[tuple[ProviderKey, Candidate]]:
        """By weight: whoever weighs more comes first more often."""
        # Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006), https://doi.org/10.1016/j.ipl.2005.11.003
        return sorted(keys, key=lambda item: self._random.random() ** (1 / (item[0].weight or 1.0)), reverse=True)


def _read_weights(given: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    found: dict[str, tuple[float, ...]] = {}
    for alias, weights in given.items():
        numbers = () if isinstance(weights, str) else tuple(weights)
        fit = [
            isinstance(w, (int, float)) and not isinstance(w, bool) and math.isfinite(w) and w >= 0  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            for w in numbers
        ]
        if not all(fit) or not sum(numbers if all(fit) else ()) > 0:
            raise ConfigurationError(
                f"weights of alias {alias!r}: {weights!r}",
                hint="one number for each model of the pool, 0 (never drawn, stands by) or more, not all 0",
            )
        found[alias] = numbers
    return found


def _find_preferred(candidates: tuple[Candidate, ...], request: LLMRequest) -> Candidate | None:
    """The member that the request prefers. None where it prefers none, or the last one to answer is not known or not in the pool.

    Raises ConfigurationError for a model that is named and not in the pool: whoever names it means it.
    """
    wanted = request.prefer_model
    if wanted is None:
        return None
    if wanted == LAST:
        said_by = (m.model for m in reversed(request.messages) if m.role is Role.ASSISTANT)
        wanted = next(said_by, None)
        return next((c for c in candidates if str(c.ref) == wanted), None)
    for candidate in candidates:
        if str(candidate.ref) == wanted:
            return candidate
    raise ConfigurationError(
        f"prefer_model: {wanted[:80]!r} is not in the pool of {request.model!r}",
        hint=f'one of {", ".join(str(c.ref) for c in candidates)}, or "last"',
    )
