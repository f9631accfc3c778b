"""Where the clouds are: base URLs made of environment variables. A value becomes part of a vendor's host or path, never a host."""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmring import env
from llmring.exceptions import ConfigurationError, MissingCredentialError
from llmring.providers.auth.aws import find_region
from llmring.providers.base import normalize_base_url

# https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects (2026-11-21); old ids may hold a domain and a colon.
_PROJECT = re.compile(r"([a-z][a-z0-9.-]{0,62}:)?[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_LOCATION = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/resources/locations (2026-11-21)
_MULTI_REGIONS = frozenset({"us", "eu"})


def azure_base_url(endpoint: str) -> str:
    """AZURE_OPENAI_ENDPOINT names the resource alone; the v1 API lies below.

    https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle (2026-11-21)
    """
    return normalize_base_url(endpoint.rstrip("/").removesuffix("/openai"), "/openai/v1")


def no_azure_endpoint(environ: Mapping[str, str]) -> str:
    """What stands in for the base URL where AZURE_OPENAI_ENDPOINT gives none."""
    raise MissingCredentialError(
        f"no endpoint for provider azure: {env.AZURE_OPENAI_ENDPOINT} is not set",
        provider="azure",
        hint="it reads https://NAME.openai.azure.com; in ./.env it counts only where the key stands there too",
    )


def vertex_base_url(environ: Mapping[str, str]) -> str:
    """Gemini on Vertex AI, in the project and location of the environment."""
    return _vertex(environ, "google")


def vertex_anthropic_base_url(environ: Mapping[str, str]) -> str:
    """Claude on Vertex AI, in the project and location of the environment."""
    return _vertex(environ, "anthropic")


def _vertex(environ: Mapping[str, str], publisher: str) -> str:
    project, location = google_project(environ), google_location(environ)
    if location == "global":
        host = "aiplatform.googleapis.com"
    elif location in _MULTI_REGIONS:
        host = f"aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"{location}-aiplatform.googleapis.com"
    return f"https://{host}/v1/projects/{project}/locations/{location}/publishers/{publisher}"


def google_project(environ: Mapping[str, str]) -> str:
    """Raises MissingCredentialError where GOOGLE_CLOUD_PROJECT is not set, ConfigurationError where it is no project's id."""
    project = env.get(env.GOOGLE_CLOUD_PROJECT, environ)
    if project is None:
        raise MissingCredentialError(
            f"no project for Vertex AI: {env.GOOGLE_CLOUD_PROJECT} is not set", hint="gcloud projects list shows yours"
        )
    if not _PROJECT.fullmatch(project):
        raise ConfigurationError(f"{env.GOOGLE_CLOUD_PROJECT} is {project[:40]!r}, which is no project id")
    return project


def google_location(environ: Mapping[str, str]) -> str:
    """GOOGLE_CLOUD_LOCATION, else "global". Raises ConfigurationError where it is no location."""
    location = env.get(env.GOOGLE_CLOUD_LOCATION, environ) or "global"
    if not _LOCATION.fullmatch(location):
        raise ConfigurationError(
            f"{env.GOOGLE_CLOUD_LOCATION} is {location[:40]!r}, which is no location",
            hint="write global, us, eu, or a region like europe-west4",
        )
    return location


def bedrock_base_url(environ: Mapping[str, str]) -> str:
    """The OpenAI-compatible API of bedrock-runtime, in the environment's region.

    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html (2026-11-21). China has its own domain:
    https://docs.aws.amazon.com/general/latest/gr/rande.html (2026-11-21); isolated partitions need a base_url.
    """
    region = find_region(environ)
    return f"https://bedrock-runtime.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/openai/v1"


def bedrock_anthropic_base_url(environ: Mapping[str, str]) -> str:
    """Anthropic's Messages on bedrock-mantle, where AsyncAnthropicBedrockMantle of the anthropic SDK 2.11.0 goes (2026-11-21)."""
    return f"https://bedrock-mantle.{find_region(environ)}.api.aws/anthropic/v1"


def read_bedrock_url(url: str) -> str:
    """A Bedrock host as a person writes it."""
    return normalize_base_url(url, "/openai/v1")


def read_bedrock_anthropic_url(url: str) -> str:
    """The same, for Anthropic's Messages."""
    return normalize_base_url(url, "/anthropic/v1")
