import asyncio

from llmring import BreakerPolicy, LLMRing, Transition


def tell(change: Transition) -> None:
    print(change.target, change.old, "->", change.new, change.reason)


async def main() -> None:
    careful = BreakerPolicy(consecutive_failures=3, open_s=10)
    async with LLMRing(breaker=careful, on_transition=tell) as ring:
        response = await ring.chat("openai:gpt-5-nano", "Count to three.")
        print(response.content)


asyncio.run(main())
