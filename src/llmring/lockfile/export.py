"""A lock in the words of others: JSON, environment, Python, LiteLLM, CycloneDX, Markdown, and lockfile version 1.0. Pure; from the lock alone.

Names come from the lock and may be anybody's: each format escapes them its own way. The same lock gives the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from llmring.exceptions import LockfileError, ProfileNotFoundError
from llmring.lockfile.escaping import escape_markdown, quote_shell, render_markdown_table
from llmring.lockfile.model import DEFAULT_PROFILE, Lock, LockedModel, Profile
from llmring.lockfile.render import render_decimal, row_facts

FORMATS: Final = ("json", "env", "python", "litellm", "cyclonedx", "md", "1.0")
ONE_PROFILE: Final = ("env", "python", "litellm")

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Z0-9]")
# LiteLLM's name of each provider, as get_llm_provider of litellm 1.109.1 took them on 2026-11-21. It has none for llamacpp. Its `ollama`
# asks for completions; what chats there is `ollama_chat`.
_LITELLM: Final = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "bedrock",
    "bedrock_anthropic": "bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks_ai",
    "google": "gemini",
    "groq": "groq",
    "lmstudio": "lm_studio",
    "mistral": "mistral",
    "nvidia": "nvidia_nim",
    "ollama": "ollama_chat",
    "openai": "openai",
    "openrouter": "openrouter",
    "together": "together_ai",
    "vertex": "vertex_ai",
    "vertex_anthropic": "vertex_ai",
    "vllm": "hosted_vllm",
    "xai": "xai",
}
_LITELLM_PARAMETERS: Final = ("temperature", "max_tokens", "reasoning_effort")
# The parameters that a format has words for, where it has not for all of them, nor for successors.
_SAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "env": (), "python": (), "litellm": _LITELLM_PARAMETERS, "md": (), "1.0": (),
}  # fmt: skip


def export_lock(lock: Lock, format: str, profile: str | None = None) -> str:
    """The lock, or one profile of it, in a format of FORMATS.

    profile: None for the default one in what holds one profile only (env, python, litellm), and for all of them in the others.
    Raises ProfileNotFoundError, and LockfileError for what a format has no words for: two aliases that it cannot tell apart, a provider
    that LiteLLM does not know.
    """
    if profile is not None:
        _find_profile(lock, profile)
    return _EXPORTS[format](lock, profile)


def _find_profile(lock: Lock, name: str | None) -> Profile:
    wanted = name or lock.default_profile or DEFAULT_PROFILE
    found = lock.profiles.get(wanted)
    if found is None:
        import difflib

        close = tuple(difflib.get_close_matches(wanted, lock.profiles, n=3))
        hint = f"did you mean {close[0]}?" if close else f"profiles: {', '.join(sorted(lock.profiles)) or 'none'}"
        raise ProfileNotFoundError(
            f"{lock.source} has no profile {wanted[:80]!r}", name=wanted, close_matches=close, hint=hint
        )
    return found


def _profiles(lock: Lock, name: str | None) -> list[Profile]:
    return [_find_profile(lock, name)] if name else [lock.profiles[each] for each in sorted(lock.profiles)]


def _used(lock: Lock, name: str | None) -> dict[str, list[str]]:
    """Every model that can serve, with who asks for it, `profile/alias`."""
    used: dict[str, list[str]] = {}
    for profile in _profiles(lock, name):
        for alias, binding in sorted(profile.bindings.items()):
            for model in dict.fromkeys((*binding.models, *binding.then)):
                used.setdefault(model, []).append(f"{profile.name}/{alias}")
    return {model: used[model] for model in sorted(used)}


def _json(lock: Lock, name: str | None) -> str:
    profiles: dict[str, Any] = {}
    for profile in _profiles(lock, name):
        profiles[profile.name] = {
            alias: {
                "models": list(binding.models),
                "parameters": dict(sorted(binding.parameters.items())),
                "until": binding.until,
                "then": list(binding.then),
            }
            for alias, binding in sorted(profile.bindings.items())
        }
    rows = {id: row_facts(lock.locked[id]) for id in _used(lock, name) if id in lock.locked}
    said = {"version": lock.version, "default_profile": lock.default_profile, "profiles": profiles, "models": rows}
    return json.dumps(said, ensure_ascii=False) + "\n"


def _env(lock: Lock, name: str | None) -> str:
    """A variable an alias, `LLMRING_MODEL_` and its name in capitals: the first model of its pool; where there are more, `…_POOL`."""
    profile = _find_profile(lock, name)
    lines: list[str] = []
    for variable, alias in _distinct(profile, _variable, "variable"):
        models = profile.bindings[alias].models
        lines.append(f"{variable}={quote_shell(models[0])}\n")
        if len(models) > 1:
            lines.append(f"{variable}_POOL={quote_shell(','.join(models))}\n")
    return "".join(lines)


def _variable(alias: str) -> str:
    return f"LLMRING_MODEL_{_NOT_IN_A_NAME.sub('_', alias.upper())}"


def _distinct(profile: Profile, rename: Any, noun: str) -> list[tuple[str, str]]:
    """Each alias under its new name. Raises LockfileError where two get the same one."""
    taken: dict[str, str] = {}
    for alias, binding in sorted(profile.bindings.items()):
        names = [rename(alias)] + ([f"{rename(alias)}_POOL"] if noun == "variable" and len(binding.models) > 1 else [])
        for name in names:
            if name in taken:
                raise LockfileError(
                    f"aliases {taken[name]!r} and {alias!r} of profile {profile.name!r} would both be {noun} {name}",
                    hint="rename one of the two, or export as json",
                )
            taken[name] = alias
    return [(rename(alias), alias) for alias in sorted(profile.bindings)]


def _python(lock: Lock, name: str | None) -> str:
    """A module: the aliases as a Literal that a type checker holds calls against, and their pools."""
    profile = _find_profile(lock, name)
    aliases = sorted(profile.bindings)
    lines = [
        '"""Generated by `llmring lock export --format python`. Do not edit."""\n',
        "from typing import Final, Literal, TypeAlias\n" if aliases else "from typing import Final\n",
    ]
    if aliases:
        lines.append("Alias: TypeAlias = Literal[")
        lines += [f"    {_quote_python(alias)}," for alias in aliases]
        lines.append("]\n")
    lines.append(f"PROFILE: Final = {_quote_python(profile.name)}")
    lines.append("POOLS: Final[dict[str, tuple[str, ...]]] = {")
    for alias in aliases:
        pool = ", ".join(_quote_python(model) for model in profile.bindings[alias].models)
        lines.append(f"    {_quote_python(alias)}: ({pool},),")
    lines.append("}")
    return "\n".join(lines) + "\n"


def _quote_python(text: str) -> str:
    # JSON's strings are Python's, too, and always of double quotes.
    return json.dumps(text)


def _litellm(lock: Lock, name: str | None) -> str:
    """YAML for LiteLLM's proxy: one group an alias, and one for each further member of its pool, tried in its order.

    https://docs.litellm.ai/docs/proxy/reliability (2026-11-21)
    """
    profile = _find_profile(lock, name)
    groups: list[str] = []
    fallbacks: list[str] = []
    for alias, binding in sorted(profile.bindings.items()):
        names = [alias, *(f"{alias}/fallback-{number}" for number in range(1, len(binding.models)))]
        for group, model in zip(names, binding.models, strict=True):
            groups.append(f"  - model_name: {_yaml(group)}\n    litellm_params:\n")
            groups.append(f"      model: {_yaml(_name_for_litellm(model, alias))}\n")
            groups += [
                f"      {key}: {_yaml(binding.parameters[key])}\n"
                for key in _LITELLM_PARAMETERS
                if key in binding.parameters
            ]
        if names[1:]:
            fallbacks.append(f"    - {_yaml(alias)}: {_yaml(names[1:])}\n")
    text = "# Generated by `llmring lock export --format litellm`. Do not edit.\n"
    text += f"model_list:\n{''.join(groups)}" if groups else "model_list: []\n"
    return text + (f"litellm_settings:\n  fallbacks:\n{''.join(fallbacks)}" if fallbacks else "")


def _name_for_litellm(model: str, alias: str) -> str:
    provider, _, bare = model.partition(":")
    if provider not in _LITELLM:
        # It refuses a whole config for one such name, and a pool with a member less is another pool.
        raise LockfileError(
            f"LiteLLM has no provider {provider}, which alias {alias!r} names: {model[:120]}",
            hint="export another profile (--profile), or as json",
        )
    return f"{_LITELLM[provider]}/{bare}"


def _yaml(value: Any) -> str:
    # JSON in ASCII is YAML, whatever the text holds.
    return json.dumps(value)


def _cyclonedx(lock: Lock, name: str | None) -> str:
    """CycloneDX 1.6, where a serial number should be and need not: without one, and without a time, the same lock gives the same bytes.

    https://www.cyclonedx.org/docs/latest/json (2026-11-21, then of 1.6)
    """
    components = [_component(model, lock.locked.get(model), aliases) for model, aliases in _used(lock, name).items()]
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": components,
    }
    return json.dumps(bom, ensure_ascii=False, indent=2) + "\n"


def _component(model: str, row: LockedModel | None, aliases: list[str]) -> dict[str, Any]:
    provider, _, bare = model.partition(":")
    facts: Mapping[str, Any] = {} if row is None else row_facts(row)
    made: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"llmring:{model}",
        "group": provider,
        "name": bare,
    }
    if row is not None and row.digest is not None:
        made["hashes"] = [{"alg": "SHA-256", "content": row.digest.removeprefix("sha256:")}]
    properties = [("llmring:alias", alias) for alias in aliases]
    for key, value in facts.items():
        if key == "price":
            properties += [(f"llmring:price.{kind}", amount) for kind, amount in sorted(value.items())]
        elif key in ("caps", "lacks"):
            properties += [(f"llmring:{key}", cap) for cap in value]
        elif key not in ("id", "digest"):
            properties.append((f"llmring:{key}", str(value)))
    return made | {"properties": [{"name": key, "value": value} for key, value in properties]}


def _markdown(lock: Lock, name: str | None) -> str:
    parts = ["## Models\n"]
    for profile in _profiles(lock, name):
        rows = [(alias, ", ".join(binding.models)) for alias, binding in sorted(profile.bindings.items())]
        parts.append(f"### Profile {escape_markdown(profile.name)}\n")
        parts.append(render_markdown_table(("alias", "models"), rows))
    head = ("model", "pin", "input", "output", "input tokens", "retires")
    parts.append("### Facts\n\nPrices in USD per million tokens.\n")
    parts.append(render_markdown_table(head, [_facts_row(id, lock.locked.get(id)) for id in _used(lock, name)]))
    return "\n".join(parts)


def _facts_row(id: str, row: LockedModel | None) -> tuple[str, ...]:
    if row is None:
        return id, "unknown", "unknown", "unknown", "unknown", "unknown"
    info = row.info
    prices = [render_decimal(info.price[kind]) if kind in info.price else "unknown" for kind in ("input", "output")]
    retires = f"{info.retires} ({row.retires_kind})" if info.retires and row.retires_kind else info.retires
    tokens = "unknown" if info.max_input is None else f"{info.max_input:,}"
    return id, info.pin or "unknown", *prices, tokens, retires or "unknown"


def _version_1_0(lock: Lock, name: str | None) -> str:
    """What a reader of 1.0 takes: profiles, bindings and pools. Facts, parameters and successors have no words there."""
    default = name or lock.default_profile
    lines = ['version = "1.0"']
    if default is not None:
        lines.append(f"default_profile = {_quote_toml(default)}")
    for profile in _profiles(lock, name):
        lines += ["", f"[profiles.{_quote_toml(profile.name)}]", f"name = {_quote_toml(profile.name)}"]
        for alias, binding in sorted(profile.bindings.items()):
            pool = ", ".join(_quote_toml(model) for model in binding.models)
            lines += ["", f"[[profiles.{_quote_toml(profile.name)}.bindings]]", f"alias = {_quote_toml(alias)}"]
            lines.append(f"models = [{pool}]")
    return "\n".join(lines) + "\n"


def _quote_toml(text: str) -> str:
    # Names and models are printable ASCII by their grammar, where TOML and JSON escape alike.
    return json.dumps(text)


def list_left_out(lock: Lock, format: str, profile: str | None = None) -> list[str]:
    """The aliases, of what is exported, whose parameters or successor the format has no words for."""
    if format not in _SAYS:
        return []
    profiles = [_find_profile(lock, profile)] if format in ONE_PROFILE else _profiles(lock, profile)
    return sorted(
        {
            alias
            for each in profiles
            for alias, binding in each.bindings.items()
            if binding.then or binding.parameters.keys() - _SAYS[format]
        }
    )


_EXPORTS: Final = {
    "json": _json,
    "env": _env,
    "python": _python,
    "litellm": _litellm,
    "cyclonedx": _cyclonedx,
    "md": _markdown,
    "1.0": _version_1_0,
}
