"""The API reference's block "errors", letter by letter between the marks."""
# ruff: noqa
# fmt: off

# seed: begin
from llmring.exceptions import (
    ProviderAuthenticationError,    # Invalid API key
    ProviderRateLimitError,        # Rate limit exceeded
    ModelNotFoundError,            # Invalid model
    ProviderResponseError,         # API error
    ProviderTimeoutError,          # Request timeout
    CircuitBreakerError           # Service unavailable
)
# seed: end
