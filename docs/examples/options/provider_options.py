import asyncio
import os

from llmring import LLMRing, ProviderOptions


async def main() -> None:
    # MY_SERVER: any server that speaks Chat Completions.
    mine = ProviderOptions(base_url=os.environ["MY_SERVER"], auth="none", local=True, max_tokens=40)
    async with LLMRing(providers={"mine": mine}) as ring:
        response = await ring.chat("mine:smollm2-135m-instruct", "Name a lighthouse.")
        print(response.model, response.finish_reason)


asyncio.run(main())
