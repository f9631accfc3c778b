"""The distribution, built once for all tests that look at it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distribution:
    sdist: Path
    wheel: Path


def build(out: Path, source: Path = ROOT, umask: int = 0o022, **environ: str) -> Distribution:
    subprocess.run(
        [sys.executable, ROOT / ".ci" / "dist.py", out, source],
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        umask=umask,
        check=True,
    )
    return Distribution(next(out.glob("*.tar.gz")), next(out.glob("*.whl")))


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout: what belongs into a release is what git tracks")
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(distribution: Distribution, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, by pip, and this environment's packages, without its llmring."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", distribution.wheel],
        check=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    packages = next(folder.glob("lib/python*/site-packages"))
    ours = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    # A path of a .pth file is searched, but the .pth files in it are not read: the editable install stays out.
    (packages / "dependencies.pth").write_text(f"{ours}\n")
    return python
