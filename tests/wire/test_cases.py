"""Every case folder of every dialect: `cases/<dialect>/<case>/`. A new case, and a new dialect, needs no Python.

cases/<dialect>/dialect.json: `terminal`, what stands in a stream's last event and in no other; `cut_after`, what ends an event.

case.json: source, and what is special (quirks, stream, warnings, status, headers, error, seen_at_the_end, …). request.json →
wire_request.json: what we write. wire_reply.json, wire_stream.sse → events.json (the stream's, where there is one) →
response.json: what we read.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import json
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from llmring import exceptions
from llmring.exceptions import LLMRingError, ProviderError, StreamInterruptedError
from llmring.registry.model_info import ModelInfo
from llmring.schemas import LLMRequest, LLMResponse, events
from llmring.schemas.events import Event, Finished
from llmring.schemas.fold import fold
from llmring.wire.base import Dialect, EncodedRequest, Quirks, Target
from llmring.wire.table import DIALECTS, get_dialect

CASES = sorted(path for path in (Path(__file__).parent / "cases").glob("*/*") if path.is_dir())
STREAMS = ("wire_stream.sse", "wire_stream.ndjson")
SEED = 20261121


def has_server_side(dialect: str) -> bool:
    """Whether we speak it as a server too: the gateway does, in some."""
    return hasattr(importlib.import_module(f"llmring.wire.{dialect}"), "decode_request")


def _has(case: Path, name: str) -> bool:
    return _stream_path(case) is not None if name == "wire_stream" else (case / name).exists()


def _stream_path(case: Path) -> Path | None:
    return next((case / name for name in STREAMS if (case / name).exists()), None)


def _stream(case: Path) -> bytes:
    path = _stream_path(case)
    assert path is not None
    return path.read_bytes()


def having(*names: str, without: str = "", of: Callable[[str], bool] = lambda _: True) -> pytest.MarkDecorator:
    """Each case that has all of these files. of: of which dialects."""
    folders = [
        folder
        for folder in CASES
        if all(_has(folder, name) for name in names)
        and not (without and _meta(folder).get(without))
        and of(folder.parent.name)
    ]
    return pytest.mark.parametrize("case", folders, ids=[f"{folder.parent.name}-{folder.name}" for folder in folders])


def _meta(case: Path) -> dict[str, Any]:
    return json.loads((case / "case.json").read_bytes())


def _dialect_facts(case: Path) -> dict[str, str]:
    return json.loads((case.parent / "dialect.json").read_bytes())


def _terminal(case: Path) -> bytes:
    return _dialect_facts(case)["terminal"].encode()


def _dialect(case: Path) -> Dialect:
    return get_dialect(case.parent.name)


def _target(case: Path) -> Target:
    quirks: dict[str, Any] = dict(_meta(case).get("quirks", {}))
    for name, value in quirks.items():
        if isinstance(value, list):  # JSON knows neither sets nor tuples
            items = cast("list[Any]", value)
            quirks[name] = frozenset(items) if isinstance(getattr(Quirks(), name), frozenset) else tuple(items)
    wire = json.loads((case / "wire_request.json").read_bytes())
    # A dialect whose model stands in the path, not in the body, names it in case.json.
    provider, model = _meta(case).get("provider", "openai"), _meta(case).get("model") or wire["model"]
    return Target(provider, model, ModelInfo(f"{provider}:{model}"), Quirks(**quirks))


def _encode(case: Path, request: LLMRequest) -> EncodedRequest:
    return _dialect(case).encode(request, _target(case), stream=bool(_meta(case).get("stream")))


def _request(case: Path) -> LLMRequest:
    return LLMRequest.model_validate_json((case / "request.json").read_bytes())


def _as_data(event: Event) -> dict[str, Any]:
    fields = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return {"event": type(event).__name__, **json.loads(orjson.dumps(fields))}


def _run(dialect: Dialect, pieces: Iterable[bytes]) -> tuple[list[Event], LLMRingError | None]:
    """All events of a stream, and the error that it ended with."""
    decoder = dialect.decode_stream()
    seen: list[Event] = []
    try:
        for piece in pieces:
            seen += decoder.feed(piece)
        seen += decoder.close()
    except LLMRingError as error:
        return seen, error
    return seen, None


def _outcome(dialect: Dialect, pieces: Iterable[bytes]) -> tuple[list[Event], str]:
    seen, error = _run(dialect, pieces)
    return seen, repr(error)


# What we write ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("U10", "D01", "D02", "D09", "D10", "D11", "U28", "U42", "Z13", "A10")
@pytest.mark.spec("G06", "G27", "G28", "K06", "L03", "L04", "N15", "U12", "U13", "U14", "U15", "U16")
@having("request.json")
def test_a_request_is_written_as_the_dialect_wants_it(case: Path) -> None:
    encoded = _encode(case, _request(case))
    assert json.loads(orjson.dumps(encoded.body)) == json.loads((case / "wire_request.json").read_bytes())
    if "path" in _meta(case):
        assert encoded.path == _meta(case)["path"]
    assert encoded.headers == _meta(case).get("request_headers", {})
    assert [w.split()[0] for w in sorted(encoded.warnings)] == sorted(_meta(case).get("warnings", []))


@pytest.mark.spec("U27")
@having("request.json")
def test_writing_a_request_does_not_change_it(case: Path) -> None:
    request = _request(case)
    before = copy.deepcopy(request)
    _encode(case, request)
    assert request == before


@having("request.json", of=has_server_side)
def test_what_we_write_as_a_client_we_read_as_a_server(case: Path) -> None:
    decode_request = importlib.import_module(f"llmring.wire.{case.parent.name}").decode_request
    request = _request(case)
    encoded = _encode(case, request)
    read = decode_request(json.loads(orjson.dumps(encoded.body)))
    assert read.model == encoded.body["model"]
    again = _encode(case, read).body
    assert json.loads(orjson.dumps(again)) == json.loads(orjson.dumps(encoded.body))
    if not _meta(case).get("one_way") and not _meta(case).get("warnings"):
        assert read == request.model_copy(update={"model": read.model, "extra_params": read.extra_params})


# What we read -------------------------------------------------------------------------------------------------------


@pytest.mark.spec("P07", "S04", "S07", "U11", "K05", "K08", "S11", "U14", "U15", "U16")
@having("wire_stream", "events.json")
def test_a_stream_gives_its_events_and_they_fold_to_its_response(case: Path) -> None:
    seen, error = _run(_dialect(case), [_stream(case)])
    assert [_as_data(event) for event in seen] == json.loads((case / "events.json").read_bytes())
    if not _meta(case).get("error"):
        assert error is None
        assert fold(seen) == LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))


@pytest.mark.spec("P07", "S04", "S07", "U11", "K05", "K08", "S11", "U14", "U15", "U16")
@having("wire_reply.json", "response.json")
def test_a_reply_folds_to_the_same_response_as_its_stream(case: Path) -> None:
    seen = _dialect(case).decode((case / "wire_reply.json").read_bytes())
    read = fold(seen)
    wanted = LLMResponse.from_dict(json.loads((case / "response.json").read_bytes()))
    if _meta(case).get("twin_ids_differ"):
        read.response_id = wanted.response_id = None
    if _meta(case).get("twin_cached_tokens_differ"):
        read.usage["cache_read_tokens"] = wanted.usage["cache_read_tokens"] = 0
    assert read == wanted
    assert sum(isinstance(event, Finished) for event in seen) == 1


@having("wire_reply.json", "events.json", "response.json")
def test_a_reply_without_a_stream_gives_its_events(case: Path) -> None:
    if _stream_path(case) is not None:
        return  # then events.json holds the stream's
    seen = _dialect(case).decode((case / "wire_reply.json").read_bytes())
    assert [_as_data(event) for event in seen] == json.loads((case / "events.json").read_bytes())


def _places(data: bytes) -> list[int]:
    """Where to split: everywhere; in long recordings, near every line end and at every eleventh byte."""
    if len(data) <= 2500:
        return list(range(len(data) + 1))
    near = {end + n for end, byte in enumerate(data) if byte in b"\r\n" for n in (-1, 0, 1, 2)}
    return sorted(near | set(range(0, len(data), 11)))


@having("wire_stream")
def test_any_split_of_the_bytes_gives_the_same_events(case: Path) -> None:
    dialect, data = _dialect(case), _stream(case)
    whole = _outcome(dialect, [data])
    assert _outcome(dialect, [data[n : n + 1] for n in range(len(data))]) == whole
    for place in _places(data):
        assert _outcome(dialect, [data[:place], data[place:]]) == whole, f"split at {place}"


@pytest.mark.spec("X01", "S04")
@having("wire_stream", "response.json")
def test_a_stream_cut_after_any_event_is_an_error_and_keeps_what_came(case: Path) -> None:
    dialect, data = _dialect(case), _stream(case)
    whole, _ = _run(dialect, [data])
    last = data.rfind(_terminal(case))
    assert last > 0, "the terminal event does not say what dialect.json says it does"
    blank = _dialect_facts(case)["cut_after"].encode()
    ends = [0, *(match.end() for match in re.finditer(blank, data) if match.end() <= last)]
    assert len(ends) > 1
    for end in ends:
        seen, error = _run(dialect, [data[:end]])
        assert isinstance(error, StreamInterruptedError), f"cut at {end}"
        assert seen == whole[: len(seen)]
        assert not any(isinstance(event, Finished) for event in seen)


@pytest.mark.spec("RT02", "X01")
def test_seeded_cuts_of_streams_at_any_byte_are_all_typed_errors_without_an_invented_finish() -> None:
    folders = [f for f in CASES if _stream_path(f) is not None and (f / "response.json").exists()]
    draw = random.Random(SEED)
    for _ in range(40 * len(DIALECTS)):
        case = draw.choice(folders)
        data = _stream(case)
        end = draw.randrange(data.rfind(_terminal(case)) + len(_terminal(case)) - 1)
        seen, error = _run(_dialect(case), [data[:end]])
        assert isinstance(error, StreamInterruptedError), f"{case.name} cut at {end}"
        assert fold(seen).finish_reason is None


# Errors -------------------------------------------------------------------------------------------------------------


def _check_error(error: LLMRingError | None, case: Path) -> None:
    wanted = dict(_meta(case)["error"])
    assert isinstance(error, ProviderError)
    assert type(error) is getattr(exceptions, wanted.pop("class"))
    assert {name: getattr(error, name) for name in wanted} == wanted


@pytest.mark.spec("S08", "U17")
@having("wire_reply.json", without="response")
def test_an_error_reply_is_classified(case: Path) -> None:
    meta, body = _meta(case), (case / "wire_reply.json").read_bytes()
    if not meta.get("error"):
        return
    if meta["status"] != 200:
        _check_error(_dialect(case).classify(meta["status"], meta["headers"], body), case)
        return
    with pytest.raises(ProviderError) as caught:
        _dialect(case).decode(body)
    _check_error(caught.value, case)


@pytest.mark.spec("U17")
@having("wire_stream")
def test_an_error_inside_a_stream_is_classified_after_the_events_before_it(case: Path) -> None:
    if not _meta(case).get("error"):
        return
    decoder = _dialect(case).decode_stream()
    data = _stream(case)
    seen: list[Event] = []
    with pytest.raises(ProviderError) as caught:
        seen += decoder.feed(data)
        assert decoder.finished != bool(_meta(case).get("seen_at_the_end"))
        seen += decoder.close()
    assert [_as_data(event) for event in seen] == json.loads((case / "events.json").read_bytes())
    _check_error(caught.value, case)


# The folders themselves ---------------------------------------------------------------------------------------------


def test_every_case_names_its_source_and_has_what_belongs_together() -> None:
    for case in CASES:
        names = {path.name for path in case.iterdir()}
        assert len(_meta(case)["source"]) > 20, case
        assert ("request.json" in names) == ("wire_request.json" in names), case
        reads = names & {"wire_reply.json", *STREAMS}
        if reads and not _meta(case).get("error"):
            assert {"events.json", "response.json"} <= names, case
        assert case.parent.name in DIALECTS, case
        for name in names:
            if name == "events.json":
                known = {kind for kind in vars(events) if kind[0].isupper()}
                assert {event["event"] for event in json.loads((case / name).read_bytes())} <= known
