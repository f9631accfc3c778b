"""Auth recipes that one header, made once, cannot serve: signatures over a request, and tokens that expire. One file each.

A key that goes into a header as it is needs none of this: `ProviderRow.auth` says "bearer" or "header:NAME" for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmring.providers.auth.base import Signer, TokenProvider
from llmring.secret import Scrubber

RECIPES: Final = frozenset({"aws_bedrock", "aws_bedrock_mantle", "google_adc"})


def make_signer(
    recipe: str,
    provider: str,
    environ: Mapping[str, str],
    scrubber: Scrubber,
    token_provider: TokenProvider | None = None,
) -> Signer:
    """The signer of this recipe, or the one that asks `token_provider`. No I/O; vendors' packages are imported when it signs."""
    if token_provider is not None:
        from llmring.providers.auth.token_provider import TokenSigner

        return TokenSigner(provider, scrubber, token_provider)
    if recipe in ("aws_bedrock", "aws_bedrock_mantle"):
        from llmring.providers.auth.aws import AWSSigner

        return AWSSigner(recipe.removeprefix("aws_").replace("_", "-"), provider, environ, scrubber)
    if recipe == "google_adc":
        from llmring.providers.auth.google import GoogleSigner

        return GoogleSigner(provider, environ, scrubber)
    raise AssertionError(f"no such recipe: {recipe}")
