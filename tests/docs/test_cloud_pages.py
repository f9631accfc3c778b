"""The pages on clouds and vendors' SDKs: every block of code runs, and every name in their tables is one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmring import env
from llmring.providers.table import PROVIDERS

ROOT = Path(__file__).parents[2]
CLOUDS = (ROOT / "docs" / "cloud-providers.md").read_text()
SDKS = (ROOT / "docs" / "vendor-sdks.md").read_text()


def run(code: str, folder: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


@pytest.mark.spec("U47")
def test_what_instruments_an_sdk_sees_calls_of_client_alone(tmp_path: Path) -> None:
    (block,) = blocks(SDKS)
    assert re.fullmatch(r"\['over-the-sdk'\] \d+ True\n", run(block, tmp_path))


@pytest.mark.spec("U22", "A37")
def test_the_blocks_on_clouds_run(tmp_path: Path) -> None:
    azure, accounts = blocks(CLOUDS)
    assert run(azure, tmp_path) == "https://my-resource.openai.azure.com/openai/v1\n"
    assert run(accounts, tmp_path) == "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1\n"


@pytest.mark.spec("U22")
def test_the_table_of_clouds_names_providers_and_variables_that_are_there() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*$", CLOUDS, re.MULTILINE)
    assert set(rows) <= set(PROVIDERS)
    named = set(re.findall(r"\b(?:AZURE|GOOGLE|AWS)_[A-Z_]+\b", CLOUDS))
    assert named <= {value for name, value in vars(env).items() if name.isupper()}
