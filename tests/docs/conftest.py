"""Pages are tried in an empty folder with the repository's lockfile, against the real small model."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmring.testing.local_model import LocalModel

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalModel]:
    with LocalModel() as model:
        yield model


@pytest.fixture
def reader(local_model: LocalModel, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Where a reader of the README stands, and their environment: profile `local`, its provider pointed at the model."""
    shutil.copy(ROOT / "llmring.lock", tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.llamacpp]\nbase_url = "{local_model.base_url}"\n')
    environ = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "LLMRING_PROFILE": "local",
        "LLMRING_CONFIG": str(config),
        "PYTHONWARNINGS": "error",
    }
    return tmp_path, environ
