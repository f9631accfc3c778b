"""The API reference's block "alias cache", letter by letter between the marks."""
# ruff: noqa
# fmt: off

# seed: begin
from llmring import LLMRing

service = LLMRing(
    # Cache is automatically configured
    # Default: 1000 entries, 1 hour TTL
)
# seed: end
