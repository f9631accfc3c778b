"""Vendors' own listings, asked through their SDKs over a real socket; the rows are as the vendors' references show them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from llmring import LLMRing, ProviderOptions
from llmring.exceptions import ProviderAuthenticationError, ProviderError, ProviderTimeoutError
from llmring.registry.parse import FactValue
from llmring.registry.sources.base import Identity, Reading
from llmring.registry.sources.listing import VendorListing
from llmring.testing.http_server import HTTPServer, Request, Signal, plain

TODAY = "2026-11-21"
YES, NO = {"supported": True}, {"supported": False}

# https://platform.openai.com/docs/api-reference/models/list and the SDK's Model (openai 3.52.0)
OPENAI = {
    "object": "list",
    "data": [
        {"id": "gpt-old", "object": "model", "created": 1, "owned_by": "openai", "shutdown_date": "2026-12-11"},
        {"id": "whisper-1", "object": "model", "created": 1, "owned_by": "openai"},
    ],
}
# https://platform.claude.com/docs/en/api/models/list and the SDK's ModelInfo (anthropic 2.11.0)
ANTHROPIC: dict[str, Any] = {
    "data": [
        {
            "id": "claude-tiny",
            "type": "model",
            "display_name": "Tiny",
            "created_at": "2026-01-01T00:00:00Z",
            "lifecycle": "deprecated",
            "deprecated_at": "2026-09-30T00:00:00Z",
            "retires_at": "2026-11-30T00:00:00Z",
            "max_input_tokens": 200000,
            "max_tokens": 64000,
            "capabilities": {
                "batch": YES,
                "citations": YES,
                "code_execution": NO,
                "context_management": YES,
                "effort": {"supported": True, "low": YES, "medium": YES, "high": YES, "max": YES, "xhigh": NO},
                "image_input": YES,
                "pdf_input": NO,
                "server_tools": {"supported": True, "web_search": YES, "code_execution": NO},
                "structured_outputs": YES,
                "thinking": {
                    "supported": True,
                    "types": {"adaptive": YES, "between_tools": NO, "disabled": YES, "enabled": NO},
                },
            },
        }
    ],
    "has_more": False,
    "first_id": "claude-tiny",
    "last_id": "claude-tiny",
}
# https://ai.google.dev/api/models
GOOGLE = {
    "models": [
        {
            "name": "models/gemini-tiny",
            "version": "001",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": True,
        },
        {"name": "models/gemini-vectors", "inputTokenLimit": 2048, "supportedGenerationMethods": ["embedContent"]},
    ]
}
# https://openrouter.ai/docs/models and https://openrouter.ai/docs/client-sdks/typescript/models/model
OPENROUTER = {
    "data": [
        {
            "id": "acme/tiny",
            "canonical_slug": "acme/tiny-20260101",
            "created": 1767225600,
            "context_length": 200000,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0.00000025", "completion": "1.5e-6", "request": "0", "input_cache_read": "-1"},
            "top_provider": {"max_completion_tokens": 64000, "is_moderated": False},
            "supported_parameters": ["tools", "max_tokens"],
            "expiration_date": "2027-02-01",
        },
        {"id": "~acme/tiny-latest", "alias_target": {"name": "Tiny", "slug": "acme/tiny"}, "pricing": {"prompt": "0"}},
    ],
}
# What Anthropic answers an alias with: https://platform.claude.com/docs/en/api/models/retrieve
ALIASES = {"claude-latest": "claude-tiny"}
# https://docs.ollama.com/api/tags and https://docs.ollama.com/api/show
OLLAMA_TAGS = {"models": [{"name": "tiny:1b", "model": "tiny:1b"}, {"name": "vectors", "model": "vectors"}]}
OLLAMA_SHOW = {
    "tiny:1b": {
        "capabilities": ["completion", "tools", "thinking"],
        "model_info": {"general.architecture": "tiny", "tiny.context_length": 40960, "tiny.embedding_length": 2048},
    },
    "vectors": {
        "capabilities": ["embedding"],
        "model_info": {"general.architecture": "bert", "bert.context_length": 2048, "bert.embedding_length": 768},
    },
}


class Vendors:
    """All of them, on one port."""

    def __init__(self) -> None:
        self.refuses = False
        self.holds = False
        self.body: bytes | None = None
        self.pages: dict[str, Any] = {}

    def answer(self, request: Request) -> list[bytes | Signal]:
        path = request.target.partition("?")[0]
        if self.holds:
            return [Signal.HOLD]
        if self.body is not None:
            return [plain(200, {"Content-Type": "application/json"}, self.body)]
        if request.target in self.pages:
            path = request.target
        if self.refuses:
            return [plain(401, {"Content-Type": "application/json"}, b'{"error": {"message": "no such key"}}')]
        if path in self.pages:
            found: Any = self.pages[path]
        elif path == "/v1/models":
            found = ANTHROPIC if "anthropic-version" in request.headers else OPENAI
        elif path.startswith("/v1/models/") and path[11:] in ALIASES:
            found = {**ANTHROPIC["data"][0], "id": ALIASES[path[11:]]}
        elif path.startswith("/v1/models/"):
            return [plain(404, {"Content-Type": "application/json"}, b'{"error": {"type": "not_found_error"}}')]
        elif path == "/api/v1/models":
            found = OPENROUTER
        elif path == "/v1beta/models":
            found = GOOGLE
        elif path == "/api/tags":
            found = OLLAMA_TAGS
        else:
            found = OLLAMA_SHOW[json.loads(request.body)["model"]]
        return [plain(200, {"Content-Type": "application/json"}, json.dumps(found).encode())]


@pytest.fixture
def vendors() -> Vendors:
    return Vendors()


@pytest.fixture
async def listing(vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[VendorListing]:
    async with AsyncExitStack() as stack:
        server = HTTPServer(vendors.answer)
        await server.start()
        stack.push_async_callback(server.close)
        url = f"http://127.0.0.1:{server.port}"
        paths = {"OPENAI": "/v1", "ANTHROPIC": "", "GOOGLE_GEMINI": "", "OLLAMA": ""}
        for name, path in paths.items():
            monkeypatch.setenv(f"{name}_BASE_URL", url + path)
        monkeypatch.setenv("OLLAMA_HOST", url)
        for name in ("OPENAI", "ANTHROPIC", "GEMINI", "OPENROUTER"):
            monkeypatch.setenv(f"{name}_API_KEY", "sk-test-0123456789abcdefghij")
        # It has no variable for its address.
        routed = ProviderOptions(base_url=f"{url}/api/v1", like="openrouter", key_variable="OPENROUTER_API_KEY")
        ring = await stack.enter_async_context(LLMRing(origin="test", providers={"openrouter": routed}))
        yield VendorListing(ring.get_provider)


SAID: list[tuple[str, Mapping[str, Mapping[str, FactValue]]]] = [
    ("openai", {"gpt-old": {"retires": "2026-12-11", "retires_kind": "firm"}, "whisper-1": {}}),
    (
        "anthropic",
        {
            "claude-tiny": {
                "category": "chat",
                "lifecycle": "deprecated",
                "deprecated": "2026-09-30",
                "retires": "2026-11-30",
                "max_input": 200000,
                "max_output": 64000,
                "caps.vision": True,
                "caps.pdf": False,
                "caps.json_schema": True,
                "caps.reasoning": True,
                "caps.web_search": True,
                "reasoning_efforts": ("low", "medium", "high", "max"),
            }
        },
    ),
    (
        "google",
        {
            "gemini-tiny": {"category": "chat", "max_input": 1048576, "max_output": 65536, "caps.reasoning": True},
            "gemini-vectors": {"category": "embedding", "max_input": 2048},
        },
    ),
    (
        "openrouter",
        {
            "acme/tiny": {
                "category": "chat",
                "context_window": 200000,
                "max_output": 64000,
                "retires": "2027-02-01",
                "caps.vision": True,
                "caps.pdf": False,
                "caps.audio": False,
                "caps.video": False,
                "caps.tools": True,
                "caps.tool_choice": False,
                "caps.json_schema": False,
                "caps.reasoning": False,
                "price.input": "0.25",
                "price.output": "1.5",
            },
            "~acme/tiny-latest": {"pin": "pointer", "points_to": "acme/tiny"},
        },
    ),
    (
        "ollama",
        {
            "tiny:1b": {
                "category": "chat",
                "caps.tools": True,
                "caps.vision": False,
                "caps.reasoning": True,
                "caps.audio": False,
                "context_window": 40960,
            },
            "vectors": {
                "category": "embedding",
                "caps.tools": False,
                "caps.vision": False,
                "caps.reasoning": False,
                "caps.audio": False,
                "context_window": 2048,
                "dimensions": 768,
            },
        },
    ),
]


@pytest.mark.spec("P01")
@pytest.mark.parametrize(("provider", "said"), SAID, ids=[name for name, _ in SAID])
async def test_a_listing_gives_the_facts_that_it_states(
    listing: VendorListing, provider: str, said: Mapping[str, Mapping[str, FactValue]]
) -> None:
    reading = await listing.read(provider, TODAY)
    assert isinstance(reading, Reading)
    assert reading.models == said
    assert (reading.dated, reading.said_by.date) == (True, TODAY)
    assert reading.names_models == (provider == "anthropic")


@pytest.mark.spec("V13")
async def test_a_listing_says_which_model_a_name_is(listing: VendorListing, vendors: Vendors) -> None:
    digest = "a" * 64
    rows = [
        {"name": "tiny:1b", "digest": digest, "size": 10**9, "details": {"parent_model": ""}},
        {"name": "ours", "digest": digest, "size": 10**9, "details": {"parent_model": "tiny:1b"}},
        {"name": "large:120b-cloud", "digest": digest, "size": 384},
        {"name": "stub", "digest": digest, "size": 384},
        {"name": "odd", "digest": "../../etc", "size": 10**9},
    ]
    vendors.pages["/api/tags"] = {"models": [row | {"model": row["name"]} for row in rows]}
    vendors.pages["/api/show"] = OLLAMA_SHOW["tiny:1b"]
    reading = await listing.read("ollama", TODAY)
    assert reading is not None
    whole = f"sha256:{digest}"
    assert reading.identities == {
        "tiny:1b": Identity(whole),
        "ours": Identity(whole, created=True),
        "large:120b-cloud": Identity(whole, remote=True),
        "stub": Identity(whole, remote=True),
        "odd": Identity(),
    }
    openai, anthropic = await listing.read("openai", TODAY), await listing.read("anthropic", TODAY)
    assert openai is not None
    assert anthropic is not None
    assert openai.identities["gpt-old"].released == "1970-01-01"
    assert anthropic.identities["claude-tiny"].released == "2026-01-01"


async def test_a_refused_key_is_an_error_of_ours_without_the_key(listing: VendorListing, vendors: Vendors) -> None:
    vendors.refuses = True
    with pytest.raises(ProviderAuthenticationError) as caught:
        await listing.read("openai", TODAY)
    assert "listing models" in str(caught.value)
    assert "sk-test" not in repr(caught.value)


async def test_a_listing_without_end_is_refused(listing: VendorListing, vendors: Vendors) -> None:
    row: dict[str, Any] = {"object": "model", "created": 1, "owned_by": "o"}
    vendors.pages["/v1/models"] = {"object": "list", "data": [row | {"id": f"m{number}"} for number in range(2001)]}
    with pytest.raises(ProviderError, match="more than 2,000"):
        await listing.read("openai", TODAY)


async def test_every_page_of_openrouters_listing_is_read(listing: VendorListing, vendors: Vendors) -> None:
    vendors.pages["/api/v1/models"] = {"data": [{"id": "acme/one"}], "links": {"next": "/api/v1/models?offset=1"}}
    vendors.pages["/api/v1/models?offset=1"] = {"data": [{"id": "acme/two"}], "links": {"next": None}}
    reading = await listing.read("openrouter", TODAY)
    assert reading is not None
    assert list(reading.models) == ["acme/one", "acme/two"]


async def test_an_alias_of_anthropics_is_answered_with_the_id_of_what_it_means(listing: VendorListing) -> None:
    assert await listing.resolve("anthropic", "claude-latest") == "claude-tiny"
    assert await listing.resolve("anthropic", "claude-typo") is None
    assert await listing.resolve("openai", "claude-latest") is None


async def test_a_listing_that_does_not_come_is_not_waited_for(
    listing: VendorListing, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmring.providers.control.listing._TOTAL_S", 0.02)
    vendors.holds = True
    for provider in ("openai", "anthropic", "google", "openrouter", "ollama"):
        with pytest.raises(ProviderTimeoutError, match="listing models: no answer in time"):
            await listing.read(provider, TODAY)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"<html>", b'{"data": 3}', b'{"data": [null, 3, {"id": 7}]}', b"[" * 100_000]
)
async def test_a_listing_that_is_none_names_no_model(
    listing: VendorListing, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    # One that says of each page that there is another is left after a while.
    monkeypatch.setattr("llmring.providers.control.listing._TOTAL_S", 0.3)
    vendors.body = body
    for provider in ("openai", "anthropic", "google", "openrouter", "ollama"):
        try:
            reading = await listing.read(provider, TODAY)
        except ProviderError:
            continue
        assert reading is not None
        assert reading.models == {}, provider


async def test_names_that_are_none_are_left_out(listing: VendorListing, vendors: Vendors) -> None:
    names = ["ok", "", "two words", "b\x00", "\u202eevil", "x" * 300]
    row: dict[str, Any] = {"object": "model", "created": 1, "owned_by": "o"}
    vendors.pages["/v1/models"] = {"object": "list", "data": [row | {"id": name} for name in names]}
    reading = await listing.read("openai", TODAY)
    assert reading is not None
    assert list(reading.models) == ["ok"]


async def test_a_provider_that_is_no_vendor_with_a_listing_gives_nothing(listing: VendorListing) -> None:
    assert await listing.read("groq", TODAY) is None
