"""The tree on the page of exceptions is true, and each error keeps its facts wherever it travels."""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import llmring
from llmring import exceptions
from llmring.exceptions import (
    AttemptRecord,
    CircuitBreakerError,
    ConfigurationError,
    DeadlineExceededError,
    LLMRingError,
    MissingCredentialError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ResponseTimeoutError,
    ResponseTooLargeError,
    SchemaConversionError,
    SchemaValidationError,
    StreamInterruptedError,
    ToolExecutionError,
)
from llmring.schemas import LLMResponse

PACKAGE = Path(inspect.getfile(exceptions)).parent

ERRORS: dict[str, type[LLMRingError]] = {
    name: kind
    for name, kind in vars(exceptions).items()
    if isinstance(kind, type) and issubclass(kind, LLMRingError) and name == kind.__name__ and name[0] != "_"
}

RAISED_IN_TESTS = {"LiveRequestError"}  # by `no_live_requests` alone

FACTS: dict[str, Any] = {
    "attempts": (AttemptRecord("a", "m", "ProviderTimeoutError", "late", None, 0.5),),
    "close_matches": ("fast",),
    "code": "rate_limit",
    "content": "{}",
    "found": "sha256:11",
    "hint": "wait",
    "host": "example.org",
    "locked": "sha256:00",
    "model": "gpt",
    "name": "fats",
    "original_error": ValueError("no"),
    "partial": LLMResponse("Hel"),
    "path": "/a/0",
    "provider": "openai",
    "request_id": "req_1",
    "response": LLMResponse("{}"),
    "retry_after_s": 2.5,
    "retryable": True,
    "served": "gpt-mini",
    "status": 429,
    "tool_name": "add",
}


def make(kind: type[LLMRingError], *, every_fact: bool = True) -> LLMRingError:
    takes = list(inspect.signature(kind).parameters.values())[1:]
    return kind("it failed", **{f.name: FACTS[f.name] for f in takes if every_fact or f.default is f.empty})


def tree_of(docstring: str) -> dict[str, str | None]:
    """Each class that the docstring draws, with the class above it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for line in docstring.splitlines():
        if drawn := re.match(r"((?:│   |    |├── |└── )*)(\w+Error)\b", line):
            depth = len(drawn[1]) // 4
            del above[depth:]
            parents[drawn[2]] = above[-1] if above else None
            above.append(drawn[2])
    return parents


def public_parent(kind: type[LLMRingError]) -> str | None:
    return next((base.__name__ for base in kind.__mro__[1:] if base.__name__ in ERRORS), None)


@pytest.mark.spec("S05")
def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert tree_of(exceptions.__doc__ or "") == {name: public_parent(kind) for name, kind in ERRORS.items()}


@pytest.mark.spec("S05")
@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (ConfigurationError, [LLMRingError]),
        (SchemaConversionError, [ConfigurationError]),
        (ToolExecutionError, [LLMRingError]),
        (SchemaValidationError, [LLMRingError]),
        (ProviderAuthenticationError, [ProviderError, LLMRingError]),
        (MissingCredentialError, [ProviderAuthenticationError]),
        (ProviderRateLimitError, [ProviderError]),
        (ProviderTimeoutError, [ProviderError]),
        (DeadlineExceededError, [ProviderTimeoutError]),
        (ModelNotFoundError, [ProviderError]),
        (ProviderResponseError, [ProviderError]),
        (ProviderConnectionError, [ProviderResponseError]),
        (CircuitBreakerError, [ProviderError]),
        (ProviderNotFoundError, [ConfigurationError]),
    ],
)
def test_an_error_can_be_caught_by_what_it_is(kind: type[LLMRingError], bases: list[type[LLMRingError]]) -> None:
    for base in (*bases, LLMRingError, Exception):
        with pytest.raises(base):
            raise make(kind)


@pytest.mark.spec("S05")
def test_no_error_takes_a_builtin_name_or_is_a_builtin_error() -> None:
    for name, kind in ERRORS.items():
        assert name not in vars(builtins)
        assert not issubclass(kind, (OSError, ValueError, TimeoutError, KeyError))


@pytest.mark.spec("S12")
def test_response_timeout_is_another_name_for_provider_timeout() -> None:
    assert ResponseTimeoutError is ProviderTimeoutError
    assert llmring.ResponseTimeoutError is ProviderTimeoutError


@pytest.mark.spec("U34")
@pytest.mark.parametrize("name", sorted({*ERRORS, "ResponseTimeoutError", "AttemptRecord"} - RAISED_IN_TESTS))
def test_every_error_can_be_imported_from_the_top(name: str) -> None:
    assert getattr(llmring, name) is getattr(exceptions, name)
    assert name in llmring.__all__


@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_every_error_has_a_docstring_that_tells_it_apart(kind: type[LLMRingError]) -> None:
    assert "__doc__" in vars(kind)
    assert kind.__doc__


# Facts


@pytest.mark.spec("S06")
@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_facts_are_fields(kind: type[LLMRingError]) -> None:
    error = make(kind)
    wanted = {fact: FACTS[fact] for fact in list(inspect.signature(kind).parameters)[1:]}
    assert error.facts() == wanted
    for name, value in wanted.items():
        assert getattr(error, name) == value
    assert (error.message, error.hint) == ("it failed", "wait")


@pytest.mark.spec("S06")
@pytest.mark.parametrize("kind", [kind for kind in ERRORS.values() if issubclass(kind, ProviderError)])
def test_every_provider_error_takes_every_fact_of_a_provider_error(kind: type[ProviderError]) -> None:
    common = set(list(inspect.signature(ProviderError).parameters)[1:])
    assert common <= set(inspect.signature(kind).parameters)
    bare = kind("it failed")
    assert (bare.provider, bare.model, bare.status, bare.code, bare.attempts) == ("", "", None, None, ())
    assert (bare.request_id, bare.retry_after_s, bare.retryable) == (None, None, kind.retryable)


@pytest.mark.spec("S06")
def test_str_names_who_what_and_how_often() -> None:
    attempt = AttemptRecord("openai", "gpt", "ProviderTimeoutError", "late", None, 0.5)
    error = ProviderRateLimitError(
        "too many requests",
        provider="openai",
        model="gpt",
        status=429,
        code="rate_limit",
        request_id="req_1",
        hint="wait 2 s",
        attempts=(attempt, attempt),
    )
    assert str(error) == (
        "openai:gpt: too many requests (wait 2 s) [status 429, code rate_limit, request id req_1] after 2 attempts"
    )
    assert str(ProviderError("it failed")) == "it failed"
    assert str(ConfigurationError("it failed", hint="do this")) == "it failed (do this)"


@pytest.mark.spec("S05")
@pytest.mark.parametrize(
    ("kind", "retryable"),
    [
        (ProviderRateLimitError, True),
        (ProviderTimeoutError, True),
        (ProviderResponseError, True),
        (ProviderConnectionError, True),
        (StreamInterruptedError, True),
        (CircuitBreakerError, True),
        (DeadlineExceededError, False),
        (ResponseTooLargeError, False),
        (ProviderAuthenticationError, False),
        (ModelNotFoundError, False),
    ],
)
def test_each_class_says_whether_another_try_may_help_and_one_error_may_differ(
    kind: type[ProviderError], retryable: bool
) -> None:
    assert kind("it failed").retryable is retryable
    assert kind("it failed", retryable=not retryable).retryable is not retryable
    assert kind("it failed").retryable is retryable


def test_a_tool_error_names_the_tool_and_keeps_what_it_raised() -> None:
    original = ValueError("no")
    error = ToolExecutionError("add failed", tool_name="add", original_error=original)
    assert (error.tool_name, error.original_error) == ("add", original)


# Travel


@pytest.mark.spec("S06")
@pytest.mark.parametrize("every_fact", [True, False])
@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_an_error_crosses_process_boundaries_whole(kind: type[LLMRingError], every_fact: bool) -> None:
    error = make(kind, every_fact=every_fact)
    error.add_note("seen in worker 3")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert (str(twin), twin.message, twin.args) == (str(error), error.message, error.args)
        assert twin.__notes__ == ["seen in worker 3"]
        facts, twins = error.facts(), twin.facts()
        assert repr(facts.pop("original_error", None)) == repr(twins.pop("original_error", None))
        assert twins == facts


def test_a_users_own_subclass_with_its_own_arguments_pickles_too() -> None:
    twin = pickle.loads(pickle.dumps(OwnError("app", 3)))
    assert (type(twin), twin.level, str(twin)) == (OwnError, 3, "app failed")


class OwnError(ConfigurationError):
    def __init__(self, what: str, level: int) -> None:
        super().__init__(f"{what} failed")
        self.level = level


# What an error may not hold


@pytest.mark.spec("S06")
@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_no_error_takes_a_request_headers_or_a_key(kind: type[LLMRingError]) -> None:
    for name in inspect.signature(kind).parameters:
        assert not re.search(r"request$|header|key|secret|token|body|url", name), name


@pytest.mark.spec("S06")
@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_str_and_repr_show_no_answer_and_nothing_a_tool_saw(kind: type[LLMRingError]) -> None:
    said = "the launch code is 0000"
    takes = list(inspect.signature(kind).parameters.values())[1:]
    hidden: dict[str, Any] = {
        "content": said,
        "partial": LLMResponse(said),
        "response": LLMResponse(said),
        "original_error": ValueError(said),
    }
    error = kind("it failed", **{f.name: hidden.get(f.name, FACTS[f.name]) for f in takes})
    assert "launch" not in str(error)
    assert "launch" not in repr(error)


def test_every_raise_in_the_package_is_of_a_typed_error() -> None:
    # Outside of schemas (pydantic wants ValueError) and of protocols that Python defines, a caller sees llmring's errors alone.
    foreign: list[str] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if {"schemas", "testing"} & set(path.relative_to(PACKAGE).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                name = node.exc.func.id
                if name in {"Exception", "RuntimeError", "OSError", "BaseException"}:
                    foreign.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {name}")
    assert foreign == []
