import asyncio

from llmring import EmbeddingOptions, LLMRing


async def main() -> None:
    options = EmbeddingOptions(dimensions=256, timeout=20)
    async with LLMRing() as ring:
        response = await ring.embed("openai:text-embedding-3-small", ["first text", "second text"], options)
        print(len(response.embeddings))


asyncio.run(main())
