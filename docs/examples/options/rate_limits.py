import asyncio

from llmring import LLMRing, RateLimits


async def main() -> None:
    limits = {
        "openai": RateLimits(requests_per_minute=500, tokens_per_minute=200_000),
        "openai:gpt-5-nano": RateLimits(requests_per_minute=5000, max_concurrent=50),
    }
    async with LLMRing(limits=limits) as ring:
        response = await ring.chat("openai:gpt-5-nano", "Count to three.")
        print(response.content)


asyncio.run(main())
