"""What becomes of a conversation that moves from one model to another: what each dialect makes of what another has left in it.

One table for two readers. The encoders and the calls do by it what has to be done when a call falls over; `llmring lock check` tells
beforehand what a pool would lose. `tests/wire/test_handover.py` holds the encoders to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from llmring.wire.base import Quirks

# kept: goes on as it is. converted: said in other words, nothing is lost. dropped: left out, with a warning. refused: the request
# is not sent to this model. unknown: it goes on as it is, and nobody says whether it is taken.
Fate = Literal["kept", "converted", "dropped", "refused", "unknown"]
Kind = Literal["call_ids", "thinking", "blocks", "uploads", "image_urls", "tool_media", "schemas"]
KINDS: Final[tuple[Kind, ...]] = (
    "call_ids",
    "thinking",
    "blocks",
    "uploads",
    "image_urls",
    "tool_media",
    "schemas",
)


@dataclass(frozen=True, slots=True)
class Handover:
    """How one dialect takes over, and what of its own it wants back.

    call_ids: of tool calls, as others give them. thinking: what another dialect's model thought. unsealed: thinking that nobody
    sealed. blocks: parts of answers that their own dialect alone understands. uploads: files that another provider keeps, by id.
    image_urls, tool_media: images by URL, and images in a tool's result. schemas: of JSON; converted: rewritten for what this dialect
    lacks, with what it has no keyword for put into words.
    seals: whether it seals its own thinking, so that nobody else can check it. leaves_blocks: whether its answers hold such parts. cannot: words of CAPS that the dialect has no words for.
    """

    call_ids: Fate
    tool_media: Fate
    unsealed: Fate
    seals: bool
    leaves_blocks: bool = False
    cannot: frozenset[str] = frozenset()
    image_urls: Fate = "kept"
    schemas: Fate = "converted"
    thinking: Fate = "dropped"
    blocks: Fate = "dropped"
    uploads: Fate = "refused"


HANDOVER: Final[Mapping[str, Handover]] = MappingProxyType(
    {
        # Its tools are functions and custom ones; the computer is a tool of Responses: openai 3.54.0,
        # types/chat/chat_completion_tool_union_param.py and types/responses/tool_param.py (2026-11-21).
        "openai_chat": Handover("kept", "converted", "kept", seals=False, cannot=frozenset({"computer_use"})),
        "openai_responses": Handover("converted", "kept", "dropped", seals=True, leaves_blocks=True),
        # Documents are PDF or text: https://platform.claude.com/docs/en/build-with-claude/files (2026-11-21).
        "anthropic_messages": Handover(
            "converted", "kept", "dropped", seals=True, leaves_blocks=True, cannot=frozenset({"audio", "video"})
        ),
        "gemini_generate": Handover("kept", "converted", "dropped", seals=True, leaves_blocks=True),
        # Text, images by their bytes, functions: https://docs.ollama.com/api/chat (2026-11-21). A result names its tool, not its call.
        # Its web search is an endpoint by itself: https://docs.ollama.com/capabilities/web-search (2026-11-21).
        "ollama_chat": Handover(
            "converted",
            "converted",
            "kept",
            seals=False,
            cannot=frozenset({"audio", "computer_use", "pdf", "tool_choice", "video", "web_search"}),
            image_urls="converted",
            schemas="kept",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A model as its conversation sees it: whom we call, in which dialect, with which quirks.

    keeps_files: whether its provider has an API for uploads, so that a request may name one. local: whether it names its models itself.
    """

    provider: str
    dialect: str
    quirks: Quirks = Quirks()
    keeps_files: bool = False
    local: bool = False

    @property
    def has_chat(self) -> bool:
        return self.dialect in HANDOVER

    @property
    def leaves_thinking(self) -> bool:
        """Whether its answers hold thinking that it wants back in the next turn."""
        if self.dialect == "openai_chat":
            return self.quirks.thinking_back is not None or self.quirks.extra_content
        return self.has_chat

    @property
    def cannot(self) -> frozenset[str]:
        """The words of CAPS that there is no way to ask this model for, or to hold it to."""
        missing = set(HANDOVER[self.dialect].cannot) if self.has_chat else set[str]()
        if self.quirks.forced_tools == "never":
            missing.add("tool_choice")
        if not self.quirks.json_schema:
            missing.add("json_schema")
        if self.quirks.computer_tool is None:
            missing.add("computer_use")  # it is refused unless the model is known to work one
        if self.quirks.efforts == ():
            missing.add("reasoning")
        return frozenset(missing)


def hand_over(source: Speaker, target: Speaker) -> Mapping[Kind, Fate]:
    """What becomes of each kind of thing that `source` leaves in a conversation when `target` goes on with it."""
    takes = HANDOVER[target.dialect]
    same_dialect, same_provider = source.dialect == target.dialect, source.provider == target.provider
    fates: dict[Kind, Fate] = {
        "call_ids": "kept" if same_dialect and same_provider else takes.call_ids,
        "thinking": _thinking(source, target),
        "blocks": _blocks(source, target),
        "uploads": "kept" if same_provider or not source.keeps_files else takes.uploads,
        "image_urls": takes.image_urls if target.quirks.image_urls else "converted",
        "tool_media": "kept" if target.quirks.tool_media else takes.tool_media,
        "schemas": takes.schemas,
    }
    return fates


def _blocks(source: Speaker, target: Speaker) -> Fate:
    if not HANDOVER[source.dialect].leaves_blocks:
        return "kept"  # there are none
    if source.dialect != target.dialect:
        return HANDOVER[target.dialect].blocks
    return "kept" if source.provider == target.provider else "unknown"


# "signature values are compatible across platforms": https://platform.claude.com/docs/en/build-with-claude/extended-thinking
# (2026-11-21). Of the other vendors' nobody says so.
_SEALS_OF_ANY_PLATFORM: Final = "anthropic_messages"


def _thinking(source: Speaker, target: Speaker) -> Fate:
    takes = HANDOVER[target.dialect]
    if not source.leaves_thinking:
        return "kept"  # there is none
    if source.dialect != target.dialect:
        return takes.thinking
    if source.provider == target.provider or source.dialect == _SEALS_OF_ANY_PLATFORM:
        return "kept"
    if takes.seals:
        return "unknown"
    if target.dialect == "openai_chat" and target.quirks.thinking_back != source.quirks.thinking_back:
        return "converted" if target.quirks.thinking_back is not None else "dropped"
    return "kept"
