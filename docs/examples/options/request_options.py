import asyncio

from llmring import LLMRing, RequestOptions


async def main() -> None:
    defaults = RequestOptions(max_tokens=500, deadline=30, reasoning_effort="low")
    async with LLMRing(defaults=defaults) as ring:
        response = await ring.chat("openai:gpt-5-nano", "Name a lighthouse.")
        print(response.content)


asyncio.run(main())
