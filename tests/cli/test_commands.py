"""Every command on good and bad paths, whole: exit code, stdout and stderr. See shell.py for how."""

import asyncio
import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.inside import Inside
from tests.cli.shell import KEY, Shell, check

from llmring.cli.failures import worst
from llmring.cli.output import write_table
from llmring.testing import Answer, FakeProvider, Fault


def sent(fake: FakeProvider, index: int = 0) -> dict[str, Any]:
    return fake.received[index].body


# Help and usage


@pytest.mark.parametrize("command", ["", "chat", "aliases", "completion", "resolve"])
async def test_help_is_complete(shell: Shell, command: str) -> None:
    (await shell.run(*command.split(), "--help")).check(f"help-{command or 'llmring'}")


async def test_the_version_is_the_packages(shell: Shell) -> None:
    from llmring import __version__

    outcome = await shell.run("--version")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, f"llmring {__version__}\n", "")


async def test_without_a_command_the_help_is_talk_and_exit_2(shell: Shell) -> None:
    bare, asked = await shell.run(), await shell.run("--help")
    assert (bare.code, bare.stdout, bare.stderr) == (2, "", asked.stdout)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("command", ["chatt"]),
        ("far-command", ["xyzzy"]),
        ("option", ["aliases", "--jsn"]),
        ("argument", ["resolve"]),
        ("value", ["chat", "--max-tokens", "x"]),
    ],
)
async def test_wrong_usage_is_one_line_and_exit_2(shell: Shell, name: str, arguments: list[str]) -> None:
    (await shell.run(*arguments)).check(f"usage-{name}")


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("usage", ["aliases", "--json", "--jsn"]),
        ("unknown-name", ["resolve", "fsat", "--json"]),
        ("bad-value", ["chat", "fast", "Hello", "--temperature", "-1", "--json"]),
        ("no-key", ["chat", "openai:tiny", "Hello", "--json"]),
        ("own", ["chat", "--continue", "Hello", "--json"]),
    ],
)
async def test_with_json_an_error_is_one_json_object_on_stderr(shell: Shell, name: str, arguments: list[str]) -> None:
    outcome = await shell.run(*arguments)
    outcome.check(f"json-error-{name}")
    assert outcome.stdout == ""
    error = json.loads(outcome.stderr)["error"]
    assert error["exit_code"] == outcome.code
    assert error["type"]


async def test_with_json_talk_is_json_too(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("The sky is", finish_reason="length"))
    (online.folder / ".env").write_text("HTTPS_PROXY=http://127.0.0.1:1\n")
    outcome = await online.run("chat", "fast", "Why?", "--json", "-v")
    talk = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert [list(line) for line in talk] == [["warning"], ["note"], ["note"]]
    assert "HTTPS_PROXY" in talk[0]["warning"]
    assert "cut off" in talk[1]["note"]
    assert "tokens" in talk[2]["note"]


def test_of_several_exit_codes_the_worst_counts() -> None:
    assert [worst([0, 1]), worst([1, 3]), worst([3, 2, 1]), worst([2, 4, 3]), worst([])] == [1, 3, 2, 4, 0]


# Reading the lockfile


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("table", []),
        ("json", ["--json"]),
        ("profile", ["--profile", "dev"]),
        ("unknown-profile", ["--profile", "dve"]),
        ("no-such-lockfile", ["--lockfile", "other.lock"]),
    ],
)
async def test_aliases(shell: Shell, name: str, arguments: list[str]) -> None:
    (await shell.run("aliases", *arguments)).check(f"aliases-{name}")


@pytest.mark.spec("U09", "U30")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("alias", ["fast"]),
        ("profile", ["fast", "--profile", "dev"]),
        ("keyless-member", ["summarizer"]),
        ("model", ["openai:anything"]),
        ("json", ["summarizer", "--json"]),
        ("unknown-alias", ["fsat"]),
        ("unknown-provider", ["opena:tiny"]),
        ("no-name", ["openai:"]),
    ],
)
async def test_resolve(shell: Shell, name: str, arguments: list[str]) -> None:
    (await shell.run("resolve", *arguments)).check(f"resolve-{name}")


@pytest.mark.spec("U09")
async def test_the_environment_chooses_profile_and_lockfile(shell: Shell) -> None:
    (shell.folder / "llmring.lock").rename(shell.folder / "other.lock")
    outcome = await shell.run("aliases", LLMRING_LOCKFILE_PATH="other.lock", LLMRING_PROFILE="dev")
    outcome.check("aliases-environment")


async def test_a_broken_lockfile_is_named_and_exit_2(shell: Shell) -> None:
    (shell.folder / "llmring.lock").write_text('version = "1.1"\n[profiles\n')
    (await shell.run("aliases")).check("aliases-broken-lockfile")


@pytest.mark.parametrize("command", ["aliases", "resolve"])
async def test_a_dotenv_file_that_is_no_text_is_no_traceback_and_exit_2(shell: Shell, command: str) -> None:
    (shell.folder / ".env").write_bytes("OPENAI_API_KEY=geheim-ü".encode("latin-1"))
    outcome = await shell.run(command, *(["fast"] if command == "resolve" else []))
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.stderr == (
        "error: ./.env cannot be read: it is no UTF-8 text\nhint: LLMRING_NO_DOTENV=1 leaves it alone\n"
    )


@pytest.mark.spec("U02")
async def test_without_a_lockfile_the_bundled_one_is_used_and_said(shell: Shell) -> None:
    (shell.folder / "llmring.lock").unlink()
    outcome = await shell.run("aliases", "--json")
    assert outcome.code == 0
    assert "bundled" in outcome.stderr
    assert {"fast", "balanced", "vision"} <= set(json.loads(outcome.stdout)["aliases"])
    (await shell.run("aliases", LLMRING_LOCKED="1")).check("aliases-locked")


# Chat


@pytest.mark.spec("U30", "U04")
async def test_chat_streams_to_stdout(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("The sky scatters blue light."))
    (await online.run("chat", "fast", "Why is the sky blue?")).check("chat-stream")
    assert sent(fake_provider)["stream"] is True


async def test_chat_waits_for_the_whole_answer_with_no_stream(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("All at once.\n"))
    (await online.run("chat", "fast", "Hello", "--no-stream")).check("chat-no-stream")
    assert not sent(fake_provider).get("stream")


@pytest.mark.spec("U30", "T04")
async def test_chat_json_is_the_whole_response_on_one_line(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("Grüße, 世界"))
    outcome = await online.run("chat", "fast", "Hello", "--json")

    assert (outcome.code, outcome.stderr, outcome.stdout.count("\n")) == (0, "", 1)
    response = json.loads(outcome.stdout)
    assert response["content"] == "Grüße, 世界"
    assert (response["provider"], response["alias"], response["profile"]) == ("openai", "fast", "default")
    assert response["usage"]["total_tokens"] > 0


@pytest.mark.spec("U28", "U30")
async def test_only_what_was_given_is_sent(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("a"), Answer("b"))
    await online.run("chat", "fast", "Hello", "--no-stream")
    await online.run(
        "chat",
        "openai:tiny",
        "Hello",
        "--no-stream",
        "--system",
        "Be brief.",
        "--temperature",
        "0",
        "--max-tokens",
        "9",
    )

    plain, full = (request.body for request in fake_provider.received)
    assert plain == {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
    assert full == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "temperature": 0,
        "max_completion_tokens": 9,
    }


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], "from the pipe", "from the pipe"),
        (["fast"], "from the pipe", "from the pipe"),
        (["fast", "-"], "from the pipe", "from the pipe"),
        (["fast", "Summarize:"], "from the pipe", "Summarize:\n\nfrom the pipe"),
        (["fast", "Summarize:"], " \n", "Summarize:"),
        (["fast", "Summarize:"], None, "Summarize:"),
    ],
)
async def test_a_message_can_be_piped_in(
    online: Shell, fake_provider: FakeProvider, arguments: list[str], stdin: str | None, message: str
) -> None:
    outcome = await online.run("chat", *arguments, stdin=stdin)
    assert outcome.code == 0, outcome.stderr
    assert sent(fake_provider)["messages"] == [{"role": "user", "content": message}]


async def test_verbose_says_on_stderr_who_answered(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("One."), Answer("Two."))
    (await online.run("chat", "fast", "Hello", "-v")).check("chat-verbose-unpriced")
    (await online.run("chat", "fast", "Hello", "-v", "--profile", "dev")).check("chat-verbose-priced")


async def test_an_answer_that_was_cut_off_says_so(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("The sky is", finish_reason="length"))
    (await online.run("chat", "fast", "Why?", "--max-tokens", "3")).check("chat-length")


async def test_a_refusal_is_printed_as_the_answer(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("", refusal="I would rather not."), Answer("", refusal="I would rather not."))
    streamed = await online.run("chat", "fast", "Do it")
    plain = await online.run("chat", "fast", "Do it", "--no-stream")
    assert streamed.stdout == plain.stdout == "I would rather not.\n"


@pytest.mark.spec("U30", "U17")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("unknown-alias", ["fsat", "Hello"]),
        ("unknown-profile", ["fast", "Hello", "--profile", "nope"]),
        ("temperature", ["fast", "Hello", "--temperature", "-1"]),
        ("no-message", ["fast"]),
    ],
)
async def test_what_cannot_be_asked_is_said_before_anything_is_sent(
    online: Shell, fake_provider: FakeProvider, name: str, arguments: list[str]
) -> None:
    (await online.run("chat", *arguments)).check(f"chat-{name}")
    assert fake_provider.received == []


@pytest.mark.spec("A07")
async def test_a_missing_key_names_its_variable_and_exit_3(shell: Shell) -> None:
    (await shell.run("chat", "openai:tiny", "Hello")).check("chat-no-key")


@pytest.mark.spec("U17", "S06")
@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("key-refused", Fault.status(401, f"Incorrect API key provided: {KEY}.")),
        ("model-unknown", Fault.status(404, code="model_not_found")),
        ("request-refused", Fault.status(400, "messages: too short", code="invalid_value")),
        ("server-error", Fault.status(500)),
    ],
)
async def test_a_providers_failure_is_one_line_without_the_key(
    online: Shell, fake_provider: FakeProvider, name: str, fault: Fault
) -> None:
    fake_provider.script(fault)
    outcome = await online.run("chat", "openai:tiny", "Hello")
    outcome.check(f"chat-{name}")
    assert KEY not in outcome.stderr


@pytest.mark.spec("X01")
async def test_a_stream_that_breaks_off_keeps_what_was_printed_and_exits_3(
    online: Shell, fake_provider: FakeProvider
) -> None:
    fake_provider.script(Fault.cut(3, answer=Answer("one two three four five")))
    (await online.run("chat", "fast", "Count")).check("chat-cut")


async def test_nobody_listening_is_exit_3(online: Shell, unused_tcp_port: int) -> None:
    online.hidden[str(unused_tcp_port)] = "<port>"
    outcome = await online.run("chat", "openai:tiny", "Hello", OPENAI_BASE_URL=f"http://127.0.0.1:{unused_tcp_port}")
    outcome.check("chat-nobody-there")


# Terminals, pipes and signals


async def test_ctrl_c_ends_a_stream_with_130_and_no_traceback(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.stall(3, answer=Answer("one two three four five")))
    process = await online.start("chat", "fast", "Count", stdin=asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    first = await asyncio.wait_for(process.stdout.read(1), 50)
    process.send_signal(signal.SIGINT)
    rest, stderr = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 130
    assert (first + rest).decode().startswith("o")
    assert stderr.strip() == b""


async def test_a_reader_that_goes_away_ends_it_quietly(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Fault.endless())
    process = await online.start("chat", "fast", "Count", stdin=asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.read(1), 50)
    process.stdout._transport.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert process.stderr is not None
    stderr = await asyncio.wait_for(process.stderr.read(), 20)

    assert (await process.wait(), stderr) == (141, b"")


async def redirected(shell: Shell, redirection: str, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command whose streams a shell has closed, or pointed elsewhere."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f'exec "$0" -m llmring "$@" {redirection}', sys.executable, *arguments,
        cwd=shell.folder, env=shell.environ, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, stderr = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode is not None
    return process.returncode, stderr.decode()


@pytest.mark.spec("U30")
@pytest.mark.parametrize(
    ("redirection", "arguments", "code", "said"),
    [
        (">&-", ["aliases"], 2, "error: stdout is closed\n"),
        (">&-", ["resolve", "fast"], 2, "error: stdout is closed\n"),
        (">/dev/full", ["aliases"], 2, "error: stdout cannot be written: No space left on device\n"),
        (">/dev/full", ["--help"], 2, "error: No space left on device\n"),
        (">/dev/null 2>&-", ["resolve", "fast"], 0, ""),
        (">/dev/null 2>&-", ["resolve", "fsat"], 1, ""),
        (">/dev/null 2>/dev/full", ["resolve", "fsat"], 1, ""),
        (">&- 2>&- <&-", ["chat", "fast"], 2, ""),
    ],
)
async def test_a_stream_that_takes_nothing_is_no_traceback(
    shell: Shell, redirection: str, arguments: list[str], code: int, said: str
) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    assert await redirected(shell, redirection, *arguments) == (code, said)


@pytest.mark.spec("U30")
def test_what_the_system_refuses_is_one_line(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = inside.run("aliases", "--lockfile", "a" * 5000)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert re.fullmatch(r"error: \S{1,200}…: File name too long\n", outcome.stderr)
    gone = inside.folder / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    outcome = inside.run("aliases")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (2, "", "error: the current folder is gone\n")
    outcome = inside.run("aliases", "--json")
    assert json.loads(outcome.stderr)["error"]["message"] == "the current folder is gone"


async def on_a_terminal(shell: Shell, *arguments: str, columns: int = 100) -> str:
    """What a terminal would show."""
    async with shell.terminal(*arguments, columns=columns) as terminal:
        await terminal.end()
        return terminal.shown


async def test_a_terminal_shows_errors_in_colour_unless_no_color_is_set(shell: Shell) -> None:
    coloured = await on_a_terminal(shell, "resolve", "fsat")
    assert "\x1b[1;31merror:" in coloured
    shell.environ["NO_COLOR"] = "1"
    plain = await on_a_terminal(shell, "resolve", "fsat")
    assert plain.startswith("error: ")
    assert "\x1b" not in plain
    del shell.environ["NO_COLOR"]
    shell.environ["TERM"] = "dumb"
    assert await on_a_terminal(shell, "resolve", "fsat") == plain


async def test_a_models_control_characters_do_not_reach_a_terminal(online: Shell, fake_provider: FakeProvider) -> None:
    hostile = "\x1b]0;owned\x07fine\x9b2J\x08\ttabbed"
    fake_provider.script(Answer(hostile), Answer(hostile))
    shown = await on_a_terminal(online, "chat", "fast", "Hello", "--no-stream")
    assert "fine" in shown
    assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]", shown)
    piped = await online.run("chat", "fast", "Hello", "--no-stream")
    assert piped.stdout == hostile + "\n"  # a pipe gets what the model said


@pytest.mark.parametrize("columns", [80, 40, 20])
async def test_a_table_fits_a_narrow_terminal(shell: Shell, columns: int) -> None:
    lock = (shell.folder / "llmring.lock").read_text()
    more = "".join(f', "ollama:another-{number}:1b"' for number in range(3))
    (shell.folder / "llmring.lock").write_text(lock.replace('"ollama:small:1b"', '"ollama:small:1b"' + more))
    shown = await on_a_terminal(shell, "aliases", columns=columns)
    check(f"aliases-{columns}-columns", shown.replace("\r\n", "\n"))


def test_wide_letters_and_line_ends_do_not_disturb_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("NAME", "SIZE"), [("小さい", "1"), ("a\u0301b", "2"), ("two\nlines", "3")])
    assert capsys.readouterr().out.splitlines() == [
        "NAME       SIZE",
        "小さい     1",
        "a\u0301b         2",
        "two lines  3",
    ]


async def test_a_pipe_that_is_no_utf_8_gets_question_marks(online: Shell, fake_provider: FakeProvider) -> None:
    fake_provider.script(Answer("grün 世界"))
    outcome = await online.run("chat", "fast", "Hello", PYTHONIOENCODING="ascii")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "gr?n ??\n", "")


async def test_a_reader_of_a_table_may_go_away(shell: Shell) -> None:
    process = await shell.start("aliases", stdin=asyncio.subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout._transport.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    stderr = await asyncio.wait_for(process.stderr.read(), 20)
    assert (await process.wait(), stderr) == (141, b"")


async def test_the_installed_command_is_the_same_as_the_module(shell: Shell) -> None:
    script = Path(sys.executable).parent / "llmring"
    process = await asyncio.create_subprocess_exec(
        script, "resolve", "fast", cwd=shell.folder, env=shell.environ, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 50)
    assert stdout.decode() == (await shell.run("resolve", "fast")).stdout == "openai:tiny\n"


@pytest.mark.spec("PB07")
async def test_aliases_loads_neither_pydantic_nor_an_http_library(shell: Shell) -> None:
    code = "import sys; from llmring.cli.main import run; run(['aliases']); print(*sys.modules)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=shell.folder, env=shell.environ, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 50)
    loaded = set(stdout.decode().splitlines()[-1].split())
    assert "llmring.cli.aliases" in loaded
    heavy = {"pydantic", "aiohttp", "httpx", "openai", "anthropic", "google.genai", "ollama", "rich", "llmring.service"}
    assert loaded & heavy == set()
    assert "importlib.metadata" not in loaded  # plug-ins are looked for only when a name is unknown
