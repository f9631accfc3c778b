"""The API reference's block "request", letter by letter between the marks."""
# ruff: noqa
# fmt: off

# seed: begin
from llmring.schemas import LLMRequest, Message

request = LLMRequest(
    model="fast",                    # Required: Model identifier or alias
    messages=[Message(...)],                 # Required: Conversation messages
    temperature=0.7,                         # Optional: 0.0-1.0
    max_tokens=1000,                         # Optional: Response length limit
    response_format={"type": "json_object"}, # Optional: Response format
    tools=[...],                             # Optional: Available functions
    tool_choice="auto",                      # Optional: Tool usage mode
    extra_params={}                          # Optional: Provider-specific params
)
# seed: end
