"""Cassettes: what providers really answered, recorded once into a file that is committed, and played back without a network or a key."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, TypeAlias, get_args

from llmring import env
from llmring.clock import SystemClock
from llmring.exceptions import ConfigurationError, LiveRequestError
from llmring.providers.table import PROVIDERS
from llmring.secret import Scrubber, Secret, safe_url
from llmring.transport.base import HTTPReply, HTTPRequest, Transport
from llmring.transport.http import HTTPTransport
from llmring.transport.replay import RecordingTransport, ReplayTransport, load_recording

RecordMode: TypeAlias = Literal["none", "missing", "all"]
"""none: what is recorded is played, and nothing is asked. missing: as none where there is a file, else it is recorded. all: recorded
anew."""

# Long enough for whoever checks a key's form, and unlike any.
_STAND_IN: Final = "replayed-no-key"


class Cassette:
    """One file of recorded exchanges: `async with Cassette(path) as cassette:`, then `LLMRing(transport=cassette.transport)`.

    The pytest fixture `cassette` makes one for a test. record: see RecordMode. Played back, a request is answered by the first recorded
    one of the same method, URL and body (as JSON) that was not used yet, chunk by chunk as it came; any other raises LiveRequestError.

    Raises ConfigurationError for a file that is no recording, LiveRequestError where there is none and nothing is to be recorded.
    """

    def __init__(self, path: str | os.PathLike[str], *, record: RecordMode = "none") -> None:
        if record not in get_args(RecordMode):
            raise ConfigurationError(f"Cassette: record={record!r}", hint="one of none, missing, all")
        self.path = Path(path)
        self._scrubber = Scrubber()
        self.is_recording = record == "all" or (record == "missing" and not self.path.exists())
        self._network: HTTPTransport | None = None
        self._recording: RecordingTransport | None = None
        self._replay: ReplayTransport | None = None
        self.keys: tuple[str, ...]
        if self.is_recording:
            environ = env.load()
            self.keys = tuple(sorted(name for name in _key_variables() if env.get(name, environ)))
            for name in self.keys:
                self.hide(env.get(name, environ) or "")
        elif self.path.exists():
            recording = load_recording(self.path)
            self.keys = recording.keys
            self._replay = ReplayTransport(recording.exchanges, self._scrubber)
        else:
            raise LiveRequestError(
                f"nothing is recorded in {self.path}",
                host="",
                hint="record it once, with keys and network: pytest --llmring-record=missing",
            )

    @property
    def transport(self) -> Transport:
        """What `LLMRing(transport=…)` takes. A ring leaves it open when it closes: several may share it."""
        if self._replay is not None:
            return _Kept(self._replay)
        if self._recording is None:
            self._network = HTTPTransport(clock=SystemClock())
            self._recording = RecordingTransport(self._network, self._scrubber)
        return _Kept(self._recording)

    @property
    def unused(self) -> list[str]:
        """What was recorded and nobody has asked for: methods and URLs. Empty while it records."""
        exchanges = [] if self._replay is None else self._replay.unused
        return [f"{exchange.method} {safe_url(exchange.url)}" for exchange in exchanges]

    def stand_ins(self) -> dict[str, str]:
        """What key variables are to hold while it plays: something for each key that there was when it was recorded, nothing for any other
        provider's. So the same models of a pool can be asked, whoever runs the test. Empty while it records."""
        if self.is_recording:
            return {}
        return {name: _STAND_IN if name in self.keys else "" for name in _key_variables()}

    def hide(self, text: str) -> None:
        """This text, of 8 characters or more, is *** in the file, wherever it stands; a request that holds it finds its recording all the
        same. Keys are hidden unasked: those of the environment, and those that go into a header or a query."""
        self._scrubber.add(Secret(text))

    async def __aenter__(self) -> Cassette:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes the file where something was recorded and nothing was raised."""
        if self._network is not None:
            await self._network.close()
        if self._recording is not None and self._recording.exchanges and kind is None:
            self._recording.save(self.path, keys=self.keys)


def _key_variables() -> set[str]:
    return {name for row in PROVIDERS.values() for name in row.key_variables}


class _Kept:
    """A transport that its ring does not close."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def send(
        self, request: HTTPRequest, *, connect_s: float | None = None, until: float | None = None
    ) -> HTTPReply:
        return await self._inner.send(request, connect_s=connect_s, until=until)

    async def close(self) -> None:
        """The cassette does."""
