"""Whether a model that is pinned by its content still has it, asked of Ollama before the model's first use: its names are tags, which
`ollama pull` and `ollama create` move. Asked once for each model and lock; nothing is ever locked anew from here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from llmring.calls.waiting import Together, within_deadline
from llmring.clock import Clock
from llmring.exceptions import DigestMismatchError
from llmring.providers.base import BaseLLMProvider
from llmring.resolver import Candidate

TAGS_PATH: Final = "/tags"  # below the /api of the base URL: https://docs.ollama.com/api/tags (2026-11-21)
TAGS_S: Final = 10.0  # a guess: the listing is made from files on the server's disk
_DIALECT: Final = "ollama_chat"


class DigestCheck:
    """One ring's. ask: GET, and the reply's JSON."""

    def __init__(
        self,
        clock: Clock,
        find_provider: Callable[[str], BaseLLMProvider | None],
        ask: Callable[[BaseLLMProvider, str], Awaitable[Any]],
    ) -> None:
        self._clock = clock
        self._find_provider = find_provider
        self._ask = ask
        self._verified: set[tuple[str, str, str]] = set()
        self._under_way = Together[None]()

    async def check(self, candidate: Candidate, deadline: float | None) -> None:
        """Raises DigestMismatchError where the model is not there or has another content, ProviderError where nobody can be asked.
        What was verified is not asked again; what failed is."""
        locked = candidate.digest
        if locked is None:
            return
        provider = self._find_provider(candidate.ref.provider)
        if provider is None or provider.row.dialect != _DIALECT:
            return  # no other server tells the digest of what it runs
        key = (provider.base_url, candidate.ref.model, locked)
        if key in self._verified:
            return

        async def verify() -> None:
            found = find_digest(await self._ask(provider, TAGS_PATH), candidate.ref.model)
            _compare(str(candidate.ref), candidate.ref.model, locked, found)
            self._verified.add(key)

        # However many calls begin at once, a server that does not answer keeps none of them waiting longer than the first.
        await within_deadline(self._under_way.run(key, verify), deadline, self._clock)

    async def close(self) -> None:
        await self._under_way.close()


def find_digest(tags: Any, model: str) -> str | None:
    """`sha256:…` of the model in the reply of /api/tags; None where it is not there."""
    rows: Any = cast("Mapping[str, Any]", tags).get("models") if isinstance(tags, Mapping) else None
    wanted = _with_tag(model)
    for row in cast("list[Any]", rows) if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        told = cast("Mapping[str, Any]", row)
        name, digest = told.get("name"), told.get("digest")
        if isinstance(name, str) and isinstance(digest, str) and _with_tag(name) == wanted:
            return f"sha256:{digest.removeprefix('sha256:').lower()}"
    return None


def _with_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _compare(ref: str, model: str, locked: str, found: str | None) -> None:
    if found == locked:
        return
    if found is None:
        raise DigestMismatchError(
            f"{ref} is pinned by its content, and Ollama does not have it",
            model=ref,
            locked=locked,
            hint=f"ollama pull {model}",
        )
    raise DigestMismatchError(
        f"{ref} is pinned to {_short(locked)}, and Ollama has {_short(found)}",
        model=ref,
        locked=locked,
        found=found,
        hint=f"`ollama pull {model}` gets what its library has now; `llmring lock upgrade --model {ref}` locks what is there, for review",
    )


def _short(digest: str) -> str:
    return "".join(c for c in digest if c.isalnum() or c == ":")[: len("sha256:") + 12]
