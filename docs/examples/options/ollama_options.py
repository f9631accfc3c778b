import asyncio

from llmring import LLMRequest, LLMRing, OllamaOptions
from llmring.testing import FakeProvider


async def main() -> None:
    request = LLMRequest(
        model="ollama:llama3.2",
        messages="Explain a lockfile.",
        provider_options=OllamaOptions(num_ctx=8192, keep_alive="10m"),
    )
    # A fake Ollama, so that this runs anywhere; leave `providers` out and a real one is asked.
    async with FakeProvider() as fake:
        async with LLMRing(providers={"ollama": {"base_url": fake.base_url_of("ollama_chat")}}) as ring:
            await ring.chat(request)
        print(fake.received[0].body["options"])


asyncio.run(main())
