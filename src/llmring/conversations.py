"""The place of conversations: the names that applications import. Storing and syncing them is not part of this version, and
everything here says so instead of pretending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from llmring.exceptions import ConfigurationError

if TYPE_CHECKING:
    from llmring.schemas.messages import MessageInput
    from llmring.schemas.response import LLMResponse


def conversations_are_off() -> ConfigurationError:
    """What every conversation method raises while conversations are off."""
    return ConfigurationError(
        "conversations are off: this LLMRingExtended has enable_conversations=False",
        hint="this version of llmring stores no conversations; keep the messages yourself and call chat()",
    )


class ConversationManager:
    """Helps with one conversation at a time over an `LLMRingExtended`.

    Every method raises ConfigurationError while the service has enable_conversations=False.
    """

    def __init__(self, service: object) -> None:
        self.service = service

    async def start_conversation(
        self, title: str | None = None, system_prompt: str | None = None, model_alias: str | None = None
    ) -> UUID:
        raise conversations_are_off()

    async def send_message(
        self,
        content: MessageInput,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> LLMResponse:
        raise conversations_are_off()

    async def load_conversation(self, conversation_id: UUID) -> bool:
        raise conversations_are_off()

    def clear_history(self) -> None:
        raise conversations_are_off()

    def get_history(self) -> list[dict[str, Any]]:
        raise conversations_are_off()
