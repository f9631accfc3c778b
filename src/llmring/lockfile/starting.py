"""How a manifest begins: the aliases that an old lock, a LiteLLM configuration or the registry suggests, as the text of an llmring.toml.

Nothing here looks at keys: what is chosen must not depend on who runs the command.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError, LockfileError
from llmring.lockfile.contract import Examiner, SpeakerOf, check_contract
from llmring.lockfile.intent import Intent
from llmring.lockfile.model import DEFAULT_PROFILE, Lock
from llmring.registry.catalog import Catalog
from llmring.registry.facts import find_standing
from llmring.registry.model_info import ModelInfo
from llmring.schemas.model_ref import ALIAS_NAME, parse_model_ref

# What an application asks for most; one alias each, named for what it can do.
SUGGESTED: Final[Mapping[str, tuple[str, ...]]] = {
    "fast": (),
    "extractor": ("json_schema",),
    "agent": ("tools",),
    "vision": ("vision",),
    "thinker": ("reasoning", "tools"),
}
_SUGGESTED_VENDORS: Final = 3
# LiteLLM's name of a provider where it is not ours: https://docs.litellm.ai/docs/providers (2026-11-21)
_LITELLM_PROVIDERS: Final = {
    "gemini": "google",
    "ollama_chat": "ollama",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "vertex_ai": "vertex",
    "nvidia_nim": "nvidia",
    "cohere_chat": "cohere",
    "lm_studio": "lmstudio",
    "hosted_vllm": "vllm",
}
_MAX_DEPLOYMENTS: Final = 5000  # a guess: more than any proxy has

_HEAD: Final = """\
# What this project wants of its models. `llmring lock` resolves it into llmring.lock; commit both.
schema = "1"
"""


@dataclass(slots=True)
class StartingAlias:
    """An alias to begin with: its pool, what it needs, what it sends, and a word on why these models."""

    models: list[str]
    needs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    why: str | None = None


@dataclass(slots=True)
class Start:
    """What to begin with. profiles: by name, then by alias; the default one holds for all. left: what could not be taken over."""

    profiles: dict[str, dict[str, StartingAlias]]
    left: list[str] = field(default_factory=list[str])


def start(given: Start, profiles: Iterable[str] = ()) -> str:
    """The manifest's text, with these profiles besides, each with the aliases of the default one."""
    names = dict.fromkeys([DEFAULT_PROFILE, *given.profiles, *profiles])
    parts = [_HEAD]
    for name in names:
        if not ALIAS_NAME.fullmatch(name):
            raise LockfileError(f"{name[:80]!r} is no name of a profile", hint="letters, digits, '.', '_' and '-'")
        aliases = given.profiles.get(name, {})
        prefix = "" if name == DEFAULT_PROFILE else f"profile.{_key(name)}."
        if prefix:
            parts.append(f"\n[{prefix[:-1]}]\n")
        parts += [_render_alias(f"{prefix}alias.{_key(alias)}", one) for alias, one in sorted(aliases.items())]
    return "".join(parts)


def start_from_lock(lock: Lock) -> Start:
    """What a lock binds, as candidates: pointers as they were requested."""
    profiles = {
        profile.name: {
            alias: StartingAlias(list(binding.requested or binding.models), parameters=binding.parameters)
            for alias, binding in profile.bindings.items()
        }
        for profile in lock.profiles.values()
    }
    base = lock.default_profile or DEFAULT_PROFILE
    made = Start(profiles)
    if DEFAULT_PROFILE not in profiles and base in profiles:
        made.left.append(f"default_profile {base!r}: a manifest's is {DEFAULT_PROFILE!r}; set LLMRING_PROFILE={base}")
    common = profiles.get(DEFAULT_PROFILE, {})
    for name, aliases in profiles.items():
        added = sorted(common.keys() - aliases.keys()) if name != DEFAULT_PROFILE else []
        if added:
            made.left.append(f"profile {name!r} has the default one's {', '.join(added)} from now on, too")
    return made


def start_from_litellm(data: bytes, source: str, catalog: Catalog) -> Start:
    """The `model_list` of a LiteLLM configuration, YAML or JSON: deployments of one name are a pool. Keys and addresses stay behind."""
    document = _load(data, source)
    table = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    rows: Any = table.get("model_list")
    if not isinstance(rows, list):
        raise LockfileError(f"{source}: no model_list", hint="give a lockfile, or a LiteLLM configuration")
    deployments = cast("list[Any]", rows)
    if len(deployments) > _MAX_DEPLOYMENTS:
        raise LockfileError(f"{source}: more than {_MAX_DEPLOYMENTS} deployments")
    made = Start({DEFAULT_PROFILE: {}})
    aliases = made.profiles[DEFAULT_PROFILE]
    for row in deployments:
        _take_deployment(row, aliases, made.left, catalog)
    _take_fallbacks(table, aliases)
    if not aliases:
        raise LockfileError(f"{source}: none of its models can be taken over: {'; '.join(made.left)[:400]}")
    return made


def suggest(catalog: Catalog, now: float, speaker_of: SpeakerOf) -> Start:
    """For each of SUGGESTED the cheapest models that are known to fit, one a vendor, and none that is about to go. now: epoch seconds.

    The cheapest is a place to begin, and no order of quality. No pool loses anything when it hands over: that is a person's to accept.
    """
    aliases: dict[str, StartingAlias] = {}
    for alias, needs in SUGGESTED.items():
        found = [
            info
            for info in catalog.find(category="chat", needs=needs, allow_unknown=False, sort="price")
            if _is_candidate(info, now)
        ]
        found.sort(key=lambda one: (one.price["input"] + one.price["output"], one.id))
        pool = _choose(alias, needs, found, Examiner(speaker_of))
        if pool:
            prices = ", ".join(f"{one.price['input']:f}/{one.price['output']:f}" for one in pool)
            is_alone = len({one.provider for one in pool}) == 1
            who = "of one vendor: others would lose part of its history" if is_alone else "one a vendor"
            why = f"the cheapest that fit, {who}; USD per million tokens in/out: {prices}"
            aliases[alias] = StartingAlias([one.id for one in pool], needs, why=why)
    if not aliases:
        raise ConfigurationError("the registry knows no model that fits", hint="`llmring list`")
    return Start({DEFAULT_PROFILE: aliases})


def _choose(alias: str, needs: tuple[str, ...], found: list[ModelInfo], examiner: Examiner) -> list[ModelInfo]:
    """One a vendor, the cheapest first; where no other vendor's can take over, the cheapest vendor's next: one alone has no stand-by."""
    pool: list[ModelInfo] = []

    def fits(info: ModelInfo) -> bool:
        models = [*pool, info]
        infos = {one.id: one for one in models}
        intent = Intent(alias, tuple(infos), needs=needs)
        return not any(check_contract(DEFAULT_PROFILE, intent, intent.models, intent.models, infos, examiner, set()))

    for info in found:
        if len(pool) < _SUGGESTED_VENDORS and all(one.provider != info.provider for one in pool) and fits(info):
            pool.append(info)
    stand_by = next((info for info in found if info not in pool and fits(info)), None) if len(pool) == 1 else None
    return pool if stand_by is None else [*pool, stand_by]


def _is_candidate(info: ModelInfo, now: float) -> bool:
    return (
        info.pin != "pointer"
        and info.lifecycle != "preview"
        and find_standing(info, now).state == "fine"
        and {"input", "output"} <= info.price.keys()
    )


# LiteLLM


def _load(data: bytes, source: str) -> Any:
    try:
        text = data.decode("utf-8-sig")
        if text.lstrip()[:1] == "{":
            return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LockfileError(f"{source}: cannot be read: {type(error).__name__}") from None
    try:
        import yaml
    except ImportError:
        raise LockfileError(
            f"{source} is YAML, and PyYAML is not installed", hint="install PyYAML, or give the file as JSON"
        ) from None
    # What names other places in the file can grow without bound when it is read.
    if any(line.lstrip("- ").startswith("<<:") or " *" in line for line in text.splitlines()):
        raise LockfileError(f"{source}: YAML anchors are not read", hint="write each deployment out")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # Its message quotes the file, which may hold keys.
        raise LockfileError(f"{source}: broken YAML: {type(error).__name__}") from None


def _take_deployment(row: Any, aliases: dict[str, StartingAlias], left: list[str], catalog: Catalog) -> None:
    table = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    given: Any = table.get("litellm_params")
    parameters = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    name, model = table.get("model_name"), parameters.get("model")
    if not isinstance(name, str) or not isinstance(model, str):
        left.append("a deployment without model_name or model")
        return
    alias = name.replace("/", "-").replace(":", "-")
    if not ALIAS_NAME.fullmatch(alias):
        left.append(f"{name[:80]!r}: no name of an alias")
        return
    if alias != name:
        left.append(f"{name[:80]!r} is called {alias!r}: names of aliases hold no '/' and no ':'")
    found = _read_model(model, catalog)
    if found is None:
        left.append(f"{alias}: {model[:80]!r} names no provider that is known")
        return
    one = aliases.setdefault(alias, StartingAlias([]))
    if found not in one.models:
        one.models.append(found)
    said = {key: parameters[key] for key in ("temperature", "max_tokens") if _is_number(parameters.get(key))}
    one.parameters = {**said, **one.parameters}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _read_model(model: str, catalog: Catalog) -> str | None:
    provider, slash, name = model.partition("/")
    try:
        if slash:
            return str(parse_model_ref(f"{_LITELLM_PROVIDERS.get(provider, provider)}:{name}"))
        # Without a provider it is the vendor's own name, as long as only one vendor has it.
        return catalog.get(model).id
    except ConfigurationError:
        return None


def _take_fallbacks(table: Mapping[str, Any], aliases: dict[str, StartingAlias]) -> None:
    """`fallbacks: [{name: [other, …]}]`: the models of the others stand behind."""
    for section in ("router_settings", "litellm_settings"):
        settings: Any = table.get(section)
        rows: Any = cast("dict[str, Any]", settings).get("fallbacks") if isinstance(settings, dict) else None
        for row in cast("list[Any]", rows) if isinstance(rows, list) else []:
            for name, others in cast("dict[Any, Any]", row).items() if isinstance(row, dict) else ():
                behind = cast("list[Any]", others) if isinstance(others, list) else []
                if name in aliases:
                    models = [model for other in behind if other in aliases for model in aliases[other].models]
                    aliases[name].models = list(dict.fromkeys([*aliases[name].models, *models]))


# Text


def _render_alias(table: str, alias: StartingAlias) -> str:
    lines = ["", *([f"# {alias.why}"] if alias.why else []), f"[{table}]", "models = ["]
    lines += [f"    {json.dumps(model)}," for model in alias.models]
    lines.append("]")
    if alias.needs:
        lines.append(f"needs = [{', '.join(json.dumps(need) for need in alias.needs)}]")
    for name, value in sorted(alias.parameters.items()):
        lines.append(f"{name.replace('_', '-')} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("-", "").replace("_", "").isalnum() else json.dumps(name)
