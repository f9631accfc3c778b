"""What a call would do, told without doing it: which models, in which order, whose key, what is known of each. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmring.calls.options import Defaults, provider_layer, request_layer
from llmring.calls.pinned import PinnedParameters
from llmring.calls.routes import Routes
from llmring.providers.roster import Roster
from llmring.registry.facts import describe_model, find_standing, name_source
from llmring.registry.layers import lay_over
from llmring.registry.model_info import ModelInfo
from llmring.resolver import Candidate, Resolution
from llmring.schemas.request import LLMRequest


def explain_call(
    request: LLMRequest,
    resolution: Resolution,
    roster: Roster,
    defaults: Defaults | None,
    pinned: PinnedParameters,
    *,
    now: float,
    find_facts: Callable[[str], ModelInfo | None],
    routes: Routes,
) -> dict[str, Any]:
    """The pool with who has a key and what is known of each model, and each option's layer, as JSON data.

    now: seconds since the epoch. find_facts: what the registry knows of `provider:model`, asked where the lock is silent.
    """
    alias_layer = pinned.layers(request, resolution)
    request = pinned.without_prompt(request, resolution)
    layers = request_layer(request) if defaults is None else defaults.layers(request)
    layers = dict(sorted((layers | alias_layer).items()))
    members: list[dict[str, Any]] = []
    chosen = routes.explain(resolution, request)
    preferred: str | None = chosen["preferred"]
    weights: list[float] | None = None if preferred is not None else chosen["weights"]
    has_first = False
    for place, candidate in enumerate(resolution.candidates):
        has_credential, why = roster.explain_credential(candidate.ref.provider)
        role = "passed over" if not has_credential else "stands by" if has_first else "tried first"
        if has_credential and preferred is not None:
            role = "tried first" if str(candidate.ref) == preferred else "stands by"
        elif has_credential and weights is not None and weights[place]:
            role = f"tried first in {weights[place] / sum(weights):.0%} of calls"
        has_first = has_first or has_credential
        told: dict[str, Any] = {"model": str(candidate.ref), "credential": has_credential, "why": why, "role": role}
        told["keys"] = roster.describe_keys(candidate.ref.provider)
        told["effort"] = candidate.effort
        told["requested"] = candidate.requested
        told["digest"] = candidate.digest
        told["options"] = _own_options(candidate, request, roster, defaults, layers)
        members.append(told | _tell_facts(candidate.info, find_facts, now))
    return {
        "on_drift": resolution.on_drift,
        "successor": _tell_successor(resolution),
        **chosen,
        "candidates": members,
        "options": {name: {"value": value, "layer": layer} for name, (value, layer) in layers.items()},
    }


def _tell_successor(resolution: Resolution) -> dict[str, Any] | None:
    """The reviewed pool that serves from a day on, and which of the two it is now; None where there is none."""
    binding = resolution.binding
    if binding is None or binding.until is None or not binding.then:
        return None
    serves = resolution.serves_until is None
    return {"until": binding.until, "models": list(binding.models), "then": list(binding.then), "serves": serves}


def _tell_facts(locked: ModelInfo, find_facts: Callable[[str], ModelInfo | None], now: float) -> dict[str, Any]:
    known = name_source(locked, "the lockfile")
    info = lay_over(known, find_facts(locked.id)) or known
    standing = find_standing(info, now)
    facts = describe_model(info)
    del facts["model"]
    return {"facts": facts, "standing": standing.state, "warnings": [] if standing.text is None else [standing.text]}


def _own_options(
    candidate: Candidate,
    request: LLMRequest,
    roster: Roster,
    defaults: Defaults | None,
    layers: dict[str, tuple[Any, str]],
) -> dict[str, Any]:
    """What is asked of this model beside the call's own options: its provider's defaults, and the effort that its name says."""
    name = candidate.ref.provider
    found: dict[str, tuple[Any, str]] = {}
    row_defaults = None
    if roster.knows(name) and roster.find_custom(name) is None:
        row_defaults = roster.get(name).row.defaults
    if row_defaults is not None:
        laid = request if defaults is None else defaults.lay_under(request)
        found = provider_layer(row_defaults, laid, None if defaults is None else defaults.extra_params)
    if candidate.effort is not None and "reasoning_effort" not in layers | found:
        found["reasoning_effort"] = (candidate.effort, "model name")
    return {option: {"value": value, "layer": layer} for option, (value, layer) in found.items()}
