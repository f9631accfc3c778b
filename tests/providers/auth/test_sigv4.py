"""Signatures of ours beside botocore's, over requests that nobody thought of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from llmring.providers.auth.sigv4 import AWSCredentials, sign
from llmring.secret import Secret

NOW = 1_763_728_866.0


def botocores(
    method: str, url: str, headers: dict[str, str], body: bytes | None, token: str | None, service: str
) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(NOW, UTC)):
        signer: Any = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalr/+secret", token), service, "us-east-1")
        signer.add_auth(request)
    return dict(request.headers.items())


def ours(
    method: str, url: str, headers: dict[str, str], body: bytes | None, token: str | None, service: str
) -> dict[str, str]:
    credentials = AWSCredentials("AKIDEXAMPLE", Secret("wJalr/+secret"), None if token is None else Secret(token))
    return sign(method, url, headers, body, credentials=credentials, region="us-east-1", service=service, now=NOW)


PATHS = [
    "",
    "/",
    "/openai/v1/chat/completions",
    "/model/anthropic.claude-opus-4-6-v1:0/invoke",
    "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aprofile%2Fp/invoke",
    "/a b/ü/%7e~",
    "/a/../b/./c//d/",
]


@pytest.mark.spec("U22")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["", "?", "?b=2&a=1", "?a=%20x&a=&empty", "?sig=a=b"])
@pytest.mark.parametrize("token", [None, "session/token+=="])
def test_a_signature_is_botocores_byte_for_byte(path: str, query: str, token: str | None) -> None:
    url = f"https://bedrock-runtime.us-east-1.amazonaws.com{path}{query}"
    headers = {"Content-Type": "application/json", "User-Agent": "llmring", "X-Team": "  a   b ", "Connection": "close"}
    for body in (None, b"", b'{"a":1}'):
        assert ours("POST", url, headers, body, token, "bedrock") == botocores(
            "POST", url, headers, body, token, "bedrock"
        )


text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
path_text = text.map(lambda value: value.replace("?", "").replace("#", "").replace("[", "").replace("]", ""))
header_name = st.from_regex(r"\AX-[A-Za-z0-9-]{1,12}\Z")
header_value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@pytest.mark.spec("U22")
@given(
    method=st.sampled_from(["GET", "POST", "put"]),
    host=st.sampled_from(["https://h.example", "https://H.Example:443", "http://127.0.0.1:8080", "https://[::1]:9"]),
    segments=st.lists(path_text, max_size=4),
    pairs=st.lists(
        st.tuples(st.from_regex(r"\A[A-Za-z0-9%._~-]{0,8}\Z"), st.from_regex(r"\A[A-Za-z0-9%=._~-]{0,8}\Z"))
    ),
    headers=st.dictionaries(header_name, header_value, max_size=4),
    body=st.none() | st.binary(max_size=40),
    token=st.none() | st.from_regex(r"\A[A-Za-z0-9/+=]{1,40}\Z"),
    service=st.sampled_from(["bedrock", "bedrock-mantle"]),
)
def test_it_is_for_any_request(
    method: str,
    host: str,
    segments: list[str],
    pairs: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes | None,
    token: str | None,
    service: str,
) -> None:
    # Names that differ by case alone are one header on the wire; which of two counts is nothing to sign.
    headers = {name.lower(): value for name, value in headers.items()}
    url = host + "".join(f"/{segment}" for segment in segments)
    if pairs:
        url += "?" + "&".join(f"{name}={value}" for name, value in pairs)
    assert ours(method, url, headers, body, token, service) == botocores(method, url, headers, body, token, service)


@pytest.mark.spec("U22")
def test_an_old_signature_is_replaced() -> None:
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1/chat/completions"
    once = ours("POST", url, {"Content-Type": "application/json"}, b"{}", "old-token", "bedrock")
    again = ours("POST", url, {**once, "authorization": "Bearer x"}, b"{}", "new-token", "bedrock")
    assert again == ours("POST", url, {"Content-Type": "application/json"}, b"{}", "new-token", "bedrock")
