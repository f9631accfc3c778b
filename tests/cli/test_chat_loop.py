"""`llmring chat` on a terminal, typed at: turns, Ctrl-C, several lines, commands, and what is kept for --continue."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shell import Shell, Terminal, check

from llmring.testing import Answer, FakeProvider, Fault

PROMPT, MORE = "> ", "... "
KEPT = Path(".local/state/llmring/conversation.json")
IMAGE = Path(__file__).parent.parent / "images" / "plain.png"


def messages(fake: FakeProvider, index: int = -1) -> list[dict[str, Any]]:
    """What the provider was sent, by turn."""
    return fake.received[index].body["messages"]


def said(fake: FakeProvider, index: int = -1) -> list[str]:
    return [message["content"] for message in messages(fake, index)]


async def turn(terminal: Terminal, text: str, answer: str) -> None:
    """Types at the prompt and waits for the answer and the next prompt."""
    terminal.enter(text)
    await terminal.until(answer)
    await terminal.until(PROMPT)


async def leave(terminal: Terminal) -> int:
    terminal.type("\x04")
    return await terminal.end()


@pytest.mark.spec("Z07")
async def test_a_conversation_remembers_what_was_said(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Blue."), Answer("Rayleigh."))
    async with online.terminal("chat", "fast", "--system", "Be brief.", NO_COLOR="1") as terminal:
        await terminal.until(PROMPT)
        await turn(terminal, "What colour is the sky?", "Blue.")
        await turn(terminal, "Why?", "Rayleigh.")
        assert await leave(terminal) == 0

    assert said(fake_provider) == ["Be brief.", "What colour is the sky?", "Blue.", "Why?"]
    assert fake_provider.connections_opened == 1  # one ring for the whole conversation


@pytest.mark.spec("Z07")
async def test_a_dumb_terminal_gets_no_escape_sequences(online: Shell, fake_provider: FakeProvider) -> None:
    async with online.terminal("chat", TERM="dumb") as terminal:
        await terminal.until(PROMPT)
        await turn(terminal, "Hi", "Hello")
        assert await leave(terminal) == 0
        assert "\x1b" not in terminal.shown


@pytest.mark.spec("Z07")
async def test_ctrl_c_stops_the_answer_alone(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.stall(3, answer=Answer("one two three four")), Answer("Going on."), Fault.hang())
    async with online.terminal("chat") as terminal:
        await terminal.until(PROMPT)
        terminal.enter("Count")
        await terminal.until("two")
        terminal.type("\x03")
        await terminal.until("stopped; what was said so far is part of the conversation")
        await fake_provider.wait_disconnected()
        await terminal.until(PROMPT)
        await turn(terminal, "Go on", "Going on.")
        # Before any of the answer came: nothing stays of that turn.
        terminal.enter("Once more")
        await fake_provider.wait_received(3)
        terminal.type("\x03")
        await terminal.until("stopped; nothing was said")
        await fake_provider.wait_disconnected()
        await terminal.until(PROMPT)
        fake_provider.script(Answer("Here."))
        await turn(terminal, "Still there?", "Here.")
        assert await leave(terminal) == 0
        assert "Traceback" not in terminal.shown

    assert said(fake_provider, 1) == ["Count", "one two", "Go on"]
    assert said(fake_provider) == ["Count", "one two", "Go on", "Going on.", "Still there?"]


@pytest.mark.spec("Z07")
async def test_ctrl_c_at_the_prompt_drops_what_was_typed(online: Shell, fake_provider: FakeProvider) -> None:
    async with online.terminal("chat") as terminal:
        await terminal.until(PROMPT)
        terminal.type("not th")
        await terminal.until("not th")
        await terminal.rest()
        terminal.type("\x03")
        await terminal.until(PROMPT)
        terminal.enter('"""')
        await terminal.until(MORE)
        terminal.type("nor this\n")
        await terminal.until(MORE)
        await terminal.rest()
        terminal.type("\x03")
        await terminal.until(PROMPT)
        await turn(terminal, "But this", "Hello")
        assert await leave(terminal) == 0
    assert said(fake_provider) == ["But this"]


@pytest.mark.spec("Z07")
async def test_a_message_may_have_many_lines(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Read."))
    async with online.terminal("chat") as terminal:
        await terminal.until(PROMPT)
        terminal.enter("first\\")
        await terminal.until(MORE)
        await turn(terminal, "second", "Read.")
        terminal.enter('"""def f():')
        for line in ("    return 1", ""):
            await terminal.until(MORE)
            terminal.enter(line)
        await terminal.until(MORE)
        await turn(terminal, 'f()"""', "Read.")
        # What a terminal sends for a paste; then the same from one that marks no pastes.
        terminal.type("\x1b[200~pasted\rin one\x1b[201~")
        await terminal.until("in one")
        await turn(terminal, "", "Read.")
        await turn(terminal, "pasted\nline by line", "Read.")
        assert await leave(terminal) == 0

    assert said(fake_provider)[::2] == [
        "first\nsecond",
        "def f():\n    return 1\n\nf()",
        "pasted\nin one",
        "pasted\nline by line",
    ]


@pytest.mark.spec("Z07")
async def test_a_failed_turn_keeps_the_loop_and_the_conversation(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Fine."), Fault.status(400, code="invalid_value"), Answer("Fine again."))
    async with online.terminal("chat", "openai:tiny", NO_COLOR="1") as terminal:
        await terminal.until(PROMPT)
        await turn(terminal, "Well?", "Fine.")
        await turn(terminal, "Hm", "error: openai:tiny")
        assert "not part of the conversation" in terminal.shown
        fake_provider.script(Answer("Fine again."))
        await turn(terminal, "And now?", "Fine again.")
        assert await leave(terminal) == 0
    assert said(fake_provider) == ["Well?", "Fine.", "And now?"]


@pytest.mark.spec("Z07")
async def test_the_commands_of_the_loop(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Seen."))
    (online.folder / "plain.png").write_bytes(IMAGE.read_bytes())
    async with online.terminal("chat", "-v", NO_COLOR="1", columns=200) as terminal:
        await terminal.until(PROMPT)
        for line in ("/help", "/model", "/model fsat", "/model openai:tiny-two", "/system Be brief.", "/system"):
            terminal.enter(line)
            await terminal.until(PROMPT)
        for line in ("/attach", "/attach no.png", "/attach llmring.lock", "/attach plain.png", "/fly"):
            terminal.enter(line)
            await terminal.until(PROMPT)
        await turn(terminal, "What is this?", "Seen.")
        await turn(terminal, "/clear", "forgotten")
        await turn(terminal, "//slash", "Seen.")
        terminal.enter("/exit")
        assert await terminal.end() == 0

    # Without readline's own codes, which differ between its versions.
    shown = re.sub(r"\x1b\[\?2004[hl]\r?", "", terminal.shown).replace("\r\n", "\n")
    check("chat-loop-commands", online.clean(shown))
    attached = messages(fake_provider, 0)[0]["content"]
    assert [part["type"] for part in attached] == ["text", "image_url", "text"]
    assert said(fake_provider, 1) == ["/slash"]


@pytest.mark.spec("Z07", "U30")
async def test_answers_alone_go_to_stdout(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("An answer."))
    # A shell of its own sends stdout elsewhere; the prompt then has to come some other way.
    out = online.folder / "out.txt"
    async with online.terminal("chat", "-v", stdout=out) as terminal:
        await terminal.until(PROMPT)
        terminal.enter("A question")
        await terminal.until("tokens")
        await terminal.until(PROMPT)
        assert await leave(terminal) == 0
    assert out.read_text() == "An answer.\n"


@pytest.mark.spec("Z07")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("alias", ["fsat"]),
        ("temperature", ["fast", "--temperature", "-1"]),
        ("json", ["fast", "--json"]),
        ("nothing-kept", ["--continue"]),
    ],
)
async def test_what_could_never_be_asked_is_said_before_the_first_prompt(
    online: Shell, name: str, arguments: list[str]
) -> None:
    async with online.terminal("chat", *arguments, NO_COLOR="1") as terminal:
        code = await terminal.end()
    shown = terminal.shown.replace("\r\n", "\n")
    check(f"chat-loop-{name}", online.clean(f"$ llmring chat {' '.join(arguments)}\n[exit {code}]\n{shown}"))


@pytest.mark.spec("Z07")
async def test_continue_goes_on_with_what_the_loop_kept(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Noted."))
    async with online.terminal("chat", "openai:tiny", "--system", "Be brief.") as terminal:
        await terminal.until(PROMPT)
        await turn(terminal, "I am Ada.", "Noted.")
        assert await leave(terminal) == 0
    kept = online.folder / KEPT
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert os.listdir(kept.parent) == [kept.name]

    outcome = await online.run("chat", "--continue", "Who am I?")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "Noted.\n", "")
    assert fake_provider.received[-1].model == "tiny"
    assert said(fake_provider) == ["Be brief.", "I am Ada.", "Noted.", "Who am I?"]

    async with online.terminal("chat", "-c", "--no-save", NO_COLOR="1") as terminal:
        await terminal.until("going on after 4 messages")
        await terminal.until(PROMPT)
        await turn(terminal, "And this is not kept", "Noted.")
        assert await leave(terminal) == 0
    assert len(json.loads(kept.read_bytes())["messages"]) == 4


@pytest.mark.spec("Z07")
async def test_attachments_and_templates_work_in_the_loop(online: Shell, fake_provider: FakeProvider) -> None:
    (online.folder / "to.toml").write_text('system = "You translate."\nprompt = "To $lang: $input"\n')
    arguments = ("-a", str(IMAGE), "-t", "./to.toml", "--var", "lang=German", "--no-save")
    async with online.terminal("chat", "fast", *arguments) as terminal:
        await terminal.until(PROMPT)
        await turn(terminal, "the sign", "Hello")
        await turn(terminal, "costs $5", "Hello")
        assert await leave(terminal) == 0
    system, first, _, second = messages(fake_provider)
    assert system["content"] == "You translate."
    assert [part["type"] for part in first["content"]] == ["image_url", "text"]
    assert first["content"][1]["text"] == "To German: the sign"
    assert second["content"] == "To German: costs $5"
    assert not (online.folder / KEPT).exists()
