"""docs/token-counts.md: its table of bytes a token is what OpenAI's tokenizers make of these very texts."""

from __future__ import annotations

import base64
import json
import random
import re
from pathlib import Path

import pytest

from llmring.registry.tokens import BYTES_PER_TOKEN
from llmring.registry.vocabulary import vocabulary

PAGE = (Path(__file__).parents[2] / "docs" / "token-counts.md").read_text()

# The first article of the Universal Declaration of Human Rights, https://www.ohchr.org/en/human-rights/universal-declaration
ARTICLE = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should"
    " act towards one another in a spirit of brotherhood. ",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen"
    " einander im Geist der Brüderlichkeit begegnen. ",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны"
    " поступать в отношении друг друга в духе братства. ",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "Japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}
CODE = """\
def merge(left: list[int], right: list[int]) -> list[int]:
    \"\"\"Two sorted lists as one.\"\"\"
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


"""
ROWS = [{"id": i, "name": f"item {i}", "price": f"{i * 37 % 1000 / 100:.2f}", "tags": ["new"]} for i in range(100)]
TEXTS = {
    **{name: text * 10 for name, text in ARTICLE.items()},
    "Python code": CODE * 5,
    "JSON": json.dumps(ROWS),
    "emoji": "😀🎉🚀👍🏽🌍🔥✨" * 20,
    "base64": base64.b64encode(random.Random(1).randbytes(6_000)).decode(),
}


def ratio(text: str, encoding: str) -> str:
    words = vocabulary(encoding)
    assert words is not None
    return f"{len(text.encode()) / words.count(text)[0]:.1f}"


@pytest.mark.spec("P06")
def test_the_table_is_what_the_tokenizers_say() -> None:
    shown = re.findall(r"^\| ([\w ]+) \| (\d\.\d) \| (\d\.\d) \|$", PAGE, re.MULTILINE)
    assert shown == [(name, ratio(text, "o200k_base"), ratio(text, "cl100k_base")) for name, text in TEXTS.items()]


@pytest.mark.spec("P06")
def test_the_guess_is_sane_for_prose_and_code() -> None:
    """Within a third, for what people write; the page says how far off it is for the rest."""
    for name in ("English", "German", "Chinese", "Japanese", "Python code"):
        assert 0.66 < float(ratio(TEXTS[name], "o200k_base")) / BYTES_PER_TOKEN < 1.5, name
    assert f"{BYTES_PER_TOKEN:.0f} bytes" in PAGE
