"""Where the provider's cache of prompts may cut a request: `cache_control` marks on tools, system and messages.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching (2026-11-21): a mark caches everything up to its block, in
the order tools, system, messages; a request holds four at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from llmring.exceptions import ConfigurationError
from llmring.schemas.messages import Message
from llmring.schemas.request import LLMRequest

MARK: Final = "cache_control"
MAX_MARKS: Final = 4
_UNMARKABLE: Final = ("thinking", "redacted_thinking")
_USER_TURNS: Final[Mapping[str, int]] = {
    "last_user_message": 1,
    "last_2_user_messages": 2,
    "last_3_user_messages": 3,
}


def is_marked(message: Message) -> bool:
    return message.metadata is not None and MARK in message.metadata


def mark_message(message: Message, blocks: list[dict[str, Any]]) -> None:
    """Marks a message's last block where its metadata asks for it: `{"cache_control": {"type": "ephemeral"}}`."""
    if message.metadata is None or MARK not in message.metadata:
        return
    asked: object = message.metadata[MARK]
    if not isinstance(asked, Mapping):
        raise ConfigurationError(
            f"a {message.role.value} message's metadata: {MARK} is no object",
            hint='write {"cache_control": {"type": "ephemeral"}}',
        )
    _mark(blocks, dict(cast("Mapping[str, Any]", asked)))


def mark_prompt(body: dict[str, Any], request: LLMRequest, *, whole: bool) -> None:
    """Marks what `prompt_cache` names. whole: whether the server places the mark of "automatic" by itself."""
    pattern = request.prompt_cache
    if pattern is None:
        return
    mark: dict[str, Any] = {"type": "ephemeral"}
    if request.prompt_cache_ttl is not None:
        mark["ttl"] = request.prompt_cache_ttl
    messages = cast("list[dict[str, Any]]", body["messages"])
    match pattern:
        case "automatic":
            if whole:
                body[MARK] = mark
            else:
                _mark_turn(messages[-1], mark)
        case "tools_only":
            _mark_tools(body, mark)
        case "system_and_tools":
            _mark_tools(body, mark)
            system = body.get("system")
            if isinstance(system, str):
                system = body["system"] = [{"type": "text", "text": system}]
            if isinstance(system, list):  # as extra_params may say it, it is anything
                _mark(cast("list[Any]", system), mark)
        case _:
            users = [message for message in messages if message["role"] == "user"]
            for message in users[-_USER_TURNS[pattern] :]:
                _mark_turn(message, mark)


def _mark_tools(body: dict[str, Any], mark: dict[str, Any]) -> None:
    match body.get("tools"):
        case [*others, {**last}]:
            # A tool may be the caller's own dict.
            body["tools"] = [*others, {**last, MARK: mark}]
        case _:
            pass


def _mark_turn(message: dict[str, Any], mark: dict[str, Any]) -> None:
    if isinstance(message["content"], str):
        message["content"] = [{"type": "text", "text": message["content"]}]
    _mark(message["content"], mark)


def _mark(blocks: list[Any], mark: dict[str, Any]) -> None:
    for place in range(len(blocks) - 1, -1, -1):
        match blocks[place]:
            case {**block} if block.get("type") not in _UNMARKABLE:
                # A copy: a provider's own block is the caller's dict.
                blocks[place] = {**block, MARK: mark}
                return
            case _:
                pass


def limit_marks(body: dict[str, Any], warnings: list[str]) -> None:
    """Leaves out the earliest marks past four: a later one caches what an earlier one would."""
    holders = list(_holders(body))
    surplus = len(holders) + (MARK in body) - MAX_MARKS
    if surplus > 0:
        warnings.append(f"cache_control was left out {surplus} times: a request takes {MAX_MARKS}")
        for items, place in holders[:surplus]:
            items[place] = {name: value for name, value in items[place].items() if name != MARK}


def _holders(body: Mapping[str, Any]) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Every marked block, as a list and a place in it, in the order in which the prompt is read."""
    lists: list[Any] = [body.get("tools"), body.get("system"), *(m["content"] for m in body["messages"])]
    for items in lists:
        if isinstance(items, list):
            given = cast("list[Any]", items)
            for place, item in enumerate(given):
                if isinstance(item, dict) and cast("dict[str, Any]", item).get(MARK):
                    yield given, place
