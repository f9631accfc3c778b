"""A conversation on the command line, and the one file in which the last of them is kept: readable by its user alone, bounded,
replaced as a whole. It holds what was asked and answered in plain text.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from llmring import env
from llmring.cli.failures import CommandError
from llmring.regular_file import read_regular_file, replace_file
from llmring.schemas.messages import Message
from llmring.schemas.request import LLMRequest

if TYPE_CHECKING:
    from llmring.schemas.parts import Part
    from llmring.schemas.response import LLMResponse

MAX_SAVED_BYTES: Final = 16 * 1024 * 1024  # guess: some images
_SCHEMA: Final = 1


@dataclass
class Conversation:
    """model: whom to ask, an alias or provider:model. messages: what both sides said, without the system prompt."""

    model: str
    system: str | None = None
    messages: list[Message] = field(default_factory=list[Message])
    temperature: float | None = None
    max_tokens: int | None = None

    def request(self, message: Message) -> LLMRequest:
        """The request that says `message` next. The conversation does not change."""
        first = [] if self.system is None else [Message.system(self.system)]
        return LLMRequest(
            model=self.model,
            messages=[*first, *self.messages, message],
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )

    def add(self, message: Message, response: LLMResponse) -> None:
        """Keeps a question and its answer; neither where there was no answer, which providers would not take back."""
        answer = response.to_message()
        if answer.content or answer.tool_calls:
            self.messages += [message, answer]


def user_message(text: str, attachments: list[Part]) -> Message:
    """Text, behind what is attached."""
    from llmring.schemas.parts import TextPart

    # What neither terminal nor command line could decode cannot be sent either.
    text = text.encode("utf-8", "replace").decode()
    if not attachments:
        return Message.user(text)
    return Message.user([*attachments, TextPart(text=text)] if text.strip() else attachments)


def saved_path() -> Path | None:
    """Where the last conversation is kept; None where there is no home."""
    home = env.get(env.XDG_STATE_HOME)
    if home is not None and os.path.isabs(home):
        return Path(home) / "llmring" / "conversation.json"
    return Path.home() / ".local" / "state" / "llmring" / "conversation.json" if env.get(env.HOME) else None


def save(conversation: Conversation) -> str | None:
    """Keeps it in place of the one before. Returns why not, where it cannot be kept."""
    path = saved_path()
    if path is None:
        return "there is no home folder"
    kept = {
        "schema": _SCHEMA,
        "model": conversation.model,
        "system": conversation.system,
        "messages": [message.to_dict() for message in conversation.messages],
    }
    data = json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace")
    if len(data) > MAX_SAVED_BYTES:
        return f"it is larger than {MAX_SAVED_BYTES} bytes"
    try:
        replace_file(path, data)
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return None


def load() -> Conversation:
    """The conversation that was kept last. Raises CommandError where there is none, or it cannot be read."""
    path = saved_path()
    try:
        if path is None:
            raise FileNotFoundError
        data, _ = read_regular_file(path, MAX_SAVED_BYTES + 1)
        if len(data) > MAX_SAVED_BYTES:
            raise ValueError("too large")
        kept: Any = json.loads(data)
        if not isinstance(kept, dict) or cast("dict[str, Any]", kept).get("schema") != _SCHEMA:
            raise ValueError("another schema")
        fields = cast("dict[str, Any]", kept)
        model, system = fields["model"], fields.get("system")
        if not isinstance(model, str) or not isinstance(system, str | None):
            raise ValueError("wrong types")
        # pydantic's ValidationError is a ValueError.
        messages = [Message.from_dict(message) for message in fields["messages"]]
    except (FileNotFoundError, NotADirectoryError):
        raise CommandError(
            "no conversation is kept", hint="chat in the loop, or with --save, and go on with --continue"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise CommandError(f"{path} is no conversation that llmring can read", hint="remove the file") from None
    return Conversation(model, system, messages)
