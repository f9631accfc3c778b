"""Recipes "aws_bedrock" and "aws_bedrock_mantle": requests signed with the AWS keys of the environment.

Shared files (~/.aws), instance roles and SSO are not read: whoever has those exports them (`aws configure export-credentials
--format env`) or uses a Bedrock API key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from llmring import env
from llmring.clock import Clock, SystemClock
from llmring.exceptions import ConfigurationError, MissingCredentialError, ProviderAuthenticationError
from llmring.providers.auth.base import is_header_value
from llmring.providers.auth.sigv4 import AWSCredentials, sign
from llmring.secret import Scrubber, Secret
from llmring.transport.base import HTTPRequest

# As openai's SDK 3.52 checks it. What passes can be put into a host name.
_REGION = re.compile(r"[a-z]{2,8}(-[a-z0-9]+)+-\d+", re.ASCII)
_BEDROCK_HOST = re.compile(r"bedrock-[a-z-]+\.(?P<region>[a-z0-9-]+)\.(amazonaws\.com(\.cn)?|api\.aws)", re.ASCII)


def find_region(environ: Mapping[str, str]) -> str:
    """AWS_REGION, else AWS_DEFAULT_REGION. Raises MissingCredentialError where neither is set, ConfigurationError where it is none."""
    for variable in (env.AWS_REGION, env.AWS_DEFAULT_REGION):
        value = env.get(variable, environ)
        if value is not None:
            if not _REGION.fullmatch(value):
                raise ConfigurationError(
                    f"{variable} is {value[:40]!r}, which is no AWS region", hint="write it like us-east-1"
                )
            return value
    raise MissingCredentialError(
        f"no AWS region for Bedrock: {env.AWS_REGION} is not set",
        hint=f"set {env.AWS_REGION}, for example to us-east-1",
    )


class AWSSigner:
    """Signs each request with Signature Version 4. service: "bedrock" for bedrock-runtime hosts, else "bedrock-mantle"."""

    credentials = f"{env.AWS_ACCESS_KEY_ID} and {env.AWS_SECRET_ACCESS_KEY}"

    def __init__(
        self, service: str, provider: str, environ: Mapping[str, str], scrubber: Scrubber, clock: Clock | None = None
    ) -> None:
        self._service = service
        self._provider = provider
        self._environ = environ
        self._scrubber = scrubber
        self._clock = clock or SystemClock()
        self._known: AWSCredentials | None = None

    def has_credential(self) -> bool:
        return env.get(env.AWS_ACCESS_KEY_ID, self._environ) is not None and (
            env.get(env.AWS_SECRET_ACCESS_KEY, self._environ) is not None
        )

    async def sign(self, request: HTTPRequest) -> None:
        credentials = self.find_credentials()
        host = _BEDROCK_HOST.fullmatch(urlsplit(request.url).hostname or "")
        # The host's own region, where it names one: a signature for another is refused.
        region = find_region(self._environ) if host is None else host["region"]
        request.headers = sign(
            request.method,
            request.url,
            request.headers,
            request.body,
            credentials=credentials,
            region=region,
            service=self._service,
            now=self._clock.now(),
        )

    def find_credentials(self) -> AWSCredentials:
        """The keys of the environment as they are now. Raises MissingCredentialError naming what is not set."""
        key_id = env.get(env.AWS_ACCESS_KEY_ID, self._environ)
        secret, token = self._find(env.AWS_SECRET_ACCESS_KEY), self._find(env.AWS_SESSION_TOKEN)
        if key_id is None or secret is None:
            missing = env.AWS_ACCESS_KEY_ID if key_id is None else env.AWS_SECRET_ACCESS_KEY
            raise MissingCredentialError(
                f"no AWS credentials for provider {self._provider}: {missing} is not set",
                provider=self._provider,
                hint=f"set {env.AWS_BEARER_TOKEN_BEDROCK}, or {self.credentials}; ~/.aws is not read",
            )
        found = AWSCredentials(key_id, secret, token)
        if found != self._known:
            for value in (Secret(key_id), secret, token):
                if value is not None:
                    self._scrubber.add_renewed(f"{self._provider} {self._service}", value)
            self._check(found)
            self._known = found
        return found

    def _check(self, found: AWSCredentials) -> None:
        parts = (Secret(found.access_key_id), found.secret_access_key, found.session_token)
        # The secret goes into no header, but one that none could hold is no AWS secret either.
        if not all(part is None or is_header_value(part) for part in parts):
            raise ProviderAuthenticationError(
                f"the AWS credentials for provider {self._provider} hold characters that no header may hold",
                provider=self._provider,
                hint="check for a stray newline or quote where they are set",
            )

    def _find(self, variable: str) -> Secret | None:
        value = env.get(variable, self._environ)
        return None if value is None else Secret(value)

    async def close(self) -> None:
        """There is nothing to let go of."""
