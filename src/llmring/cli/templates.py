"""Prompt templates: text with `$name` in it, in a file. A template is only text: it chooses no model, reads nothing, runs nothing.

A name is looked up in the user's own folder alone, so that no repository can put another template under it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

import tomli

from llmring import env
from llmring.cli.failures import UNKNOWN_NAME, CommandError
from llmring.regular_file import NotARegularFileError, read_regular_file

INPUT: Final = "input"
_MAX_BYTES: Final = 1024 * 1024  # a guess: a template is written by hand
_ENDINGS: Final = (".toml", ".md", ".txt")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_KEYS: Final = frozenset({"system", "prompt"})


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A template with its variables filled in, all but the message. wants_input: whether the prompt says where that goes."""

    system: str | None
    _prompt: Template | None
    _values: Mapping[str, str]
    wants_input: bool

    @property
    def is_whole(self) -> bool:
        """Whether the prompt is a message without any more."""
        return self._prompt is not None and not self.wants_input

    def message(self, text: str) -> str:
        """The prompt with `text` for `$input`, or with `text` below it."""
        if self._prompt is None:
            return text
        prompt = self._prompt.substitute({**self._values, INPUT: text}).strip()
        return prompt if self.wants_input or not text.strip() else f"{prompt}\n\n{text}"


def read_template(name_or_path: str, values: Mapping[str, str]) -> PromptTemplate:
    """The template of this name, or in this file (what has a separator or an ending). Raises CommandError."""
    path = Path(name_or_path) if _is_path(name_or_path) else _find(name_or_path)
    try:
        data, _ = read_regular_file(path, _MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except NotARegularFileError:
        raise CommandError(f"template {path}: no regular file") from None
    except UnicodeDecodeError:
        raise CommandError(f"template {path}: no UTF-8 text") from None
    except (OSError, ValueError) as error:
        raise CommandError(f"template {path}: {getattr(error, 'strerror', None) or 'cannot be read'}") from None
    if len(data) > _MAX_BYTES:
        raise CommandError(f"template {path}: larger than {_MAX_BYTES} bytes")
    system, prompt = _parse_toml(text, path) if path.suffix == ".toml" else (None, text)
    return _fill_in(path, system, prompt, values)


def _is_path(text: str) -> bool:
    return "/" in text or os.sep in text or text.endswith(_ENDINGS)


def folder() -> Path | None:
    """The user's folder of templates; None where there is no home."""
    home = env.get(env.XDG_CONFIG_HOME)
    # A relative path would mean the current folder: XDG's rule is that it counts as unset.
    is_set = home is not None and os.path.isabs(home)
    base = Path(home or "") if is_set else Path.home() / ".config" if env.get(env.HOME) else None
    return None if base is None else base / "llmring" / "templates"


def _find(name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise CommandError(f"template {name[:80]!r} is no name", hint="a file is named with its path: ./my.md")
    home = folder()
    if home is not None:
        for ending in _ENDINGS:
            if os.path.isfile(home / f"{name}{ending}"):  # where it cannot be looked at, it is not there
                return home / f"{name}{ending}"
    raise CommandError(
        f"no template {name!r}",
        exit_code=UNKNOWN_NAME,
        hint=f"write {home or '~/.config/llmring/templates'}/{name}.toml or .md, or name a file with its path",
    )


def _parse_toml(text: str, path: Path) -> tuple[str | None, str | None]:
    try:
        table: dict[str, Any] = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise CommandError(f"template {path}: {error}") from None
    except ValueError:  # Python's own, beyond 4,300 digits
        raise CommandError(f"template {path}: a number in it is too long") from None
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise CommandError(f"template {path}: no such key: {', '.join(unknown)}", hint="known: system, prompt")
    for key, value in table.items():
        if not isinstance(value, str):
            raise CommandError(f"template {path}: {key} is no text")
    return table.get("system"), table.get("prompt")


def _fill_in(path: Path, system: str | None, prompt: str | None, values: Mapping[str, str]) -> PromptTemplate:
    if not (system or "").strip() and not (prompt or "").strip():
        raise CommandError(f"template {path}: neither a system prompt nor a prompt")
    wanted = set[str]()
    for text in (system, prompt):
        template = Template(text or "")
        if not template.is_valid():
            raise CommandError(f"template {path}: a $ without a name behind it", hint="a dollar sign is written $$")
        wanted.update(template.get_identifiers())
    if system is not None and INPUT in Template(system).get_identifiers():
        raise CommandError(f"template {path}: ${INPUT} stands in the prompt, never in the system prompt")
    missing, unused = sorted(wanted - values.keys() - {INPUT}), sorted(values.keys() - wanted)
    if missing:
        raise CommandError(f"template {path}: no value for {', '.join(missing)}", hint=f"--var {missing[0]}=…")
    if unused or INPUT in values:
        raise CommandError(f"template {path} has no variable {', '.join(unused or [INPUT])}")
    return PromptTemplate(
        Template(system).substitute(values) if system else None,
        Template(prompt) if prompt is not None and prompt.strip() else None,
        dict(values),
        prompt is not None and INPUT in Template(prompt).get_identifiers(),
    )
