"""The API reference's own code runs: its imports, its types, and its snippets against a provider on this machine.

`tests/seed` holds the reference's code blocks as they are written there, inside of an async function where they await.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import llmring
from llmring import ConfigurationError, LLMRequest, LLMResponse, LLMRing, Message
from llmring.testing import Answer, FakeProvider, Fault

SEED = Path(__file__).parent / "seed"
BUNDLED_LOCK = Path(inspect.getfile(llmring)).parent / "llmring.lock"
PNG = (Path(__file__).parent / "images" / "plain.png").read_bytes()
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
}

# SHA-256 of each block as the reference has it: what is tested here is the reference's text and not our memory of it.
BLOCKS = {
    "service": "aa3eba77737c1f5cba28e68580f0ae3dc24229a55463729da364cc501a818a7d",
    "request": "0d4dbbde3b9380b97c693aad124054737fc13db2cc9f2f76b0eb4815dd142a55",
    "response": "c90a82fa274ed4d7457f13ff259d736871bbaba4853c3aed5308d4279d803da2",
    "errors": "8ac88c99f1b8e0f1f86b6b6ba0575dd51b776a689cdd82862f1836163a796537",
    "extended": "914100ddc33040120060924f74c12ef15ba7b865c69d19893ad5c3651700a081",
    "extended_example": "9cb8111dcebbd0c1387e1ce70fa3bf1e661e7cda10bb4084a470cb04e453529a",
    "manager": "9eeb45455cd3eb5bef45e7d55f43890c1b292b14d3e1979ca1bb9bc283a7cc82",
    "manager_example": "eb82988b8fb5e5bc1eb7ae44b6d476134f5f366e51d98b49a00851092a654f71",
    "alias_cache": "57cf8728a0a3e4e750fe3f1602e41afb56beb22cab61c9692f219a7fcd3254d2",
    "file_utilities": "f9ad7108bcbc6a2737d794156f4a15e5831924feeb94013b1f9e5e9c35dde73f",
}

# What the reference leaves to its reader: dots, and a path.
BLANKS = {
    "Message(...)": 'Message(role="user", content="Hello")',
    "tools=[...]": f"tools=[{TOOL!r}]",
}


# Each line but the first is wrong: the checker must see our types at all for its silence to mean something.
MISUSES = [
    "from llmring import LLMRequest, LLMRing, LLMResponse, Message",
    "from llmring import LLMBell",
    "from llmring.schemas import LLMQuest",
    "LLMRequest(modle='x', messages='hi')",
    "LLMRequest(model='x', messages=3)",
    "Message(role='nobody', content='hi')",
    "LLMRing(orgin='x')",
    "LLMResponse('x').contents",
]


def source_of(name: str) -> str:
    return (SEED / f"{name}.py").read_text()


def load(name: str, **blanks: str) -> ModuleType:
    """The block as a module, its blanks filled in."""
    source = source_of(name)
    for blank, filling in (BLANKS | blanks).items():
        source = source.replace(blank, filling)
    module = ModuleType(name)
    exec(compile(source, f"tests/seed/{name}.py", "exec"), vars(module))
    return module


@pytest.fixture
def provider(fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """OpenAI, as far as the environment says."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")
    monkeypatch.setenv("OPENAI_BASE_URL", fake_provider.base_url)
    return fake_provider


def test_every_block_of_the_reference_is_here() -> None:
    assert {path.stem for path in SEED.glob("*.py")} == set(BLOCKS)


@pytest.mark.spec("U53")
@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_the_references_letter_by_letter(name: str) -> None:
    block = source_of(name).split("# seed: begin\n")[1].rpartition("# seed: end\n")[0]
    # An indented block leaves the indentation of the closing mark behind.
    text = textwrap.dedent(block.rstrip(" "))
    assert hashlib.sha256(text.encode()).hexdigest() == BLOCKS[name]


def imports_of_the_seed() -> list[str]:
    lines = {
        ast.unparse(node)
        for name in BLOCKS
        for node in ast.walk(ast.parse(source_of(name)))
        if isinstance(node, ast.ImportFrom)
    }
    return sorted(lines)


@pytest.mark.spec("U34")
@pytest.mark.parametrize("line", imports_of_the_seed())
def test_every_import_line_of_the_reference_works(line: str) -> None:
    names: dict[str, Any] = {}
    exec(line, names)
    node = ast.parse(line).body[0]
    assert isinstance(node, ast.ImportFrom)
    for alias in node.names:
        assert names[alias.name] is not None


@pytest.mark.spec("U34")
def test_the_names_around_the_blocks_are_there_too() -> None:
    from llmring import BaseLLMProvider, LLMResponse, LLMRingError, StreamChunk, Usage
    from llmring.schemas import LLMResponse as Same

    assert Same is LLMResponse
    assert all(isinstance(kind, type) for kind in (BaseLLMProvider, LLMRingError, StreamChunk, Usage))


@pytest.mark.spec("U34")
def test_a_type_checker_finds_no_error_in_the_reference(tmp_path: Path) -> None:
    for name in BLOCKS:
        source = source_of(name)
        for blank, filling in BLANKS.items():
            source = source.replace(blank, filling)
        (tmp_path / f"{name}.py").write_text(source)
    (tmp_path / "misused.py").write_text("\n".join(MISUSES))
    settings = {"include": ["."], "typeCheckingMode": "basic", "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "-p", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    errors: list[tuple[str, int, str]] = [
        (Path(found["file"]).name, found["range"]["start"]["line"], found["message"])
        for found in json.loads(done.stdout)["generalDiagnostics"]
        if found["severity"] == "error"
    ]
    assert [error for error in errors if error[0] != "misused.py"] == []
    assert {line for _, line, _ in errors} == set(range(1, len(MISUSES))), errors


# The blocks, run


@pytest.mark.spec("U01", "U34")
async def test_the_service_block_runs(provider: FakeProvider, tmp_path: Path) -> None:
    lock = tmp_path / "custom.lock"
    lock.write_bytes(BUNDLED_LOCK.read_bytes())
    provider.script(Answer("hi"))
    block = load("service", **{"/path/to/custom.lock": str(lock)}).block
    await block(LLMRequest(model="fast", messages=[Message(role="user", content="Hello")]))
    assert len(provider.received) == 2


async def test_the_service_block_refuses_a_lockfile_that_is_not_there(provider: FakeProvider) -> None:
    with pytest.raises(ConfigurationError, match=r"/path/to/custom\.lock"):
        await load("service").block(LLMRequest(model="fast", messages="hi"))
    assert provider.received == []


@pytest.mark.spec("U10", "U11", "U40")
async def test_the_request_and_response_blocks_run(provider: FakeProvider) -> None:
    provider.script(Answer('{"greeting": "hi"}'))
    request: LLMRequest = load("request").request
    async with LLMRing() as service:
        response: LLMResponse = await load("response").block(service, request)
    assert (response.content, response.parsed) == ('{"greeting": "hi"}', {"greeting": "hi"})
    assert (response.finish_reason, response.tool_calls) == ("stop", None)
    assert response.model == "gpt-6-luna"
    assert json.loads(json.dumps(response.usage))["total_tokens"] > 0
    (received,) = provider.received
    assert received.body is not None
    assert (received.body["temperature"], received.body["tool_choice"]) == (0.7, "auto")
    # OpenAI is asked to hold the model to the tool's schema, which says more than the block does.
    strict: dict[str, Any] = {"required": [], "additionalProperties": False}
    function = TOOL["function"]
    parameters = function["parameters"] | strict
    assert received.body["tools"] == [{**TOOL, "function": {**function, "parameters": parameters, "strict": True}}]
    assert received.body["response_format"] == {"type": "json_object"}
    assert received.body["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.spec("U34")
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("ProviderAuthenticationError", 401),
        ("ProviderRateLimitError", 429),
        ("ModelNotFoundError", 404),
        ("ProviderResponseError", 500),
    ],
)
async def test_the_errors_block_names_what_is_raised(name: str, status: int, provider: FakeProvider) -> None:
    provider.script(Fault.status(status))
    async with LLMRing() as service:
        with pytest.raises(getattr(load("errors"), name)):
            await service.chat(LLMRequest(model="openai:gpt-6-luna", messages="hi"))


@pytest.mark.spec("U34")
async def test_the_errors_block_names_a_request_that_took_too_long(provider: FakeProvider) -> None:
    provider.script(Fault.hang())
    async with LLMRing() as service:
        with pytest.raises(load("errors").ProviderTimeoutError):
            await service.chat(LLMRequest(model="openai:gpt-6-luna", messages="hi", timeout=0.05))


def test_the_alias_cache_block_runs() -> None:
    assert isinstance(load("alias_cache").service, LLMRing)


async def test_the_file_utilities_block_runs(
    provider: FakeProvider, clean_environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clean_environment / "screenshot.png").write_bytes(PNG)
    provider.script(Answer("a red rectangle"))
    await load("file_utilities").block()
    assert capsys.readouterr().out == "a red rectangle\n"
    assert provider.received[0].body is not None
    text, image = provider.received[0].body["messages"][0]["content"]
    assert text == {"type": "text", "text": "What's in this image?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")


# Conversations have no store in this version: their blocks load, and say so where they are run.


@pytest.mark.parametrize("name", ["extended", "manager"])
def test_a_conversation_block_says_that_there_is_no_store(name: str) -> None:
    with pytest.raises(ConfigurationError, match="enable_conversations=True"):
        load(name)


@pytest.mark.parametrize(("name", "function"), [("extended_example", "block"), ("manager_example", "chat_session")])
async def test_a_conversation_example_loads_and_says_that_there_is_no_store(name: str, function: str) -> None:
    run: Callable[[], Any] = getattr(load(name), function)
    with pytest.raises(ConfigurationError, match="enable_conversations=True"):
        await run()
