"""The command line as it is used: a process of its own, in a folder with a lockfile. The fixtures are in conftest.py.

What a command prints is compared whole with `snapshots/<name>.txt`; LLMRING_TEST_UPDATE=1 writes them anew.
"""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

SNAPSHOTS = Path(__file__).parent / "snapshots"
KEY = "sk-test-0123456789abcdefghij"
PATIENCE_S = 50

LOCKFILE = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "fast"
models = ["openai:tiny", "openai:tiny-two"]

[[profiles.default.bindings]]
alias = "summarizer"
models = ["anthropic:small", "ollama:small:1b"]

[profiles.dev]
name = "dev"

[[profiles.dev.bindings]]
alias = "fast"
models = ["openai:tiny-dev"]

[[locked]]
id = "openai:tiny-dev"
price = { input = "2", output = "10" }
"""


@dataclass(frozen=True)
class Outcome:
    command: str
    code: int
    stdout: str
    stderr: str

    def check(self, name: str) -> None:
        """Compares everything that was printed, and the exit code, with the snapshot of this name."""
        check(name, f"$ {self.command}\n[exit {self.code}]\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}")


def check(name: str, shown: str) -> None:
    """Compares with the snapshot of this name."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("LLMRING_TEST_UPDATE"):
        path.write_text(shown)
    assert path.exists(), f"no snapshot {path.name}: run with LLMRING_TEST_UPDATE=1 and read what it writes"
    assert shown == path.read_text()


class Terminal:
    """A terminal with one command in it: what is typed, and what shows (`shown`; line ends as they are on a terminal, \\r\\n)."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor
        self._raw = b""
        self._looked = 0
        self._more = asyncio.Event()
        self._ended = False
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            data = b""  # how Linux says that the other side is closed
        if not data:
            self._ended = True
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._raw += data
        self.shown = self._raw.decode(errors="replace")
        self._more.set()

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def enter(self, line: str) -> None:
        self.type(line + "\n")

    async def until(self, text: str) -> str:
        """Waits until this shows below what was waited for before; returns what came up to its end."""
        return await self._wait(lambda: self.shown.find(text, self._looked), len(text), text)

    async def rest(self) -> None:
        """Waits until the command waits for a key: Python's readline takes no notice of a Ctrl-C between its prompt and its
        wait until another key is pressed (Modules/readline.c, readline_until_enter_or_signal). Linux alone can tell.
        """
        status = Path(f"/proc/{self.process.pid}/stat")
        while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "S":
            await asyncio.sleep(0)

    async def end(self) -> int:
        """Waits until the command has ended and everything is shown; returns its exit code."""
        while not self._ended:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), PATIENCE_S)
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)

    async def _wait(self, find: Callable[[], int], length: int, what: str) -> str:
        while (found := find()) < 0:
            assert not self._ended, f"it ended without {what!r}: {self.shown!r}"
            self._more.clear()
            try:
                await asyncio.wait_for(self._more.wait(), PATIENCE_S)
            except TimeoutError:
                raise AssertionError(f"no {what!r} in {self.shown[self._looked :]!r}") from None
        begin, self._looked = self._looked, found + length
        return self.shown[begin : self._looked]

    def close(self) -> None:
        if not self._ended:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


def _take_terminal() -> None:
    # In the child: Ctrl-C typed into a terminal reaches the processes whose terminal it is.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@dataclass
class Shell:
    """A folder, an environment, and `run`. hidden: texts that differ from run to run, and what snapshots show for them."""

    folder: Path
    environ: dict[str, str]
    hidden: dict[str, str] = field(default_factory=dict[str, str])

    async def start(
        self, *arguments: str, stdin: int = asyncio.subprocess.PIPE, stderr: int = asyncio.subprocess.PIPE
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "llmring",
            *arguments,
            cwd=self.folder,
            env=self.environ,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )

    async def run(self, *arguments: str, stdin: str | bytes | None = None, **environ: str) -> Outcome:
        shell = Shell(self.folder, self.environ | environ)
        process = await shell.start(
            *arguments, stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE
        )
        given = stdin.encode() if isinstance(stdin, str) else stdin
        stdout, stderr = await asyncio.wait_for(process.communicate(given), PATIENCE_S)
        assert process.returncode is not None
        words = [f"{name}={value}" for name, value in environ.items()] + ["llmring", *arguments]
        command = " ".join(f"'{word}'" if " " in word or not word else word for word in words)
        return Outcome(self.clean(command), process.returncode, self.clean(stdout), self.clean(stderr))

    @asynccontextmanager
    async def terminal(
        self, *arguments: str, columns: int = 100, stdout: Path | None = None, **environ: str
    ) -> AsyncGenerator[Terminal]:
        """The command on a terminal of its own: stdin, stdout and stderr are one, unless stdout goes to a file."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        out = theirs if stdout is None else os.open(stdout, os.O_WRONLY | os.O_CREAT, 0o600)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "llmring",
            *arguments,
            cwd=self.folder,
            env={name: value for name, value in self.environ.items() if name != "COLUMNS"} | environ,
            stdin=theirs,
            stdout=out,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        for descriptor in {theirs, out}:
            os.close(descriptor)
        terminal = Terminal(ours, process)
        try:
            yield terminal
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            terminal.close()

    def clean(self, output: bytes | str) -> str:
        """As snapshots show it: without this run's paths, ports and times."""
        text = output if isinstance(output, str) else output.decode()
        for what, name in (self.hidden | {str(self.folder): "<folder>"}).items():
            text = text.replace(what, name)
        return re.sub(r"\d+\.\d\d s\b", "<time>", text)
