import asyncio

from llmring import LLMRing, ProviderTimeoutError, RequestOptions, Timeouts


async def main() -> None:
    patient = Timeouts(connect=2, first_token=120, idle=60, total=None)
    async with LLMRing(defaults=RequestOptions(timeout=patient, deadline=300)) as ring:
        try:
            response = await ring.chat("openai:gpt-5-nano", "Count to three.")
        except ProviderTimeoutError as error:
            print(error)  # names the clock that ran out
        else:
            print(response.content)


asyncio.run(main())
