import asyncio

from llmring import LLMRequest, LLMRing, LMStudioOptions
from llmring.testing import FakeProvider


async def main() -> None:
    request = LLMRequest(
        model="lmstudio:qwen/qwen3-4b-2507",
        messages="Explain a lockfile.",
        provider_options=LMStudioOptions(ttl=300),
    )
    # A fake LM Studio, so that this runs anywhere; leave `providers` out and a real one is asked.
    async with FakeProvider() as fake:
        async with LLMRing(providers={"lmstudio": {"base_url": fake.base_url}}) as ring:
            await ring.chat(request)
        print(fake.received[0].body["ttl"])


asyncio.run(main())
