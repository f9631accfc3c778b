"""The feature × dialect matrix: each cell is a case that goes over a real connection, or a limit of the vendor's that is true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.wire.matrix import CASES, FEATURES, Cell, Feature, cells, dialects

from llmring import LLMRequest, LLMResponse, LLMRing, RetryPolicy, exceptions
from llmring.exceptions import ConfigurationError, ProviderError, StreamInterruptedError
from llmring.registry.model_info import ModelInfo
from llmring.testing import Exact, FakeProvider
from llmring.wire.base import Quirks, Target
from llmring.wire.table import DIALECTS, get_dialect

ALL = [(dialect, feature) for dialect in dialects() for feature in FEATURES]
HEADERS = {"content-type": "application/json", "connection": "close"}


def each_cell() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("dialect", "name"), ALL, ids=[f"{dialect}-{name}" for dialect, name in ALL])


def meta_of(case: Path) -> dict[str, Any]:
    return json.loads((case / "case.json").read_bytes())


def stream_of(case: Path) -> bytes | None:
    paths = [case / name for name in ("wire_stream.sse", "wire_stream.ndjson")]
    return next((path.read_bytes() for path in paths if path.exists()), None)


def request_of(case: Path) -> LLMRequest:
    return LLMRequest.model_validate_json((case / "request.json").read_bytes())


def a_ring(fake: FakeProvider, dialect: str) -> LLMRing:
    provider = {"base_url": fake.base_url_of(dialect), "dialect": dialect, "auth": "none"}
    # Each cell is one attempt's.
    return LLMRing(
        providers={"under-test": provider}, dotenv=False, retry=RetryPolicy(attempts=1, max_rate_limit_wait_s=0)
    )


def test_every_dialect_of_chat_has_every_line_of_the_matrix() -> None:
    assert set(dialects()) == {name for name in DIALECTS if name != "cohere_embed"}
    for dialect in dialects():
        assert set(cells(dialect)) == set(FEATURES), dialect


@pytest.mark.spec("K05", "K08", "L03", "L04", "N15", "U12", "U14", "U15", "U16")
@each_cell()
async def test_a_cell_of_the_matrix_is_true(dialect: str, name: str) -> None:
    cell, feature = cells(dialect)[name], FEATURES[name]
    if isinstance(cell, dict):
        check_limit(dialect, feature, cell)
    elif feature.how == "embeddings":
        await check_embeddings(dialect)
    elif feature.how == "token_count":
        await check_token_count(dialect)
    else:
        asks, answers = (CASES / dialect / name for name in ([cell, cell] if isinstance(cell, str) else cell))
        assert asks.is_dir(), f"no case {asks.name}"
        assert answers.is_dir(), f"no case {answers.name}"
        if feature.how == "truncation":
            await check_truncation(dialect, answers)
        elif feature.error is not None:
            await check_error(dialect, feature, answers)
        else:
            await check_case(dialect, feature, asks, answers)


# What a case shows --------------------------------------------------------------------------------------------------


async def check_case(dialect: str, feature: Feature, asks: Path, answers: Path) -> None:
    assert feature.asked is not None or feature.answered is not None
    if feature.asked is not None:
        request = request_of(asks)
        assert feature.asked(request), "the case's request does not ask for it"
        await check_request(dialect, asks, request)
    if feature.answered is not None:
        wanted = LLMResponse.from_dict(json.loads((answers / "response.json").read_bytes()))
        assert feature.answered(wanted), "the case's response does not show it"
        await check_answer(dialect, feature, answers, wanted)


async def check_request(dialect: str, case: Path, request: LLMRequest) -> None:
    """What the case says is what a server is sent, where the ring can be told all that the case says."""
    meta = meta_of(case)
    wanted = json.loads((case / "wire_request.json").read_bytes())
    if meta.get("quirks") or meta.get("provider"):
        return  # test_cases.py writes it for its target
    async with FakeProvider() as fake, a_ring(fake, dialect) as ring:
        asked = request.model_copy(update={"model": f"under-test:{meta.get('model') or wanted['model']}"})
        if meta.get("stream"):
            async for _ in ring.chat_stream(asked):
                pass
        else:
            fake.script(Exact(400, HEADERS, [b"{}"]))  # what is asked counts, not what is answered
            with pytest.raises(ProviderError):
                await ring.chat(asked)
    assert fake.received[0].body == wanted


async def check_answer(dialect: str, feature: Feature, case: Path, wanted: LLMResponse) -> None:
    """The recorded bytes, served over a connection, give the case's response."""
    meta = meta_of(case)
    stream, reply = stream_of(case), case / "wire_reply.json"
    async with FakeProvider() as fake, a_ring(fake, dialect) as ring:
        request = LLMRequest(model="under-test:m", messages="hi")
        if not feature.streamed and reply.exists():
            fake.script(Exact(200, HEADERS, [reply.read_bytes()]))
            check_same(await ring.chat(request), wanted, plain=True, meta=meta)
        if feature.streamed or not reply.exists():
            assert stream is not None, "the case has no stream"
            fake.script(Exact(200, {**HEADERS, "content-type": get_dialect(dialect).stream_type}, [stream]))
            async with ring.chat_stream(request) as chunks:
                async for _ in chunks:
                    pass
            assert chunks.response is not None
            check_same(chunks.response, wanted, plain=False, meta=meta)


SHOWN = (
    "content",
    "reasoning",
    "refusal",
    "tool_calls",
    "blocks",
    "logprobs",
    "citations",
    "finish_reason",
    "raw_finish_reason",
)


def check_same(response: LLMResponse, wanted: LLMResponse, *, plain: bool, meta: dict[str, Any]) -> None:
    for name in SHOWN:
        assert getattr(response, name) == getattr(wanted, name), name
    twins_differ = plain and (meta.get("twin_cached_tokens_differ") or meta.get("twin_ids_differ"))
    if not wanted.usage.total_tokens:
        assert response.usage.estimated
    elif not twins_differ:
        assert response.usage == wanted.usage


async def check_error(dialect: str, feature: Feature, case: Path) -> None:
    meta = meta_of(case)
    kind: type[Exception] = getattr(exceptions, meta["error"]["class"])
    assert feature.error in ("*", kind.__name__)
    async with FakeProvider() as fake, a_ring(fake, dialect) as ring:
        request = LLMRequest(model="under-test:m", messages="hi")
        if not feature.streamed:
            fake.script(
                Exact(meta["status"], {**HEADERS, **meta["headers"]}, [(case / "wire_reply.json").read_bytes()])
            )
            with pytest.raises(kind):
                await ring.chat(request)
            return
        stream = stream_of(case)
        assert stream is not None, "the case has no stream"
        fake.script(Exact(200, {**HEADERS, "content-type": get_dialect(dialect).stream_type}, [stream]))
        # Before any content it is the error itself; after it, a stream that was interrupted by it.
        with pytest.raises(ProviderError) as caught:
            async for _ in ring.chat_stream(request):
                pass
        error = caught.value
        assert isinstance(error, kind) or (
            isinstance(error, StreamInterruptedError) and isinstance(error.__cause__, kind)
        )


async def check_truncation(dialect: str, case: Path) -> None:
    stream = stream_of(case)
    assert stream is not None
    facts = json.loads((CASES / dialect / "dialect.json").read_bytes())
    last = stream.rfind(facts["terminal"].encode())
    end = max(match.end() for match in re.finditer(facts["cut_after"].encode(), stream) if match.end() <= last)
    async with FakeProvider() as fake, a_ring(fake, dialect) as ring:
        fake.script(Exact(200, {**HEADERS, "content-type": get_dialect(dialect).stream_type}, [stream[:end]]))
        with pytest.raises(StreamInterruptedError) as caught:
            async for _ in ring.chat_stream(LLMRequest(model="under-test:m", messages="hi")):
                pass
    assert caught.value.partial is not None
    assert caught.value.partial.content
    assert caught.value.partial.finish_reason == "error"


async def check_embeddings(dialect: str) -> None:
    async with FakeProvider() as fake, a_ring(fake, dialect) as ring:
        answer = await ring.embed("under-test:m", ["one text", "another text"])
    assert len(answer.embeddings) == 2
    assert answer.usage.prompt_tokens == 4


async def check_token_count(dialect: str) -> None:
    async with FakeProvider() as fake, a_ring(fake, dialect) as ring:
        count = await ring.count_tokens(LLMRequest(model="under-test:m", messages="four words of prompt"))
    assert count.tokens == 4
    assert count.exact


# What a vendor has no words for -------------------------------------------------------------------------------------


def check_limit(dialect: str, feature: Feature, cell: dict[str, Any]) -> None:
    assert set(cell) <= {"limit", "url", "date", "refused", "left_out", "quirks", "fetched"}
    assert len(cell["limit"]) > 20
    assert cell["url"].startswith("https://"), "a limit names the vendor's page that says so"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", cell["date"])
    spoken = get_dialect(dialect)
    match feature.how:
        case "embeddings":
            assert spoken.embeddings is None
            return
        case "token_count":
            assert spoken.token_count is None
            return
        case _:
            pass
    if feature.asked is None:
        return  # what a server never says cannot be asked for
    asked = cell.get("refused") or cell.get("left_out")
    assert asked is not None, "a limit on requests shows what becomes of such a request"
    request = LLMRequest.model_validate({"model": "m", "messages": "hi", **asked})
    assert feature.asked(request), "the limit's request does not ask for it"
    target = Target("under-test", "m", ModelInfo("under-test:m"), Quirks(**cell.get("quirks", {})))
    if "refused" in cell:
        with pytest.raises(ConfigurationError):
            spoken.encode(request, target, stream=False)
    else:
        encoded = spoken.encode(request, target, stream=False)
        assert encoded.warnings, "what is left out is said"
        orjson.dumps(encoded.body)


def limits() -> Iterator[tuple[str, str, Cell]]:
    for dialect in dialects():
        for name, cell in cells(dialect).items():
            if isinstance(cell, dict):
                yield dialect, name, cell
