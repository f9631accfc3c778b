import asyncio

from llmring import LLMRequest, LLMRing, SamplingParams

CAREFUL = SamplingParams(temperature=0.0, max_tokens=300)


async def main() -> None:
    async with LLMRing() as ring:
        # What the request says itself comes before what `sampling` says.
        request = LLMRequest(
            model="anthropic:claude-haiku-4-5", messages="Name a river.", sampling=CAREFUL, max_tokens=100
        )
        print(request.temperature, request.max_tokens)
        response = await ring.chat(request)
        print(response.content)


asyncio.run(main())
