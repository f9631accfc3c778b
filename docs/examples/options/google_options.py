import asyncio

from llmring import GoogleOptions, LLMRequest, LLMRing


async def main() -> None:
    request = LLMRequest(
        model="google:gemini-2.5-flash",
        messages="Explain a lockfile.",
        provider_options=GoogleOptions(thinking_budget=0),
    )
    async with LLMRing() as ring:
        response = await ring.chat(request)
        print(response.content)


asyncio.run(main())
