"""`LLMRingExtended`: an LLMRing whose conversations are kept. This version keeps none and refuses to be asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from llmring.conversations import conversations_are_off
from llmring.exceptions import ConfigurationError
from llmring.secret import Secret
from llmring.service import LLMRing

if TYPE_CHECKING:
    from llmring.schemas.request import LLMRequest
    from llmring.schemas.response import LLMResponse


class LLMRingExtended(LLMRing):
    """An LLMRing with the conversation methods' names. With enable_conversations=False it is an LLMRing, and these methods raise
    ConfigurationError; enable_conversations=True raises it at once, because no store exists in this version.

    server_url, api_key: the llmring server and its key; nothing is ever sent to a default host.
    message_logging_level: what such a store keeps of a message: none, metadata or full.
    """

    def __init__(
        self,
        origin: str = "llmring",
        registry_url: str | None = None,
        lockfile_path: str | Path | None = None,
        *,
        server_url: str | None = None,
        api_key: str | Secret | None = None,
        enable_conversations: bool = False,
        message_logging_level: Literal["none", "metadata", "full"] = "full",
    ) -> None:
        if message_logging_level not in ("none", "metadata", "full"):
            raise ConfigurationError("message_logging_level must be none, metadata or full")
        if enable_conversations:
            raise ConfigurationError(
                "enable_conversations=True: this version of llmring has no conversation store",
                hint="leave it False, keep the messages yourself and call chat()",
            )
        super().__init__(origin, registry_url, lockfile_path)
        self.server_url = server_url

    async def create_conversation(
        self,
        title: str | None = None,
        system_prompt: str | None = None,
        model_alias: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> UUID:
        raise conversations_are_off()

    async def chat_with_conversation(
        self,
        request: LLMRequest,
        conversation_id: UUID,
        store_messages: bool = True,
        profile: str | None = None,
    ) -> LLMResponse:
        raise conversations_are_off()

    async def get_conversation_history(self, conversation_id: UUID, limit: int = 100) -> dict[str, Any]:
        raise conversations_are_off()

    async def list_conversations(self, limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
        raise conversations_are_off()
