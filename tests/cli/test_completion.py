"""`llmring completion`: the script of each shell; the one for bash also as bash runs it."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.cli.shell import Shell

BIN = Path(sys.executable).parent

# What bash does at a press of Tab, for each line of stdin. Colons cut its words, as they do by default.
PRESS_TAB = r"""
source <(llmring completion bash)
compopt() { echo "  compopt $*"; }
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
while IFS= read -r line; do
    COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
    echo "$line|"
    _llmring_completion llmring
    printf '  %s\n' "${COMPREPLY[@]}"
done
"""


async def press_tab(shell: Shell, *lines: str) -> str:
    environ = shell.environ | {"PATH": f"{BIN}:{shell.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        "bash",
        "--norc",
        "-c",
        PRESS_TAB,
        cwd=shell.folder,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    stdout, _ = await asyncio.wait_for(process.communicate("\n".join(lines).encode() + b"\n"), 50)
    return stdout.decode()


@pytest.mark.spec("U30")
@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
async def test_each_shell_has_a_script(shell: Shell, name: str) -> None:
    (await shell.run("completion", name)).check(f"completion-{name}")


async def test_another_shell_is_an_error(shell: Shell) -> None:
    (await shell.run("completion", "csh")).check("completion-csh")


@pytest.mark.spec("U30")
async def test_bash_completes_commands_options_profiles_aliases_and_models(shell: Shell) -> None:
    shown = await press_tab(
        shell,
        "llmring al",
        "llmring resolve ",
        "llmring resolve openai:tin",
        "llmring resolve ollama:small:",
        "llmring aliases --prof",
        "llmring aliases --profile d",
        "llmring chat fast 'two words' --no-s",
        "llmring chat -a ",
    )
    assert shown.splitlines() == [
        "llmring al|",
        "  aliases",
        "llmring resolve |",
        "  anthropic:small",
        "  fast",
        "  ollama:small:1b",
        "  openai:tiny",
        "  openai:tiny-dev",
        "  openai:tiny-two",
        "  summarizer",
        # bash puts these behind the colon that is there already
        "llmring resolve openai:tin|",
        "  tiny",
        "  tiny-dev",
        "  tiny-two",
        "llmring resolve ollama:small:|",
        "  1b",
        "llmring aliases --prof|",
        "  --profile",
        "llmring aliases --profile d|",
        "  default",
        "  dev",
        "llmring chat fast 'two words' --no-s|",
        "  --no-save",
        "  --no-stream",
        "llmring chat -a |",
        "  compopt -o default",
        "  ",
    ]


@pytest.mark.parametrize("name", ["$(id)", "`id`", "x;id", "x|id", "x&id", "x>y", "~root", "*", "!x", "x'y", 'x\\"y'])
async def test_a_lockfile_cannot_put_commands_into_the_command_line(shell: Shell, name: str) -> None:
    lock = (shell.folder / "llmring.lock").read_text()
    (shell.folder / "llmring.lock").write_text(lock.replace("openai:tiny-two", f"openai:{name}"))
    assert name.replace("\\", "") in (await shell.run("aliases")).stdout  # a name that a model may have
    shown = await press_tab(shell, "llmring resolve opena")
    assert shown.splitlines() == ["llmring resolve opena|", "  openai:tiny", "  openai:tiny-dev"]


async def test_a_lockfile_that_cannot_be_read_completes_nothing_and_says_nothing(shell: Shell) -> None:
    (shell.folder / "llmring.lock").write_text("[profiles\n")
    assert await press_tab(shell, "llmring resolve f") == "llmring resolve f|\n  \n"


async def test_completing_a_model_loads_neither_pydantic_nor_an_http_library(shell: Shell) -> None:
    code = "import sys; from llmring.cli.main import run\ntry: run([])\nexcept SystemExit: print(*sys.modules)"
    environ = {
        "_LLMRING_COMPLETE": "fish_complete",
        "COMP_WORDS": "llmring resolve openai:tin",
        "COMP_CWORD": "openai:tin",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=shell.folder, env=shell.environ | environ, stdout=asyncio.subprocess.PIPE
    )
    stdout, _ = await asyncio.wait_for(process.communicate(), 50)
    *completions, modules = stdout.decode().splitlines()
    assert "plain,openai:tiny" in completions
    assert {"pydantic", "aiohttp", "httpx", "llmring.service"} & set(modules.split()) == set()
