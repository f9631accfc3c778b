"""Limits, capabilities, prices and retirement dates from the JSON data inside litellm's wheel. Data only: litellm is never imported."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, cast

import orjson

from llmring.exceptions import RegistryError
from llmring.registry.parse import FactSource, FactValue
from llmring.registry.sources.base import LITELLM, Reading, put, put_price
from llmring.registry.sources.package_index import PackageIndex
from llmring.regular_file import read_regular_file

_MEMBER: Final = "litellm/model_prices_and_context_window_backup.json"
_WHEEL: Final = re.compile(r"litellm-(\d{1,6}(?:\.\d{1,6}){0,3})-[A-Za-z0-9_.-]{1,120}\.whl", re.ASCII)
MAX_WHEEL_BYTES: Final = 160 * 1024 * 1024  # a guess: several times the 41 MB of litellm 1.109.1
_MAX_DATA_BYTES: Final = 32 * 1024 * 1024  # a guess: ten times the 3.2 MB of litellm 1.109.1

# litellm's name of each provider, and the prefix that its keys may carry.
_PROVIDERS: Final = {
    "openai": ("openai", ""),
    "anthropic": ("anthropic", ""),
    "google": ("gemini", "gemini/"),
    # Not Ollama: its rows hold names that Ollama's library does not have, and windows that are not the models'.
}
_CATEGORIES: Final = {"chat": "chat", "responses": "chat", "embedding": "embedding"}
# Rows that are no chat or embedding model of the vendor's: `registry/README.md` says it in words.
_NO_MODEL: Final = re.compile(
    r"ft:.*|.*/.*|text-embedding-ada-002-v2"
    r"|claude-opus-4-[67]-\d{8}"
    r"|gemini-exp-.*|gemini-gemma-.*|learnlm-.*|deep-research-.*|nano-banana.*|gemini-nano-.*|gemini-omni-.*|lyria.*"
    r"|gemini-.*(robotics|-live|-image|-tts|native-audio).*",
    re.ASCII,
)
_CAPS: Final = {
    "supports_audio_input": "audio",
    "supports_computer_use": "computer_use",
    "supports_function_calling": "tools",
    "supports_pdf_input": "pdf",
    "supports_prompt_caching": "prompt_cache",
    "supports_reasoning": "reasoning",
    "supports_response_schema": "json_schema",
    "supports_tool_choice": "tool_choice",
    "supports_video_input": "video",
    "supports_vision": "vision",
    "supports_web_search": "web_search",
}
_LIMITS: Final = {
    "max_input_tokens": "max_input",
    "max_output_tokens": "max_output",
    "output_vector_size": "dimensions",
}
_PRICE: Final = re.compile(
    r"(?P<kind>input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_creation_input_token_cost)"
    r"(?P<hour>_above_1hr)?(?:_above_(?P<thousands>[1-9]\d{0,5})k_tokens)?(?:_(?P<tier>batches|flex|priority))?",
    re.ASCII,
)
_KINDS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
}
_TIERS: Final = {None: "", "batches": "batch_", "flex": "flex_", "priority": "priority_"}
_PER_MILLION: Final = Decimal(1_000_000)


class LitellmData:
    """A wheel of litellm: the file at `wheel`, or the newest release of a package index."""

    key = LITELLM

    def __init__(self, *, wheel: Path | None = None, index: PackageIndex | None = None) -> None:
        self._wheel = wheel
        self._index = index
        self._read: tuple[str, Mapping[str, Any]] | None = None

    async def read(self, provider: str, today: str) -> Reading | None:
        """Raises RegistryError where there is no such wheel, or none that holds the data; what `PackageIndex` raises."""
        if provider not in _PROVIDERS:
            return None
        if self._read is None:
            self._read = await self._open()
        version, rows = self._read
        said_by = FactSource(f"litellm {version}", f"https://pypi.org/project/litellm/{version}/", today)
        return Reading(LITELLM, said_by, read_rows(rows, provider), names_models=True)

    async def _open(self) -> tuple[str, Mapping[str, Any]]:
        if self._wheel is not None:
            name = self._wheel.name
            try:
                data, _ = read_regular_file(self._wheel, MAX_WHEEL_BYTES + 1)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no readable file"
                raise RegistryError(f"litellm's wheel {self._wheel}: {reason}") from None
            if len(data) > MAX_WHEEL_BYTES:
                raise RegistryError(f"litellm's wheel {self._wheel}: more than {MAX_WHEEL_BYTES:,} bytes")
        elif self._index is not None:
            name, data = await self._index.fetch_newest("litellm", _WHEEL, MAX_WHEEL_BYTES)
        else:
            raise RegistryError("litellm's data: neither a wheel nor a package index is named")
        found = _WHEEL.fullmatch(name)
        if found is None:
            raise RegistryError(
                f"{name[:120]!r} is no wheel of litellm", hint="keep the file's name: litellm-VERSION-….whl"
            )
        return found[1], open_wheel(data, name)


def open_wheel(wheel: bytes, name: str) -> Mapping[str, Any]:
    """The rows of litellm's data, by its own keys. Raises RegistryError for what is no such wheel."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive, archive.open(_MEMBER) as member:
            data = member.read(_MAX_DATA_BYTES + 1)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        KeyError,
        OSError,
        ValueError,
        EOFError,
        RuntimeError,
        NotImplementedError,
    ):
        raise RegistryError(f"{name}: no wheel with {_MEMBER} in it") from None
    except Exception:  # zlib's and the other decompressors' own errors have no common base
        raise RegistryError(f"{name}: {_MEMBER} is damaged") from None
    if len(data) > _MAX_DATA_BYTES:
        raise RegistryError(f"{name}: {_MEMBER} is larger than {_MAX_DATA_BYTES:,} bytes")
    try:
        rows: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise RegistryError(f"{name}: {_MEMBER} is no JSON") from None
    if not isinstance(rows, dict):
        raise RegistryError(f"{name}: {_MEMBER} holds no table")
    return cast("dict[str, Any]", rows)


def read_rows(rows: Mapping[str, Any], provider: str) -> dict[str, dict[str, FactValue]]:
    """The facts of one provider's chat and embedding models. What a row does not mention is unknown."""
    theirs, prefix = _PROVIDERS[provider]
    models: dict[str, dict[str, FactValue]] = {}
    for key, given in rows.items():
        if not isinstance(given, dict):
            continue
        row = cast("dict[str, Any]", given)
        if row.get("litellm_provider") != theirs or not isinstance(row.get("mode"), str):
            continue
        name = key.removeprefix(prefix)
        category = _CATEGORIES.get(row["mode"])
        if category is None or _NO_MODEL.fullmatch(name) or (name in models and not prefix):
            continue
        models[name] = {"category": category, **_facts(row, provider)}
    return models


def _facts(row: Mapping[str, Any], provider: str) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    for theirs, ours in _LIMITS.items():
        put(facts, ours, row.get(theirs))
    put(facts, "retires", row.get("deprecation_date"))
    for theirs, cap in _CAPS.items():
        put(facts, f"caps.{cap}", row.get(theirs))
    for key, value in row.items():
        found = _PRICE.fullmatch(key)
        if found is None or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        kind = _KINDS[found["kind"]]
        if kind == "cache_write" and provider == "anthropic":
            kind = "cache_write_1h" if found["hour"] else "cache_write_5m"
        elif found["hour"]:
            continue
        above = f"_above_{found['thousands']}000" if found["thousands"] else ""
        # Through its shortest text: a float's exact value has digits that nobody wrote.
        put_price(facts, f"price.{_TIERS[found['tier']]}{kind}{above}", Decimal(repr(value)) * _PER_MILLION)
    return facts
