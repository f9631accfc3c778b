"""OpenAI's published tokenizers, from files that are here already: nothing is ever downloaded.

tiktoken alone would fetch a vocabulary it has not got. It is handed one instead: from its cache (TIKTOKEN_CACHE_DIR), else from the
installed package bpe-openai, and only where the file is what tiktoken says it must be. Loading takes 0.2 to 0.5 s and 30 to 80 MB.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Final, Protocol, cast

from llmring import env
from llmring.providers.availability import is_installed
from llmring.regular_file import read_regular_file

# The largest of the published ones has 3.6 MB.
_MAX_VOCABULARY_BYTES: Final = 16 * 1024 * 1024
# gpt-oss: the same vocabulary as o200k_base, with more special tokens, which no text has. tiktoken 0.14.0, openai_public.py (2026-11-21)
_ENCODINGS: Final = {"cl100k_base": "cl100k_base", "o200k_base": "o200k_base", "o200k_harmony": "o200k_base"}
_LOADER: Final = "load_tiktoken_bpe"
# tiktoken 0.14.0 panics on 1,000,000 spaces (its regular expression runs out of stack) and is quick on 20,000 of anything.
_MAX_PIECE_CHARS: Final = 8192


class _Encoding(Protocol):
    def encode_ordinary(self, text: str) -> list[int]: ...


class _NoVocabularyError(Exception):
    """No file of it is here, or none that is what it should be."""


class Vocabulary:
    """One tokenizer. name: as tiktoken calls it."""

    def __init__(self, name: str, encoding: _Encoding) -> None:
        self.name = name
        self._encoding = encoding

    def count(self, text: str) -> tuple[int, bool]:
        """How many tokens a text is, in linear time, and whether that is exact: not where more than 8,192 characters stand
        without a space to cut at. Special tokens are read as the text that they are."""
        tokens, exact = 0, True
        for piece, is_whole in _cut(text):
            tokens += len(self._encoding.encode_ordinary(piece))
            exact = exact and is_whole
        return tokens, exact


def _cut(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces, and whether each ends where a token ends anyway: no token of these vocabularies has a space after something that is
    none, and no rule for splitting looks back past one."""
    start = 0
    while len(text) - start > _MAX_PIECE_CHARS:
        end = text.rfind(" ", start + 1, start + _MAX_PIECE_CHARS)
        while end > start and text[end - 1].isspace():
            end = text.rfind(" ", start + 1, end)
        found = end > start
        end = end if found else start + _MAX_PIECE_CHARS
        yield text[start:end], found
        start = end
    yield text[start:], True


def encoding_of(model: str) -> str | None:
    """The tokenizer of one of OpenAI's models by tiktoken's own table, None where it names none that can be had, or is not installed.

    model: OpenAI's name for it. Loads no vocabulary.
    """
    if not is_installed("tiktoken"):
        return None
    name_of = cast("Callable[[str], str]", import_module("tiktoken.model").encoding_name_for_model)
    try:
        return _ENCODINGS.get(name_of(model))
    except KeyError:
        return None


# By name; None where there is no file for it. Loaded once a process: they never change.
_loaded: Final[dict[str, Vocabulary | None]] = {}
_one_at_a_time = threading.Lock()


def is_loaded(name: str) -> bool:
    """Whether `vocabulary` answers at once."""
    return name in _loaded


def vocabulary(name: str) -> Vocabulary | None:
    """The tokenizer of this name, None where no file of it is here. Takes long the first time: in async code, call it in a thread."""
    if name not in _loaded:
        with _one_at_a_time:
            if name not in _loaded:
                _loaded[name] = _load(name)
    return _loaded[name]


def _load(name: str) -> Vocabulary | None:
    public = vars(import_module("tiktoken_ext.openai_public"))
    constructor = public.get(name)
    # Only where tiktoken loads in the way that we know can what it loads with be replaced; else it might download.
    if not isinstance(constructor, FunctionType) or _LOADER not in constructor.__code__.co_names:
        return None
    try:
        # tiktoken's own recipe (file, hash, pattern, special tokens), run with our loader in the place of its own.
        recipe = FunctionType(constructor.__code__, {**public, _LOADER: partial(_read_ranks, name)})()
    except _NoVocabularyError:
        return None
    return Vocabulary(name, import_module("tiktoken").Encoding(**recipe))


def _read_ranks(name: str, url: str, expected_hash: str | None = None) -> dict[bytes, int]:
    for read in (partial(_read_cached, url), partial(_read_packaged, name)):
        data = read()
        if data is not None and expected_hash is not None and hashlib.sha256(data).hexdigest() == expected_hash:
            return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}
    raise _NoVocabularyError(name)


def _read_cached(url: str) -> bytes | None:
    """Where tiktoken keeps what it has downloaded: https://github.com/openai/tiktoken/blob/0.14.0/tiktoken/load.py (2026-11-21)"""
    folder = env.get(env.TIKTOKEN_CACHE_DIR, os.environ) or Path(tempfile.gettempdir()) / "data-gym-cache"
    return _read(Path(folder) / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest())


def _read_packaged(name: str) -> bytes | None:
    """The file that bpe-openai brings along. The package itself, a library of 74 MB, is not imported."""
    spec = find_spec("bpe_openai") if is_installed("bpe_openai") else None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        packed = _read(Path(folder) / "data" / f"{name}.tiktoken.gz")
        if packed is None:
            continue
        try:
            with gzip.open(io.BytesIO(packed)) as file:
                return file.read(_MAX_VOCABULARY_BYTES)
        except (OSError, EOFError):
            continue
    return None


def _read(path: Path) -> bytes | None:
    try:
        return read_regular_file(path, _MAX_VOCABULARY_BYTES)[0]
    except (OSError, ValueError):
        return None
