"""Every exception llmring raises, on one page.

LLMRingError
├── ConfigurationError                what the caller or a file asked for cannot work
│   ├── LockfileError                 a lockfile cannot be found, read or understood
│   │   ├── LockfileVersionError      written for another major version
│   │   └── PackageLockError          an extended package's lock is not the recorded one, or binds what it may not
│   ├── DigestMismatchError           a model's content is not what was locked
│   ├── RegistryError                 model facts cannot be found, read or understood
│   │   └── RegistryRollbackError     older than those that were kept
│   ├── AliasNotFoundError            no such alias in this profile
│   ├── ProfileNotFoundError          no such profile in this lockfile
│   ├── ProviderNotFoundError         no such provider
│   ├── ModelInfoNotFoundError        nothing is known of this model, or the name fits several
│   ├── UnsafeURLError                a URL that may not be fetched from here
│   ├── SchemaConversionError         a Python type has no JSON schema
│   ├── NotSupportedError             a provider has no way to do what was asked
│   ├── ServiceClosedError            used after close()
│   └── LiveRequestError              a test that may not leave this machine tried to
├── ProviderError                     a provider did not answer as asked
│   ├── InvalidRequestError           the provider refuses the request itself (400, 413, 422)
│   │   └── ContextLengthError        the prompt does not fit the model
│   ├── ProviderAuthenticationError   the key is refused (401, 403)
│   │   ├── MissingCredentialError    there is no key to send
│   │   └── QuotaExhaustedError       the account has no money or quota left
│   ├── ModelNotFoundError            the provider does not know the model
│   ├── ProviderRateLimitError        too many requests (429)
│   ├── ProviderTimeoutError          a clock ran out (alias: ResponseTimeoutError)
│   │   └── DeadlineExceededError     the caller's own deadline
│   ├── ProviderResponseError         an error, or an answer that is none
│   │   ├── ProviderConnectionError   no connection, or one that broke before an answer
│   │   │   └── ProviderUnreachableError  no connection could be made: nothing was sent
│   │   ├── MalformedResponseError    not what the dialect says
│   │   ├── ResponseTooLargeError     over one of the size caps
│   │   ├── ModelDriftError           another model than the locked one has answered
│   │   └── StreamInterruptedError    a stream that ended before its end; carries the partial answer
│   └── CircuitBreakerError           not tried: the target is known to be failing
├── SchemaValidationError             an answer does not fit the schema that was asked for
└── ToolExecutionError                a tool raised

Facts are fields, not prose: `hint` on every error; `retryable`, `retry_after_s`, `provider`, `model`, `status`, `code`,
`request_id`, `attempts` on provider errors. No error holds a request object, a header or a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmring.schemas.response import LLMResponse
    from llmring.schemas.usage import Usage

# Of an error, and none of its facts: what it used stands in the record of its attempt.
_ASIDE = frozenset({"message", "usage", "outdated", "overloaded", "is_foreign"})


class LLMRingError(Exception):
    """Base of everything llmring raises.

    `message` says what happened; `hint`, where there is one, says what to do next.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def facts(self) -> dict[str, Any]:
        """What is known beside the message, by name; without what is None. Each name is a keyword of the class."""
        return {
            name: value
            for name, value in vars(self).items()
            if value is not None and name not in _ASIDE and not name.startswith("_")
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls the class with the message alone, which fails where a fact is required.
        return _restore, (type(self), self.args, vars(self).copy())

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def _restore(cls: type[LLMRingError], args: tuple[Any, ...], state: dict[str, Any]) -> LLMRingError:
    """A pickled or copied error, as it was. Module level, because pickle finds it by name."""
    error = cls.__new__(cls, *args)
    vars(error).update(state)
    return error


class ConfigurationError(LLMRingError):
    """What the caller, an environment variable or a file asked for cannot work; raised before any I/O."""


class LockfileError(ConfigurationError):
    """A lockfile cannot be found, read or understood."""


class LockfileVersionError(LockfileError):
    """The lockfile was written for another major version of the format."""


class PackageLockError(LockfileError):
    """The lockfile of an extended package is refused: it is not the one that was recorded, or names a provider that is not allowed."""


class DigestMismatchError(ConfigurationError):
    """A model that is pinned by its content has another content here, or is not here. Nothing was sent to it.

    model: `provider:model`. locked, found: `sha256:…`; found is None where the model is not here.
    """

    def __init__(
        self, message: str, *, model: str = "", locked: str = "", found: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.model = model
        self.locked = locked
        self.found = found


class RegistryError(ConfigurationError):
    """Facts of models cannot be found, read or understood: the file, folder or address is named."""


class RegistryRollbackError(RegistryError):
    """What a registry's address has now is older than what was kept of it; refused, because it could hide a retirement."""


class _NotFoundError(ConfigurationError):
    """A name that does not exist, with the names that come close."""

    def __init__(
        self, message: str, *, name: str, close_matches: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.name = name
        self.close_matches = close_matches


class AliasNotFoundError(_NotFoundError):
    """No such alias in this profile. `close_matches` holds what was probably meant."""


class ProfileNotFoundError(_NotFoundError):
    """No such profile in this lockfile. `close_matches` holds what was probably meant."""


class ProviderNotFoundError(_NotFoundError):
    """No such provider. `close_matches` holds what was probably meant."""


class ModelInfoNotFoundError(_NotFoundError):
    """Nothing is known of a model of this name, or several have it. `close_matches` holds what was probably meant."""


class UnsafeURLError(ConfigurationError):
    """A URL named by a user, a lock or a response that may not be fetched: private address, scheme, redirect, userinfo."""


class SchemaConversionError(ConfigurationError):
    """A Python type given as `response_format` cannot be written as JSON schema."""


class NotSupportedError(ConfigurationError):
    """The provider has no way to do what was asked, such as embeddings where it makes none; the hint names who can."""


class ServiceClosedError(ConfigurationError):
    """The service was used after `close()`."""


class LiveRequestError(ConfigurationError):
    """A test tried to leave this machine while `no_live_requests` is active. `host` is whom it tried to reach."""

    def __init__(self, message: str, *, host: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.host = host


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One candidate that was tried or passed over: which, how it ended, how long it took (seconds).

    usage: what it used all the same, as the dict of a `Usage` with its cost: reported or estimated, as it says; None where nobody knows,
    as of most that fail. credential: with which of its provider's keys, by its variable, where there are several.
    """

    provider: str
    model: str
    error: str
    message: str
    status: int | None
    seconds: float
    usage: dict[str, Any] | None = None
    credential: str | None = None


class ProviderError(LLMRingError):
    """A provider did not answer as asked.

    provider, model: whom we called; empty until known. status: HTTP status, None where there was none.
    code: the provider's own error code. request_id: the provider's id for the request, for its support desk.
    retry_after_s: seconds the provider asked us to wait, None if it did not say.
    attempts: what else was tried for the same call, oldest first.
    partial: what had arrived of a stream that broke off, with finish_reason "error"; None where nothing had.
    usage: what the attempt used all the same, reported or estimated; None where nobody knows.
    retryable: whether the same target may answer another try; default, what is usual for the class.
    is_foreign: whether a provider of somebody else's raised it: what it says is shown to the caller, and in no log and no gate's reason.
    """

    retryable = False
    is_foreign = False
    partial: LLMResponse | None = None
    usage: Usage | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        hint: str | None = None,
        attempts: tuple[AttemptRecord, ...] = (),
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        if retryable is not None:
            self.retryable = retryable
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.attempts = attempts

    def __str__(self) -> str:
        where = f"{self.provider}:{self.model}: " if self.provider and self.model else ""
        facts = [
            f"{name} {value}"
            for name, value in (("status", self.status), ("code", self.code), ("request id", self.request_id))
            if value is not None
        ]
        tail = f" [{', '.join(facts)}]" if facts else ""
        tried = f" after {len(self.attempts)} attempts" if len(self.attempts) > 1 else ""
        return f"{where}{super().__str__()}{tail}{tried}"


class InvalidRequestError(ProviderError):
    """The provider refuses the request itself (400, 413, 422): another try or another model of the pool is no help."""


class ContextLengthError(InvalidRequestError):
    """The prompt does not fit the model's context window. `RetryPolicy.on_overflow` may go on to a model that holds more."""


class ProviderAuthenticationError(ProviderError):
    """The provider refuses the key (401, 403).

    outdated: whether the key was changed while the request was on its way, so that this says nothing of the new one.
    """

    outdated = False


class MissingCredentialError(ProviderAuthenticationError):
    """There is no key to send; the message names the environment variable that would hold it."""


class QuotaExhaustedError(ProviderAuthenticationError):
    """The account behind the key has no money or quota left (402 and the hard quota codes)."""


class ModelNotFoundError(ProviderError):
    """The provider does not know the model, or this key may not use it."""


class ProviderRateLimitError(ProviderError):
    """Too many requests (429). `retry_after_s` is the provider's hint."""

    retryable = True


class ProviderTimeoutError(ProviderError):
    """A clock ran out; the message names the clock and the setting that moves it."""

    retryable = True


ResponseTimeoutError = ProviderTimeoutError


class DeadlineExceededError(ProviderTimeoutError):
    """The caller's own deadline over all attempts ran out."""

    retryable = False


class ProviderResponseError(ProviderError):
    """The provider answered with an error, or with something that is no answer.

    overloaded: whether its code says that it has too much to do, as it does inside a 200; elsewhere the status says so.
    """

    retryable = True
    overloaded = False


class ProviderConnectionError(ProviderResponseError):
    """No connection could be made, or it broke before an answer came."""


class ProviderUnreachableError(ProviderConnectionError):
    """No connection could be made (name, route, TLS, proxy): nothing was sent."""


class MalformedResponseError(ProviderResponseError):
    """The provider's answer is not what its dialect says: no JSON, wrong types, missing parts."""


class ResponseTooLargeError(ProviderResponseError):
    """The answer is over one of the size caps (body, line, JSON depth). Nothing past the cap was kept."""

    retryable = False


class ModelDriftError(ProviderResponseError):
    """Another model than the locked one has answered, and the profile says on_drift = "fail". The answer is not given out.

    served: the model that the response names.
    """

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        served: str = "",
        provider: str = "",
        model: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        hint: str | None = None,
        attempts: tuple[AttemptRecord, ...] = (),
        retryable: bool | None = None,
    ) -> None:
        super().__init__(
            message,
            provider=provider,
            model=model,
            status=status,
            code=code,
            request_id=request_id,
            retry_after_s=retry_after_s,
            hint=hint,
            attempts=attempts,
            retryable=retryable,
        )
        self.served = served


class StreamInterruptedError(ProviderResponseError):
    """A stream ended before the dialect's terminal event.

    partial: what had arrived, as a response without a finish reason (`finish_reason` is "error"); None if nothing had.
    """

    def __init__(
        self,
        message: str,
        *,
        partial: LLMResponse | None = None,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        hint: str | None = None,
        attempts: tuple[AttemptRecord, ...] = (),
        retryable: bool | None = None,
    ) -> None:
        super().__init__(
            message,
            provider=provider,
            model=model,
            status=status,
            code=code,
            request_id=request_id,
            retry_after_s=retry_after_s,
            hint=hint,
            attempts=attempts,
            retryable=retryable,
        )
        self.partial = partial


class CircuitBreakerError(ProviderError):
    """Not tried: the target is known to be failing."""

    retryable = True


class SchemaValidationError(LLMRingError):
    """A structured answer does not fit the schema that was asked for.

    content: the text as the model wrote it. path: where in the answer, as a JSON pointer; empty for the whole.
    response: the whole response, so that nothing that was paid for is lost.
    """

    def __init__(
        self,
        message: str,
        *,
        content: str = "",
        path: str = "",
        response: LLMResponse | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.content = content
        self.path = path
        self.response = response


class ToolExecutionError(LLMRingError):
    """A tool raised. `tool_name` names it, `original_error` is what it raised."""

    def __init__(self, message: str, *, tool_name: str, original_error: BaseException, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.tool_name = tool_name
        self.original_error = original_error
