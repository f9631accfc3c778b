"""The API reference's block "extended", letter by letter between the marks."""
# ruff: noqa
# fmt: off

# seed: begin
from llmring import LLMRingExtended

service = LLMRingExtended(
    origin="myapp",
    registry_url=None,
    lockfile_path=None,
    server_url="https://api.llmring.ai",  # Optional: llmring-server URL
    api_key="your-api-key",                # Optional: API key for server
    enable_conversations=True,             # Enable conversation tracking
    message_logging_level="full"           # Options: none, metadata, full
)
# seed: end
