"""A real small model, started once for all live tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from llmring import LLMRing, RequestOptions
from llmring.testing.local_model import LocalModel

LOCKFILE = Path(__file__).parents[2] / "llmring.lock"


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalModel]:
    with LocalModel() as model:
        yield model


@pytest.fixture
async def ring(local_model: LocalModel) -> AsyncIterator[LLMRing]:
    """A ring whose llamacpp is the local model; temperature 0, so that answers repeat."""
    providers = {"llamacpp": {"base_url": local_model.base_url}}
    defaults = RequestOptions(temperature=0)
    async with LLMRing(lockfile_path=LOCKFILE, providers=providers, defaults=defaults, dotenv=False) as ring:
        yield ring
