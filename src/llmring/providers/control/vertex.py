"""Where on Vertex AI a provider's base URL points, as the vendors' SDKs want to be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from llmring.exceptions import ConfigurationError

if TYPE_CHECKING:
    from llmring.providers.base import BaseLLMProvider

_PLACE = re.compile(r"(https?://[^/]+)/(v[0-9a-z]+)/projects/([^/]+)/locations/([^/]+)/publishers/[a-z]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class VertexPlace:
    """url: scheme and host. version: of the API."""

    url: str
    version: str
    project: str
    location: str

    @classmethod
    def read(cls, provider: BaseLLMProvider) -> Self:
        """Raises ConfigurationError where the base URL names no project and location."""
        found = _PLACE.fullmatch(provider.base_url)
        if found is None:
            raise ConfigurationError(
                f"provider {provider.name} has no .client: its base_url names no project and location",
                hint="write it like https://aiplatform.googleapis.com/v1/projects/P/locations/L/publishers/google",
            )
        return cls(*found.groups())
