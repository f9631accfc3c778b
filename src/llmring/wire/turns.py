"""Messages as every dialect reads them: an assistant's parts and calls in one order, system texts apart from the rest."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from llmring.schemas.messages import FilePart, ImagePart, Message, ProviderPart, TextPart, ThinkingPart, ToolUsePart
from llmring.schemas.tools import ToolCall
from llmring.wire.handover import HANDOVER

AssistantItem: TypeAlias = TextPart | ImagePart | FilePart | ThinkingPart | ProviderPart | ToolCall


def assistant_items(message: Message, dialect: str) -> tuple[list[AssistantItem], bool]:
    """What an assistant's message holds, in order, with each call once; and whether something was left out: what another dialect's
    model thought, blocks of other dialects, and, where HANDOVER says so, thinking that nobody sealed.

    A call that stands both among the parts and in `tool_calls` keeps the part's place and the latter's words.
    """
    takes = HANDOVER[dialect]
    calls: dict[str, list[ToolCall]] = {}  # an id is no proof: some servers give the same to several calls
    for call in message.tool_calls or ():
        calls.setdefault(call.id, []).append(call)
    placed: set[int] = set()
    items: list[AssistantItem] = []
    left_out = False
    content = message.content
    for part in [TextPart(text=content)] if isinstance(content, str) and content else content or ():
        match part:
            case ToolUsePart():
                same = calls.get(part.id)
                call = same.pop(0) if same else None
                placed.add(id(call))
                if call is None:
                    call = ToolCall(part.id, part.name, part.arguments, signature=part.signature)
                items.append(call)
            case ThinkingPart():
                foreign = part.dialect not in (None, dialect)
                unsealed = not (part.signature or part.id)
                if (foreign and takes.thinking == "dropped") or (unsealed and takes.unsealed == "dropped"):
                    left_out = True
                else:
                    items.append(part)
            case ProviderPart():
                if part.dialect != dialect and takes.blocks == "dropped":
                    left_out = True
                else:
                    items.append(part)
            case TextPart() | ImagePart() | FilePart():
                items.append(part)
            case _:
                left_out = True  # a tool's result has no place here
    return items + [call for call in message.tool_calls or () if id(call) not in placed], left_out


_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NOT_IN_CALL_ID: Final = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)


class CallIds:
    """Ids of calls and their results for vendors that are strict about them: of letters, digits, _ and -, no longer than 64
    characters, each once in a conversation. An id that is so already stays as it is.

    Other vendors' are not: Kimi's read `functions.NAME:0`, and servers that give none get the same ones in each answer.
    """

    __slots__ = ("_answered", "_times", "_used", "_waiting")

    def __init__(self) -> None:
        self._times: dict[str, int] = {}
        self._used: set[str] = set()
        self._waiting: dict[str, list[str]] = {}
        self._answered: dict[str, str] = {}

    def begin(self) -> None:
        """Another message of the assistant: results that follow are of its calls."""
        self._waiting.clear()

    def of_call(self, id: str) -> str:
        times = self._times.get(id, 0) + 1
        written = _fit_call_id(id if times == 1 else f"{id}_{times}")
        while written in self._used:
            times += 1
            written = _fit_call_id(f"{id}_{times}")
        self._times[id] = times
        self._used.add(written)
        self._waiting.setdefault(id, []).append(written)
        return written

    def of_result(self, id: str) -> str:
        waiting = self._waiting.get(id)
        if waiting:
            self._answered[id] = waiting.pop(0)
        return self._answered.get(id) or _fit_call_id(id)


def fits_call_ids(id: str) -> bool:
    """Whether a strict vendor takes this id as it is."""
    return _CALL_ID.fullmatch(id) is not None


def _fit_call_id(id: str) -> str:
    if fits_call_ids(id):
        return id
    import hashlib  # few ever need it

    # The hash keeps ids apart that differ in what is taken away.
    return f"{_NOT_IN_CALL_ID.sub('_', id)[:51]}_{hashlib.sha256(id.encode(errors='replace')).hexdigest()[:12]}"
