"""Pages are tried in an empty folder with the repository's lockfile, against the real small model or the fake provider."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from llmring.testing.local_model import LocalModel

ROOT = Path(__file__).parents[2]
PICTURES = {"before.png": "red", "after.png": "blue", "screenshot.png": "white", "paper.pdf": "white"}


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalModel]:
    with LocalModel() as model:
        yield model


@pytest.fixture(scope="session")
def embedding_model() -> Iterator[LocalModel]:
    with LocalModel(embeddings=True) as model:
        yield model


@pytest.fixture
def reader(local_model: LocalModel, tmp_path: Path) -> dict[str, str]:
    """The environment of a page's reader: profile `local`, its provider pointed at the small model."""
    config = tmp_path / "config.toml"
    # A cap, because the model is small enough never to come to an end by itself.
    config.write_text(f'[providers.llamacpp]\nbase_url = "{local_model.base_url}"\nmax_tokens = 24\n')
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LLMRING_PROFILE": "local",
        "LLMRING_CONFIG": str(config),
        "PYTHONWARNINGS": "error",
        "MY_SERVER": local_model.base_url,
    }


@pytest.fixture
def lay_out(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a folder as a page's reader has it: the repository's lockfile, unless the page begins with a manifest of its own, and the
    pictures that the page names."""

    def make(page: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="page-", dir=tmp_path))
        if "<!-- test: file llmring.toml -->" not in page:
            shutil.copy(ROOT / "llmring.lock", folder)
        for name, color in PICTURES.items():
            if name in page:
                Image.new("RGB", (256, 192), color).save(folder / name)
        return folder

    return make
