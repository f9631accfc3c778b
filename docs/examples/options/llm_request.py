import asyncio

from llmring import LLMRequest, LLMRing, Message


async def main() -> None:
    request = LLMRequest(
        model="openai:gpt-5-nano",
        messages=[Message.system("Answer in one word."), Message.user("What is the capital of France?")],
        max_tokens=200,
        deadline=20,
        metadata={"ticket": 4711},
    )
    async with LLMRing() as ring:
        response = await ring.chat(request)
        print(response.content, response.usage.total_tokens)


asyncio.run(main())
