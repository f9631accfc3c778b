import asyncio

from llmring import LLMRequest, LLMRing, OpenAIOptions


async def main() -> None:
    request = LLMRequest(
        model="openai:gpt-5-nano",
        messages="Explain a lockfile.",
        provider_options=OpenAIOptions(store=False, verbosity="low", safety_identifier="user-4711"),
    )
    async with LLMRing() as ring:
        response = await ring.chat(request)
        print(response.content)


asyncio.run(main())
