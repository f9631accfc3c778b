"""The server's side of each dialect that the fake provider speaks. The request's path says which one it is."""

from __future__ import annotations

from llmring.testing.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from llmring.testing.dialects.base import Endpoint, ServerDialect
from llmring.testing.dialects.cohere_embed import COHERE_EMBED
from llmring.testing.dialects.gemini_generate import GEMINI_GENERATE
from llmring.testing.dialects.ollama_chat import OLLAMA_CHAT
from llmring.testing.dialects.openai_chat import OPENAI_CHAT
from llmring.testing.dialects.openai_responses import OPENAI_RESPONSES

# Asked in this order: model listings of several dialects look alike, and a bare `/models` is OpenAI's.
SERVER_DIALECTS: tuple[ServerDialect, ...] = (
    GEMINI_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    COHERE_EMBED,
    ANTHROPIC_MESSAGES,
    OLLAMA_CHAT,
)


def find_dialect(method: str, path: str) -> tuple[ServerDialect, Endpoint] | None:
    """The dialect that is spoken at this path, and what is asked for there; None where none is."""
    for dialect in SERVER_DIALECTS:
        endpoint = dialect.endpoint(method, path)
        if endpoint is not None:
            return dialect, endpoint
    return None
