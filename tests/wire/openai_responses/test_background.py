"""Background answers, the pure part: how far one is, and which addresses its id leads to."""

import json
from typing import Any

import pytest

from llmring.exceptions import MalformedResponseError
from llmring.wire.base import WorksInBackground
from llmring.wire.openai_responses import DIALECT

assert isinstance(DIALECT, WorksInBackground)
CODEC = DIALECT.background


def body(**fields: Any) -> bytes:
    return json.dumps({"object": "response", "output": [], **fields}).encode()


@pytest.mark.spec("A12")
@pytest.mark.parametrize(
    ("status", "is_done"),
    [
        ("queued", False),
        ("in_progress", False),
        ("completed", True),
        ("incomplete", True),
        ("failed", True),
        ("cancelled", True),
    ],
)
def test_a_response_is_done_unless_it_says_that_it_waits_or_works(status: str, is_done: bool) -> None:
    job = CODEC.read(body(id="resp_1", status=status))
    assert (job.id, job.is_done) == ("resp_1", is_done)


@pytest.mark.spec("A12")
def test_polls_and_cancels_go_to_the_address_of_the_response() -> None:
    poll, cancel = CODEC.encode_poll("resp_1"), CODEC.encode_cancel("resp_1")
    assert (poll.method, poll.path, poll.body) == ("GET", "/responses/resp_1", {})
    assert (cancel.method, cancel.path, cancel.body) == ("POST", "/responses/resp_1/cancel", {})


@pytest.mark.parametrize(
    "id", ["../files", "..", ".", "a/b", "a?b=c", "a#b", "a b", "", "é", "x" * 300, 7, None, ["a"], "a\r\nb"]
)
def test_an_id_that_could_lead_elsewhere_is_refused(id: object) -> None:
    with pytest.raises(MalformedResponseError):
        CODEC.read(body(id=id, status="queued"))


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b"{", b"null"])
def test_what_is_no_response_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        CODEC.read(data)


def test_an_answer_that_is_done_needs_no_id() -> None:
    assert CODEC.read(body(status="completed")).is_done
