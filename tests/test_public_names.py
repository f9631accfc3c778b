"""What `import llmring` offers, and what it leaves alone until it is asked for."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import llmring
from llmring import exceptions, schemas


def in_a_fresh_python(script: str) -> str:
    done = subprocess.run([sys.executable, "-I", "-B", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_after(statement: str) -> set[str]:
    return set(json.loads(in_a_fresh_python(f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))")))


@pytest.mark.spec("U34")
def test_the_public_names_are_these() -> None:
    # A snapshot: whatever is added or removed here is a promise made or broken.
    assert sorted(llmring.__all__) == PUBLIC


@pytest.mark.spec("U34")
@pytest.mark.parametrize("name", sorted(llmring.__all__))
def test_every_public_name_loads_and_is_listed(name: str) -> None:
    value = getattr(llmring, name)
    assert value is not None
    assert name in dir(llmring)
    assert getattr(llmring, name) is value


@pytest.mark.spec("U34")
def test_a_name_that_is_none_of_ours_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'llmring' has no attribute 'LLMBell'"):
        llmring.LLMBell  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with pytest.raises(ImportError):
        exec("from llmring import LLMBell")


@pytest.mark.spec("U34")
def test_type_checkers_are_told_the_same_names_from_the_same_places() -> None:
    told: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(llmring))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                told |= {alias.name: line.module or "" for alias in line.names}
    assert sorted(told) == [name for name in PUBLIC if name != "__version__"]
    for name, module in told.items():
        assert getattr(importlib.import_module(module), name) is getattr(llmring, name)


@pytest.mark.spec("U34")
def test_every_exception_that_an_application_can_meet_is_public() -> None:
    named = {
        name
        for name, kind in vars(exceptions).items()
        if isinstance(kind, type) and issubclass(kind, exceptions.LLMRingError) and name[0] != "_"
    }
    assert named - {"LiveRequestError"} <= set(llmring.__all__)  # raised by `no_live_requests` in tests


@pytest.mark.spec("U34", "E29")
def test_schemas_can_be_imported_from_their_package_and_are_the_same() -> None:
    for name in schemas.__all__:
        assert getattr(schemas, name) is getattr(llmring, name)


# What an import costs


def test_importing_llmring_loads_nothing_but_itself() -> None:
    loaded = modules_after("import llmring")
    assert not loaded & {"pydantic", "pydantic_core", "aiohttp", "orjson", "httpx", "asyncio", "cachetools"}
    assert {name for name in loaded if name.startswith("llmring.")} == {"llmring.lazy"}


def test_the_service_loads_no_vendor_package_no_cli_no_server_and_no_telemetry() -> None:
    loaded = modules_after("from llmring import LLMRing")
    roots = {name.partition(".")[0] for name in loaded}
    assert "pydantic" in roots
    assert not roots & {"openai", "anthropic", "ollama", "google", "httpx", "click", "rich", "opentelemetry", "fastapi"}
    assert not {name for name in loaded if name.startswith(("llmring.cli", "llmring.server", "llmring.testing"))}


def test_a_ring_that_is_constructed_and_closed_loads_no_vendor_package() -> None:
    loaded = modules_after("import asyncio\nfrom llmring import LLMRing\nasyncio.run(LLMRing().close())")
    assert not {name.partition(".")[0] for name in loaded} & {
        "openai",
        "anthropic",
        "ollama",
        "google",
        "opentelemetry",
    }


AUDIT = """
import json, sys
opened = []
def watch(event, arguments):
    if event in ("open", "os.listdir", "os.scandir", "socket.connect", "subprocess.Popen"):
        opened.append([event, str(arguments[0])])
sys.addaudithook(watch)
{statement}
print(json.dumps(opened))
"""


@pytest.mark.spec("A20")
@pytest.mark.parametrize(
    "statement",
    ["import llmring", "from llmring import LLMRing", "from llmring import LLMRequest, LLMRingExtended, analyze_image"],
)
def test_an_import_reads_no_file_but_pythons_own(statement: str, clean_environment: Path) -> None:
    (clean_environment / ".env").write_text("OPENAI_API_KEY=never-read")
    (clean_environment / "llmring.lock").write_text("never read")
    opened: list[list[str]] = json.loads(in_a_fresh_python(AUDIT.format(statement=statement)))
    assert opened, "the hook hears nothing"
    code = (".py", ".pyc", ".so", ".pyd")
    # Finders list the folders of sys.path, importlib.metadata reads entry points; neither is a file of the user's.
    foreign = [
        (event, name)
        for event, name in opened
        if not (event == "open" and name.removesuffix("'").endswith(code))
        and not (event in ("os.listdir", "os.scandir") and _is_pythons_own(name))
        and not (event == "open" and _is_pythons_own(name))
    ]
    assert foreign == []


@pytest.mark.spec("A20")
def test_an_import_leaves_the_environment_as_it_is(clean_environment: Path) -> None:
    (clean_environment / ".env").write_text("OPENAI_API_KEY=never-read")
    script = "import os\nbefore = dict(os.environ)\nfrom llmring import LLMRing\nprint(before == dict(os.environ))"
    assert in_a_fresh_python(script) == "True\n"


def _is_pythons_own(name: str) -> bool:
    """Below the interpreter, its packages, or llmring's own sources: never below the current folder or HOME."""
    roots = {
        sys.prefix,
        sys.base_prefix,
        str(Path(inspect.getfile(llmring)).parent.parent),
        "/usr/lib",
        "/usr/share/zoneinfo",
    }
    return any(name.startswith(root) for root in roots)


PUBLIC = [
    "ANTHROPIC_AVAILABLE",
    "AliasNotFoundError",
    "AnthropicOptions",
    "AnthropicProvider",
    "AttemptRecord",
    "BaseLLMProvider",
    "BreakerPolicy",
    "ChatStream",
    "CircuitBreakerError",
    "Citation",
    "CohereEmbeddingOptions",
    "ComputerUse",
    "ConfigurationError",
    "ContextCheck",
    "ContextLengthError",
    "ConversationManager",
    "CustomProvider",
    "DeadlineExceededError",
    "DigestMismatchError",
    "EmbeddingOptions",
    "EmbeddingResponse",
    "File",
    "FilePart",
    "FileUploadStrategy",
    "GOOGLE_AVAILABLE",
    "GoogleOptions",
    "GoogleProvider",
    "Health",
    "Image",
    "ImagePart",
    "InvalidRequestError",
    "LLMRequest",
    "LLMResponse",
    "LLMRing",
    "LLMRingError",
    "LLMRingExtended",
    "LMStudioOptions",
    "LMStudioProvider",
    "LM_DELUGE",
    "LockfileError",
    "LockfileVersionError",
    "MalformedResponseError",
    "Message",
    "MessageInput",
    "MissingCredentialError",
    "ModelDriftError",
    "ModelInfo",
    "ModelInfoNotFoundError",
    "ModelNotFoundError",
    "ModelRef",
    "NotSupportedError",
    "OLLAMA_AVAILABLE",
    "OPENAI_AVAILABLE",
    "OllamaOptions",
    "OllamaProvider",
    "OpenAIOptions",
    "OpenAIProvider",
    "PackageLockError",
    "Part",
    "ProfileNotFoundError",
    "Provider",
    "ProviderAuthenticationError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderNotFoundError",
    "ProviderOptions",
    "ProviderRateLimitError",
    "ProviderResponseError",
    "ProviderTimeoutError",
    "ProviderUnreachableError",
    "QuotaExhaustedError",
    "RateLimiter",
    "RateLimits",
    "RegistryError",
    "RegistryRollbackError",
    "RegistryState",
    "RequestOptions",
    "RerankResponse",
    "ResponseTimeoutError",
    "ResponseTooLargeError",
    "RetryPolicy",
    "Role",
    "SamplingParams",
    "SchemaConversionError",
    "SchemaValidationError",
    "ServiceClosedError",
    "SharedLimits",
    "StandaloneProvider",
    "StreamChunk",
    "StreamEventType",
    "StreamInterruptedError",
    "TextPart",
    "ThinkingPart",
    "Timeouts",
    "Timing",
    "TokenBucket",
    "TokenCount",
    "ToolCall",
    "ToolExecutionError",
    "ToolOutputPart",
    "ToolUsePart",
    "Transition",
    "UnsafeURLError",
    "UploadedFile",
    "Usage",
    "__version__",
    "analyze_image",
    "compare_images",
    "content_to_dicts",
    "create_base64_image_content",
    "create_data_url",
    "create_image_content",
    "create_multi_image_content",
    "encode_file_to_base64",
    "estimate_tokens",
    "extract_text_from_image",
    "get_file_mime_type",
    "normalize_messages",
    "validate_image_file",
]
