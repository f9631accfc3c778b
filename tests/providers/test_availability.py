"""Where a vendor's package is missing, llmring says so, and everything that does not need it goes on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

import llmring
from llmring.providers.availability import SDKS, available
from llmring.testing import FakeProvider

# Finds no module below the blocked names: a virtual environment that they were taken out of looks the same to Python.
BLOCK = """
import sys
blocked = {blocked!r}
for name in list(sys.modules):
    assert name not in blocked, name
class Missing:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in blocked):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


def in_python_without(blocked: list[str], script: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-c", BLOCK.format(blocked=blocked) + script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.spec("A21")
def test_all_that_come_with_llmring_are_there() -> None:
    assert available() == dict.fromkeys(SDKS, True)
    assert llmring.OPENAI_AVAILABLE
    assert llmring.ANTHROPIC_AVAILABLE
    assert llmring.GOOGLE_AVAILABLE
    assert llmring.OLLAMA_AVAILABLE


@pytest.mark.spec("A21")
@pytest.mark.parametrize("name", SDKS)
def test_a_missing_package_is_told_and_named_where_it_is_needed(name: str) -> None:
    module, package = SDKS[name]
    script = f"""
import asyncio, json, llmring
from llmring.providers.availability import available
async def main():
    providers = {{"{name}": {{"api_key": "k" * 9}}}}
    async with llmring.LLMRing(providers=providers) as ring:
        try:
            ring.get_provider("{name}").client
        except llmring.ConfigurationError as error:
            return error.message, error.hint
print(json.dumps([asyncio.run(main()), available(), llmring.{name.upper()}_AVAILABLE]))
"""
    (message, hint), flags, flag = in_python_without([module], script)
    assert message == f"the .client of provider {name} needs the package {package}, which is not installed"
    assert hint == f"pip install {package}"
    assert flags == {**dict.fromkeys(SDKS, True), name: False}
    assert flag is False


@pytest.mark.spec("A21", "U47")
async def test_chat_needs_none_of_them(fake_provider: FakeProvider) -> None:
    script = f"""
import asyncio, json, llmring
async def main():
    providers = {{"openai": {{"base_url": {fake_provider.base_url!r}, "api_key": "k" * 9}}}}
    async with llmring.LLMRing(providers=providers) as ring:
        return (await ring.chat("openai:m", "Hi")).content
print(json.dumps(asyncio.run(main())))
"""
    content = await asyncio.to_thread(in_python_without, ["openai", "anthropic", "google", "ollama"], script)
    assert content == "Hello from the fake provider."


@pytest.mark.spec("A21", "U22")
def test_vertex_names_google_auth_where_it_is_missing() -> None:
    script = """
import asyncio, json, llmring, os
os.environ["GOOGLE_CLOUD_PROJECT"] = "p"
async def main():
    async with llmring.LLMRing() as ring:
        try:
            await ring.chat("vertex_anthropic:m", "Hi")
        except llmring.ConfigurationError as error:
            return error.message
print(json.dumps(asyncio.run(main())))
"""
    assert "provider vertex_anthropic needs the package google-auth" in in_python_without(["google.auth"], script)
