"""The API reference's block "response", letter by letter between the marks."""
# ruff: noqa
# fmt: off

from llmring import LLMRequest, LLMRing


async def block(service: LLMRing, request: LLMRequest):
    # seed: begin
    response = await service.chat(request)

    # Available fields:
    response.content          # str: Generated text content
    response.model           # str: Model that generated response
    response.usage           # Dict: Token usage and costs
    response.finish_reason   # str: Why generation stopped
    response.tool_calls      # List[Dict]: Function calls if any
    response.parsed          # Any: Parsed structured output (if response_format used)
    # seed: end
    return response
