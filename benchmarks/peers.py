"""Everybody who is measured beside llmring. Imports nothing of theirs: each runs in an environment of its own."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import environments
from benchmarks.processes import Contestant


@dataclass(frozen=True, slots=True)
class Peer:
    """label: as tables say it. contestant: the module of `contestants/`. environment: the list in `environments/`. imports: what
    a program imports that uses it. calls, streams: how many take about half a second; no streams: it has none to measure."""

    label: str
    contestant: str
    environment: str
    imports: str
    calls: int
    streams: int
    dialect: str = "openai_chat"

    def open(self, base_url: str) -> Contestant:
        python = environments.python_of(self.environment)
        return Contestant(self.contestant, base_url, self.dialect, python=python)


OPENAI = Peer("openai SDK", "openai_sdk", "openai", "from openai import AsyncOpenAI", 256, 8)

PEERS = (
    OPENAI,
    Peer(
        "anthropic SDK",
        "anthropic_sdk",
        "anthropic",
        "from anthropic import AsyncAnthropic",
        256,
        16,
        "anthropic_messages",
    ),
    Peer(
        "google-genai SDK", "google_sdk", "google_genai", "from google.genai import Client", 256, 4, "gemini_generate"
    ),
    Peer("ollama SDK", "ollama_sdk", "ollama", "from ollama import AsyncClient", 128, 16, "ollama_chat"),
    Peer(
        "litellm",
        "litellm_call",
        "litellm",
        "import os; os.environ['LITELLM_LOCAL_MODEL_COST_MAP'] = 'True'\nfrom litellm import acompletion",
        128,
        4,
    ),
    Peer("any-llm", "any_llm_call", "any_llm", "from any_llm import AnyLLM", 128, 4),
    Peer("lm-deluge", "lm_deluge_batch", "lm_deluge", "from lm_deluge import LLMClient", 1024, 0),
    Peer(
        "pydantic-ai",
        "pydantic_ai_agent",
        "pydantic_ai",
        "from pydantic_ai import Agent\nfrom pydantic_ai.models.openai import OpenAIChatModel",
        64,
        4,
    ),
)
