"""OpenAI's tokenizers from files that are here: right, in linear time, and without a download, whatever is missing."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from llmring.registry import vocabulary as room
from llmring.registry.tokens import estimate_tokens
from llmring.registry.vocabulary import Vocabulary, encoding_of, vocabulary

URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"

# What is split in a special way: spaces, line ends, apostrophes, digits, marks that join letters, signs of two bytes and of four.
TRICKY = st.text(alphabet=st.sampled_from("ab Z19'’\t\n\r!/\u00a0\u3000é\u0301你😀\u200d\x1c"), max_size=40)


PACKAGE = find_spec("bpe_openai")  # now: tests hide it


def packed(name: str) -> bytes:
    assert PACKAGE is not None
    assert PACKAGE.submodule_search_locations is not None
    return (Path(PACKAGE.submodule_search_locations[0]) / "data" / f"{name}.tiktoken.gz").read_bytes()


def load(name: str) -> Vocabulary:
    words = vocabulary(name)
    assert words is not None
    return words


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """tiktoken's own encodings, by its own loader, whose cache holds the files."""
    folder = tmp_path_factory.mktemp("cache")
    for name in ("cl100k_base", "o200k_base"):
        (folder / hashlib.sha1(URL.format(name).encode()).hexdigest()).write_bytes(gzip.decompress(packed(name)))
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        return {name: tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")}
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


@pytest.fixture
def nothing_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any vocabulary, where none has been loaded; tiktoken's cache is the folder that is returned."""
    monkeypatch.setattr(room, "_loaded", {})
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.spec("P06")
def test_a_text_that_openai_counted_has_the_same_count() -> None:
    # https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb (2026-11-21)
    assert load("cl100k_base").count("tiktoken is great!") == (6, True)
    assert load("cl100k_base").count("antidisestablishmentarianism") == (6, True)
    assert load("cl100k_base").count("お誕生日おめでとう") == (9, True)
    assert load("o200k_base").count("お誕生日おめでとう") == (8, True)


@pytest.mark.spec("P06")
@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
@given(texts=st.lists(TRICKY, max_size=4))
def test_a_text_in_pieces_counts_as_the_whole_does(name: str, texts: list[str], oracle: dict[str, Any]) -> None:
    whole = " word ".join(text * 300 for text in texts)
    tokens, exact = load(name).count(whole)
    if exact:
        assert tokens == len(oracle[name].encode_ordinary(whole))


@pytest.mark.spec("P06")
def test_prose_is_exact_however_long(oracle: dict[str, Any]) -> None:
    prose = "It was the best of times, it was the worst of times.\n\n  It wasn't, said 1859 people! " * 2_000
    assert load("o200k_base").count(prose) == (len(oracle["o200k_base"].encode_ordinary(prose)), True)


@pytest.mark.spec("P06")
@pytest.mark.parametrize("unit", ["a", " ", " \t", "\n", "!", "你", "\u00a0"])
def test_a_million_characters_without_a_break_take_linear_time_and_are_no_exact_count(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    words = load("o200k_base")
    before = time.process_time()
    tokens, exact = words.count(text)
    # Whole, tiktoken 0.14.0 panics on the spaces. The bound is generous: on a quiet machine it is 0.6 s.
    assert time.process_time() - before < 10
    assert not exact
    assert tokens > 1_000


@pytest.mark.spec("P06")
def test_half_a_surrogate_pair_is_counted() -> None:
    assert load("o200k_base").count("a\ud83d b")[0] > 1


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4", "cl100k_base"),
        ("gpt-5.6-terra", "o200k_base"),
        ("ft:gpt-4o-mini:acme", "o200k_base"),
        ("gpt-oss-20b", "o200k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("davinci", None),
        ("somebody-elses", None),
    ],
)
@pytest.mark.spec("P06")
def test_the_tokenizer_of_a_model_is_tiktokens_own_answer(model: str, encoding: str | None) -> None:
    assert encoding_of(model) == encoding


@pytest.mark.spec("P06")
def test_without_any_vocabulary_it_is_an_estimate_and_nothing_is_fetched(nothing_here: Path) -> None:
    count = estimate_tokens("tiktoken is great!", "openai:gpt-4")
    assert (count.tokens, count.exact) == (5, False)
    assert "bytes a token (a guess)" in count.source
    assert list(nothing_here.iterdir()) == []


@pytest.mark.spec("P06")
def test_tiktokens_cache_is_read(nothing_here: Path) -> None:
    name = hashlib.sha1(URL.format("cl100k_base").encode()).hexdigest()
    (nothing_here / name).write_bytes(gzip.decompress(packed("cl100k_base")))
    assert estimate_tokens("tiktoken is great!", "openai:gpt-4").exact


@pytest.mark.spec("P06")
@pytest.mark.parametrize("broken", [b"", b"IQ== 0\n", b"\xff" * 100])
def test_a_file_that_is_not_what_openai_published_is_not_used(nothing_here: Path, broken: bytes) -> None:
    name = hashlib.sha1(URL.format("cl100k_base").encode()).hexdigest()
    (nothing_here / name).write_bytes(broken)
    assert not estimate_tokens("tiktoken is great!", "openai:gpt-4").exact
    assert (nothing_here / name).read_bytes() == broken


@pytest.mark.spec("P06")
def test_without_tiktoken_it_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert not estimate_tokens("tiktoken is great!", "openai:gpt-4").exact


NOTHING_OUTSIDE = """
import sys

def deny(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__",):
        raise RuntimeError(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wax":
        raise RuntimeError(f"writes {arguments[0]}")

sys.addaudithook(deny)
from llmring.registry.tokens import estimate_tokens
count = estimate_tokens("tiktoken is great!", "openai:gpt-4")
assert (count.tokens, count.exact, count.source) == (6, True, "tiktoken cl100k_base"), count
assert "bpe_openai" not in sys.modules and "requests" not in sys.modules
"""


@pytest.mark.spec("P06")
def test_an_exact_count_uses_no_socket_writes_no_file_and_needs_no_home(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", NOTHING_OUTSIDE],
        env={"HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
