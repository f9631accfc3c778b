"""Providers of the table, as a ring makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from llmring.providers.base import BaseLLMProvider
from llmring.providers.table import PROVIDERS
from llmring.secret import Scrubber


@pytest.fixture
def make_provider() -> Callable[..., BaseLLMProvider]:
    def make(name: str, environ: Mapping[str, str] | None = None) -> BaseLLMProvider:
        return BaseLLMProvider(PROVIDERS[name], environ=environ or {}, scrubber=Scrubber())

    return make
