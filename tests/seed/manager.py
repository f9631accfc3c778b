"""The API reference's block "manager", letter by letter between the marks."""
# ruff: noqa
# fmt: off

# seed: begin
from llmring import LLMRingExtended, ConversationManager

service = LLMRingExtended(
    server_url="https://api.llmring.ai",
    api_key="your-key",
    enable_conversations=True
)

manager = ConversationManager(service)
# seed: end
