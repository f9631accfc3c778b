import asyncio

from llmring import LLMRequest, LLMRing, RetryPolicy


async def main() -> None:
    async with LLMRing(retry=RetryPolicy(attempts=2, max_rate_limit_wait_s=5)) as ring:
        no_retry = RetryPolicy(attempts=1, max_rate_limit_wait_s=0)
        once = LLMRequest(model="openai:gpt-5-nano", messages="Count to three.", retry=no_retry)
        response = await ring.chat(once)  # this one is sent once, whatever the ring says
        print(response.content)


asyncio.run(main())
