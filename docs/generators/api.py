"""docs/reference/api/: every public name, in groups. Signatures and docstrings are put in by mkdocstrings when the site is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .source import docstring, first_sentence, home, public_homes


@dataclass(frozen=True, slots=True)
class Group:
    """A page. modules: what lives in or below one of them is on it, in their order; the longest that fits wins."""

    title: str
    lead: str
    modules: tuple[str, ...]


GROUPS: Final[Mapping[str, Group]] = {
    "ring": Group(
        "The ring",
        "What an application holds: it finds the model behind an alias, calls it, and falls back.",
        ("service", "service_extended", "conversations", "sync", "agents", "batch"),
    ),
    "requests": Group(
        "Requests and options",
        "What is asked for. Fields, defaults and units stand on a page per class: [option groups](../options/index.md).",
        (
            "schemas.request.LLMRequest",
            "schemas.request",
            "schemas.provider_options",
            "schemas.embedding.EmbeddingOptions",
        ),
    ),
    "messages": Group(
        "Messages and parts",
        "What a conversation is made of.",
        ("schemas.messages", "schemas.media_parts", "schemas.parts", "schemas.tools"),
    ),
    "responses": Group(
        "Responses and streams",
        "What comes back.",
        ("schemas.response", "calls", "schemas"),
    ),
    "providers": Group(
        "Providers",
        "Whom a ring calls, what declares a new one, and providers that work without a ring.",
        (
            "providers.declared",
            "providers.custom",
            "standalone",
            "providers.base",
            "schemas.model_ref",
            "providers",
            "plugins",
        ),
    ),
    "models": Group("Model facts", "What is known of a model: limits, prices, abilities, dates.", ("registry",)),
    "files": Group(
        "Files and images",
        "What goes along with a message, and what is uploaded.",
        ("files", "media", "schemas.uploads"),
    ),
    "reliability": Group(
        "Reliability",
        "When a call is sent again, when a target is left alone, how fast it may be asked, and how it is doing. What happens when: "
        "[reliability](../../reliability.md).",
        ("schemas.retry", "resilience", "calls.limiter", "calls.shared_limits"),
    ),
    "errors": Group(
        "Errors",
        "Every exception. The tree, exit codes and which may be tried again: [errors](../errors.md).",
        ("exceptions",),
    ),
}

# Packages with names of their own, each on a page of its own.
_PACKAGES: Final[Mapping[str, tuple[str, Group]]] = {
    "lock": (
        "llmring.lockfile",
        Group(
            "The lock",
            "`llmring.lockfile`: what the lock's commands do, for programs. What decides is pure: it asks nobody and writes nothing.",
            (),
        ),
    ),
    "testing": (
        "llmring.testing",
        Group(
            "Testing",
            "`llmring.testing`: what an application tests its own code with. Nothing here leaves this machine.",
            (),
        ),
    ),
}


def pages() -> dict[str, str]:
    """The pages by their path from the top of the repository."""
    members: dict[str, dict[str, str]] = {key: {} for key in GROUPS}
    placed = sorted((*_place(name, module), name, module) for name, module in public_homes().items())
    for key, _, name, module in placed:
        members[key][name] = first_sentence(docstring(name, module))
    made = {key: _page(group, "llmring", members[key]) for key, group in GROUPS.items()}
    for key, (package, group) in _PACKAGES.items():
        homes = public_homes(package)
        made[key] = _page(group, package, {name: first_sentence(docstring(name, homes[name])) for name in homes})
    return {f"docs/reference/api/{key}.md": page for key, page in made.items()}


def group_of(name: str, module: str) -> str:
    """The page that a public name is on. Raises SystemExit where there is none."""
    return _place(name, module)[0]


def _place(name: str, module: str) -> tuple[str, int]:
    # The page, and how far down on it.
    where = f"{home(name, module)}.{name}.".removeprefix("llmring.")
    fits = [
        (len(prefix), key, at)
        for key, group in GROUPS.items()
        for at, prefix in enumerate(group.modules)
        if where.startswith(f"{prefix}.")
    ]
    if not fits:
        raise SystemExit(f"docs/generators/api.py: llmring.{name} ({module}) is in no group; put its module into one")
    return max(fits)[1:]


def _page(group: Group, package: str, members: Mapping[str, str]) -> str:
    lines = [f"# {group.title}", "", group.lead, "", "| name | what it is |", "|---|---|"]
    for name, meaning in members.items():
        cell = meaning.replace("|", "\\|")
        lines.append(f"| [`{name}`](#{package}.{name}) | {cell} |")
    for name in members:
        lines += ["", f"::: {package}.{name}"]
    return "\n".join([*lines, ""])
