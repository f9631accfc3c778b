"""`llmring chat` with one message: what goes along with it, templates, what is kept, and stdin in all its forms."""

import asyncio
import base64
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.shell import KEY, Shell

from llmring.cli.piped import wait_for_data
from llmring.testing import Answer, Exact, FakeProvider

KEPT = Path(".local/state/llmring/conversation.json")
IMAGE = Path(__file__).parent.parent / "images" / "plain.png"
THOUGHT = Path(__file__).parents[1] / "wire/cases/anthropic_messages/thinking_streamed/wire_stream.sse"
PDF = b"%PDF-1.4\n%%EOF\n"


def content(fake: FakeProvider, index: int = -1) -> Any:
    """What the last message of a request holds."""
    return fake.received[index].body["messages"][-1]["content"]


# Attachments


@pytest.mark.spec("Z07", "U30")
async def test_images_pdfs_and_texts_go_along_with_the_message(online: Shell, fake_provider: FakeProvider) -> None:
    (online.folder / "plain.png").write_bytes(IMAGE.read_bytes())
    (online.folder / "paper.pdf").write_bytes(PDF)
    (online.folder / "notes.md").write_text("# Notes\n\nÄpfel\n")
    outcome = await online.run(
        "chat",
        "fast",
        "Compare",
        "-a",
        "plain.png",
        "--attach",
        "paper.pdf",
        "-a",
        "notes.md",
        "-a",
        "-",
        stdin="piped",
    )

    assert outcome.code == 0, outcome.stderr
    image, pdf, text, piped, question = content(fake_provider)
    assert image["image_url"]["url"] == "data:image/png;base64," + base64.b64encode(IMAGE.read_bytes()).decode()
    assert pdf["file"]["file_data"] == "data:application/pdf;base64," + base64.b64encode(PDF).decode()
    assert text == {"type": "text", "text": "notes.md:\n\n# Notes\n\nÄpfel\n"}
    assert piped == {"type": "text", "text": "stdin:\n\npiped\n"}
    assert question == {"type": "text", "text": "Compare"}


async def test_an_image_from_stdin_needs_no_message(online: Shell, fake_provider: FakeProvider) -> None:
    outcome = await online.run("chat", "fast", "-a", "-", stdin=IMAGE.read_bytes())
    assert outcome.code == 0, outcome.stderr
    assert [part["type"] for part in content(fake_provider)] == ["image_url"]


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("missing", ["-a", "no.png"]),
        ("folder", ["-a", "."]),
        ("binary", ["-a", "noise.bin"]),
        ("empty", ["-a", "empty.txt"]),
        ("twice-stdin", ["-a", "-", "-a", "-"]),
        ("no-url", ["-a", "http://[::1"]),
    ],
)
async def test_what_cannot_be_attached_is_said_and_nothing_is_sent(
    online: Shell, fake_provider: FakeProvider, name: str, arguments: list[str]
) -> None:
    (online.folder / "noise.bin").write_bytes(bytes(range(256)))
    (online.folder / "empty.txt").touch()
    (await online.run("chat", "fast", "Look", *arguments)).check(f"chat-attach-{name}")
    assert fake_provider.received == []


# Templates

REVIEW = 'system = "You review $what."\nprompt = """\nIn $language, at most $$5 worth of words:\n\n$input\n"""\n'


@pytest.mark.spec("Z07")
async def test_a_template_of_the_user_fills_in_system_prompt_and_message(
    online: Shell, fake_provider: FakeProvider
) -> None:
    folder = online.folder / ".config" / "llmring" / "templates"
    folder.mkdir(parents=True)
    (folder / "review.toml").write_text(REVIEW)
    # One of the same name in the current folder is not looked at: a repository cannot take a user's name.
    (online.folder / "review.toml").write_text('prompt = "stolen: $input"')
    variables = ("--var", "what=code", "--var", "language=French, $input")
    outcome = await online.run("chat", "fast", "x = $y", "--template", "review", *variables)

    assert outcome.code == 0, outcome.stderr
    assert fake_provider.received[0].body["messages"] == [
        {"role": "system", "content": "You review code."},
        {"role": "user", "content": "In French, $input, at most $5 worth of words:\n\nx = $y"},
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "stdin", "message"),
    [
        ("Say hello.", [], None, "Say hello."),
        ("Say hello.", ["To Ada"], None, "Say hello.\n\nTo Ada"),
        ("Shorter: $input", [], "a long text", "Shorter: a long text"),
    ],
)
async def test_a_template_may_be_a_text_file(
    online: Shell, fake_provider: FakeProvider, text: str, arguments: list[str], stdin: str | None, message: str
) -> None:
    (online.folder / "ask.md").write_text(text)
    outcome = await online.run("chat", "fast", *arguments, "-t", "./ask.md", stdin=stdin)
    assert outcome.code == 0, outcome.stderr
    assert content(fake_provider) == message


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        ("unknown", "", ["-t", "no-such"]),
        ("unknown-key", 'model = "openai:dear"\nprompt = "x"', ["-t", "./t.toml"]),
        ("no-toml", "prompt = ", ["-t", "./t.toml"]),
        ("long-number", f"prompt = {'1' * 5000}", ["-t", "./t.toml"]),
        ("empty", "", ["-t", "./t.toml"]),
        ("missing-variable", 'prompt = "$what"', ["-t", "./t.toml"]),
        ("unknown-variable", 'prompt = "x"', ["-t", "./t.toml", "--var", "what=y"]),
        ("dollar", 'prompt = "5$ more"', ["-t", "./t.toml"]),
        ("no-template", "", ["--var", "what=y"]),
        ("path", "", ["-t", "../../etc/passwd"]),
    ],
)
async def test_a_template_that_cannot_be_used_is_said_and_nothing_is_sent(
    online: Shell, fake_provider: FakeProvider, name: str, text: str, arguments: list[str]
) -> None:
    (online.folder / "t.toml").write_text(text)
    (await online.run("chat", "fast", "Hello", *arguments)).check(f"chat-template-{name}")
    assert fake_provider.received == []


# What is kept


@pytest.mark.spec("Z07")
async def test_a_question_leaves_nothing_behind_unless_asked(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("One."), Answer("Two."), Answer("Three."))
    await online.run("chat", "fast", "First")
    assert not (online.folder / KEPT).exists()

    state = online.folder / "state"
    await online.run("chat", "openai:tiny", "Second", "--save", XDG_STATE_HOME=str(state))
    kept = state / "llmring" / "conversation.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    outcome = await online.run("chat", "-c", "fast", "Third", "--json", XDG_STATE_HOME=str(state))
    assert json.loads(outcome.stdout)["content"] == "Three."
    sent = [message["content"] for message in fake_provider.received[-1].body["messages"]]
    assert sent == ["Second", "Two.", "Third"]
    assert json.loads(kept.read_bytes())["model"] == "fast"


async def test_what_a_provider_sealed_goes_back_to_it(shell: Shell, fake_provider: FakeProvider) -> None:
    shell.environ |= {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": fake_provider.base_url_of("anthropic_messages"),
    }
    fake_provider.script(Exact(headers={"content-type": "text/event-stream"}, chunks=[THOUGHT.read_bytes()]))
    await shell.run("chat", "anthropic:small", "What is the GCD?", "--save")
    outcome = await shell.run("chat", "-c", "Sure?")
    assert outcome.code == 0, outcome.stderr
    thinking, text = fake_provider.received[-1].body["messages"][1]["content"]
    assert thinking["signature"] == "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds"
    assert text["text"] == "The greatest common divisor is **21**."


async def test_a_kept_conversation_that_cannot_be_read_is_said(online: Shell, fake_provider: FakeProvider) -> None:
    kept = online.folder / KEPT
    kept.parent.mkdir(parents=True)
    secret = online.folder / "secret.png"
    secret.write_bytes(IMAGE.read_bytes())
    # Kept messages hold their images: a path in them is not followed.
    part = {"type": "image", "path": str(secret)}
    message = {"role": "user", "content": [part]}
    for text in (
        "no json",
        "[" * 100_000,
        '{"schema": 2}',
        json.dumps({"schema": 1, "model": "fast", "messages": [message]}),
    ):
        kept.write_text(text)
        outcome = await online.run("chat", "-c", "Hello")
        outcome.check("chat-continue-broken")
    assert fake_provider.received == []


@pytest.mark.parametrize("arguments", [["-c", "Hello"], ["fast", "Hello", "--template", "review"]])
async def test_a_home_that_cannot_be_looked_at_holds_nothing(shell: Shell, arguments: list[str]) -> None:
    outcome = await shell.run("chat", *arguments, HOME="/" + "a" * 5000)
    assert outcome.code in (1, 2)
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("error: ")


async def test_a_template_by_name_never_comes_from_the_current_folder(shell: Shell) -> None:
    folder = shell.folder / "conf" / "llmring" / "templates"
    folder.mkdir(parents=True)
    (folder / "review.md").write_text("Somebody else's words: $input")
    outcome = await shell.run("chat", "fast", "Hello", "--template", "review", XDG_CONFIG_HOME="conf")
    assert (outcome.code, outcome.stderr.splitlines()[0]) == (1, "error: no template 'review'")


async def test_a_model_that_is_empty_is_an_error_and_no_default(online: Shell, fake_provider: FakeProvider) -> None:
    outcome = await online.run("chat", "", "Hello")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert fake_provider.received == []


async def test_a_folder_that_cannot_be_written_is_a_warning(online: Shell, fake_provider: FakeProvider) -> None:
    (online.folder / "state").write_text("a file where a folder should be")
    outcome = await online.run("chat", "fast", "Hello", "--save", XDG_STATE_HOME=str(online.folder / "state"))
    assert (outcome.code, outcome.stdout) == (0, "Hello from the fake provider.\n")
    assert (
        outcome.stderr
        == "warning: the conversation is not kept: <folder>/state/llmring/conversation.json: Not a directory\n"
    )


# stdin


async def test_text_in_another_encoding_is_an_error_and_no_traceback(
    online: Shell, fake_provider: FakeProvider
) -> None:
    (await online.run("chat", "fast", "-", stdin="grün".encode("latin-1"))).check("chat-stdin-latin-1")
    assert fake_provider.received == []


async def test_a_pipe_is_waited_for_while_somebody_may_write(online: Shell, fake_provider: FakeProvider) -> None:
    process = await online.start("chat", "fast", "Summarize:")
    assert process.stdin is not None
    assert process.stderr is not None
    # It says that it waits; only then does the slow writer begin.
    assert b"waiting for what is piped in" in await asyncio.wait_for(process.stderr.readline(), 50)
    process.stdin.write(b"at last")
    process.stdin.close()
    stdout, stderr = await asyncio.wait_for(process.communicate(), 50)
    assert (process.returncode, stdout, stderr) == (0, b"Hello from the fake provider.\n", b"")
    assert content(fake_provider) == "Summarize:\n\nat last"


def test_a_pipe_that_nobody_writes_to_is_given_up() -> None:
    ours, theirs = os.pipe()
    try:
        assert not wait_for_data(ours, 0.01)
        os.write(theirs, b"x")
        assert wait_for_data(ours, 50)
        os.read(ours, 1)
        os.close(theirs)
        assert wait_for_data(ours, 50)  # its end is an answer too
    finally:
        os.close(ours)


async def test_a_closed_stdin_is_no_traceback(online: Shell) -> None:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        'exec "$0" -m llmring chat fast <&-',
        sys.executable,
        cwd=online.folder,
        env=online.environ,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 50)
    assert (process.returncode, stderr) == (2, b"error: stdin cannot be read\n")
