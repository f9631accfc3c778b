"""What must never be shown is not shown: not by printing, copying, logging, pickling, nor by a server that quotes it."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.secret import HIDDEN, SafeUrl, Scrubber, Secret, safe_url

VALUE = "sk-live-0123456789abcdef"


@dataclasses.dataclass
class Holder:
    key: Secret
    url: SafeUrl


WAYS: dict[str, Callable[[Secret], object]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "ascii": ascii,
    "f-string": lambda secret: f"{secret} {secret!r:>40} {secret:>40}",
    "str.format": lambda secret: "{0} {0!r} {0!s}".format(secret),  # noqa: UP032 - each way of formatting is a way out
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "containers": lambda secret: f"{[secret]} { {'key': secret} } {(secret,)}",
    "dir": dir,
    "slots": lambda secret: [getattr(secret, slot) for slot in Secret.__slots__],
    "copies": lambda secret: [copy.copy(secret), copy.deepcopy(secret)],
    "dataclass repr": lambda secret: Holder(secret, SafeUrl(f"https://u:{VALUE}@example.org?key={VALUE}")),
    "dataclass asdict": lambda secret: dataclasses.asdict(Holder(secret, SafeUrl(f"https://{VALUE}@example.org"))),
}


@pytest.mark.spec("S06")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_way_of_showing_a_secret_shows_it(way: Callable[[Secret], object]) -> None:
    assert VALUE not in str(way(Secret(VALUE)))


def test_reveal_gives_it_out() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert copy.deepcopy([Secret(VALUE)])[0].reveal() == VALUE


def test_a_secret_has_no_dict_and_cannot_be_pickled_or_written_as_json() -> None:
    secret = Secret(VALUE)
    with pytest.raises(TypeError):
        vars(secret)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="name of its environment variable") as caught:
            pickle.dumps(Holder(secret, SafeUrl("https://example.org")), protocol)
        assert VALUE not in str(caught.value)
    with pytest.raises(TypeError):
        json.dumps({"key": secret})


def test_a_secret_in_a_log_line_or_a_traceback_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").debug("key %s %r", secret, secret, extra={"key": secret})
    assert HIDDEN in caplog.text
    assert VALUE not in caplog.text + str(vars(caplog.records[0]))
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert VALUE not in "".join(shown.format())


def test_secrets_compare_by_value_and_an_empty_one_is_false() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert Secret("a")
    assert not Secret("")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/v1", "https://example.org/v1"),
        (f"https://user:{VALUE}@example.org:8443/v1", "https://***@example.org:8443/v1"),
        (f"https://{VALUE}@example.org", "https://***@example.org"),
        (f"https://example.org/v1?key={VALUE}#{VALUE}", "https://example.org/v1?***"),
        (f"http://a@b:{VALUE}@[::1]:80/", "http://***@[::1]:80/"),
        (f"http://[::1?{VALUE}", HIDDEN),
    ],
)
def test_an_address_shows_without_userinfo_query_and_fragment(url: str, shown: str) -> None:
    assert safe_url(url) == shown
    address = SafeUrl(url)
    assert (str(address), repr(address), f"{address}") == (shown, f"SafeUrl('{shown}')", shown)
    assert f"{address:>60}" == shown.rjust(60)
    assert address.reveal() == url
    with pytest.raises(TypeError):
        pickle.dumps(address)


# The scrubber


def scrubber(*values: str) -> Scrubber:
    told = Scrubber()
    for value in values:
        told.add(Secret(value))
    return told


@pytest.mark.spec("S06")
def test_a_secret_that_a_server_quotes_is_replaced_everywhere() -> None:
    body = f'{{"error": "bad key {VALUE}", "again": "{VALUE}{VALUE}"}}'
    wanted = '{"error": "bad key ***", "again": "******"}'
    assert scrubber(VALUE).scrub_text(body) == wanted
    assert scrubber(VALUE).scrub(body.encode()) == wanted.encode()


def test_what_holds_no_secret_is_returned_as_it_is() -> None:
    body = b"\xff\x00 nothing here"
    assert scrubber(VALUE).scrub(body) is body
    assert Scrubber().scrub_text("lone \ud800 surrogate") == "lone \ud800 surrogate"


def test_words_are_too_short_to_be_secrets() -> None:
    assert scrubber("test", "", "ollama").scrub_text("a test of ollama") == "a test of ollama"
    assert scrubber("12345678").scrub_text("12345678") == HIDDEN


@pytest.mark.parametrize("first", [0, 1])
def test_a_secret_within_a_secret_leaves_no_rest(first: int) -> None:
    values = ["abcdefgh", "abcdefgh-ijklmnop"]
    told = scrubber(values[first], values[1 - first])
    assert told.scrub_text("x abcdefgh-ijklmnop y abcdefgh z") == "x *** y *** z"


def test_secrets_that_overlap_leave_no_rest() -> None:
    assert scrubber("abcdefgh", "efghijkl").scrub_text("-abcdefghijkl-") == "-***-"
    assert scrubber("abababab").scrub_text("-ababababab-") == "-***-"


ODD = 'k/e+y="a\\b" ü€\n'


@pytest.mark.parametrize(
    "spelt",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(ODD, ensure_ascii=False)[1:-1],
        json.dumps(ODD)[1:-1].replace("/", "\\/"),
        quote(ODD),
        quote(ODD, safe=""),
        quote_plus(ODD),
        re.sub("%..", lambda code: code[0].lower(), quote(ODD, safe="")),
    ],
)
def test_escaped_spellings_are_scrubbed_too(spelt: str) -> None:
    assert scrubber(ODD).scrub_text(f"<{spelt}>") == "<***>"


@given(st.lists(st.text(min_size=8, max_size=12), min_size=1, max_size=3), st.data())
def test_no_secret_survives_whatever_stands_around_it(values: list[str], data: st.DataObject) -> None:
    pieces = st.sampled_from(values) | st.text(max_size=6)
    body = "".join(data.draw(st.lists(pieces, max_size=6)))
    encoded = scrubber(*values).scrub(body.encode("utf-8", "surrogatepass"))
    for value in values:
        if "*" not in value:
            assert value.encode("utf-8", "surrogatepass") not in encoded


@pytest.mark.spec("U22")
def test_of_tokens_that_are_renewed_all_day_the_last_few_are_hidden() -> None:
    scrubber = Scrubber()
    scrubber.add(Secret("a-key-that-stays"))
    for number in range(1000):
        scrubber.add_renewed("vertex", Secret(f"token-number-{number:04}"))
    scrubber.add_renewed("azure", Secret("another-owners-token"))
    assert scrubber.scrub_text("token-number-0999 token-number-0998 another-owners-token a-key-that-stays") == (
        "*** *** *** ***"
    )
    assert scrubber.scrub_text("token-number-0001") == "token-number-0001", (
        "it has long ended; a list of all would grow"
    )
