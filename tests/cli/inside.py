"""The command line within this process: much cheaper than one of its own. For what needs no terminal, no pipe and no signal."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.cli.shell import Outcome

from llmring.cli.main import run


@dataclass
class Inside:
    """A folder that is the current one, an environment without any key, and `run`. hidden: what snapshots show in place of texts."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    hidden: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, *arguments: str, **environ: str) -> Outcome:
        self.capsys.readouterr()
        with self.monkeypatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            code = run(list(arguments))
        stdout, stderr = self.capsys.readouterr()
        words = [*(f"{name}={value}" for name, value in environ.items()), "llmring", *arguments]
        return Outcome(self.clean(" ".join(words)), code, self.clean(stdout), self.clean(stderr))

    def clean(self, text: str) -> str:
        for what, name in sorted(
            (self.hidden | {str(self.folder): "<folder>"}).items(), key=lambda pair: -len(pair[0])
        ):
            text = text.replace(what, name)
        return text

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass
class Vendor:
    """A vendor's server as `llmring doctor` meets it. key: the one that it takes, None for an open listing. date: what its clock says.
    listing: what it lists, as JSON."""

    url: str = ""
    key: str | None = "the-right-key-0123456789"
    date: str | None = None
    listing: str = '{"data": []}'
    seen: list[str] = field(default_factory=list[str])

    @contextmanager
    def serving(self) -> Generator[None]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                vendor.seen.append(f"{self.path} {given}")
                is_listing = self.path.partition("?")[0].endswith("/models")
                refused = is_listing and vendor.key is not None and given != f"Bearer {vendor.key}"
                # A vendor that quotes the key it refuses.
                body = f'{{"error": {{"message": "no such key: {given}"}}}}' if refused else vendor.listing
                self.send_response_only(401 if refused else 200 if is_listing else 404)
                self.send_header("Date", vendor.date or self.date_time_string())
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                return None

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/v1"
            try:
                yield
            finally:
                server.shutdown()
                thread.join()
