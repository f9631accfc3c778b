import asyncio

from llmring import AnthropicOptions, LLMRequest, LLMRing


async def main() -> None:
    request = LLMRequest(
        model="anthropic:claude-sonnet-4-5",
        messages="Explain a lockfile.",
        max_tokens=500,
        provider_options=AnthropicOptions(user_id="user-4711"),
    )
    async with LLMRing() as ring:
        response = await ring.chat(request)
        print(response.content)


asyncio.run(main())
