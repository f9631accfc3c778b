"""The pages on providers and embeddings work when they are pasted: every block of code runs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmring.testing.local_model import LocalModel

ROOT = Path(__file__).parents[2]


def blocks_of(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


DECLARED, CLASS, CHECKS = blocks_of("writing-a-provider.md")
(EMBEDDINGS,) = blocks_of("embeddings.md")
ALONE = blocks_of("standalone.md")


@pytest.fixture(scope="module")
def embedding_model() -> Iterator[LocalModel]:
    with LocalModel(embeddings=True) as model:
        yield model


def run(code: str, folder: Path, **environ: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.spec("A22")
def test_a_provider_of_thirty_lines_passes_the_suite_and_answers_a_ring(tmp_path: Path) -> None:
    assert run(CLASS, tmp_path) == "HELLO FROM HERE 6\n"
    lines = CLASS.partition("class ")[2].partition("async def main")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


@pytest.mark.spec("A22")
def test_the_checks_can_be_run_one_by_one(tmp_path: Path) -> None:
    assert "a_stream_ends_with_exactly_one_done" in run(CHECKS, tmp_path)


@pytest.mark.model
@pytest.mark.spec("A22", "A21")
def test_a_server_of_a_known_dialect_is_declared(local_model: LocalModel, tmp_path: Path) -> None:
    assert run(DECLARED, tmp_path, MY_SERVER=local_model.base_url).strip()


@pytest.mark.model
@pytest.mark.spec("M09", "M01")
def test_the_recipe_for_similarity_finds_what_is_about_cats(embedding_model: LocalModel, tmp_path: Path) -> None:
    *ranked, facts = run(EMBEDDINGS, tmp_path, MY_EMBEDDINGS=embedding_model.base_url).splitlines()
    scores = [float(line.split()[0]) for line in ranked]
    assert len(ranked) == 3
    assert scores == sorted(scores, reverse=True)
    assert -1.01 <= scores[-1] <= scores[0] <= 1.01
    assert re.fullmatch(r"smollm2-135m-instruct \d+ None", facts)


@pytest.mark.model
@pytest.mark.spec("A35")
@pytest.mark.parametrize("code", ALONE, ids=range(len(ALONE)))
def test_a_provider_is_used_without_a_ring(code: str, local_model: LocalModel, tmp_path: Path) -> None:
    said = run(code, tmp_path, MY_SERVER=local_model.base_url)
    assert re.search(r"\nTokens: [1-9]\d*\n$", said)
