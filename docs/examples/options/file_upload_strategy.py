import asyncio

from llmring import FileUploadStrategy, LLMRing


async def main() -> None:
    # Files over 1 MiB are uploaded, smaller ones go along with the request.
    strategy = FileUploadStrategy(size_threshold=2**20, auto_upload_openai=False, delete_at_close=True)
    async with LLMRing(upload_strategy=strategy) as ring:
        response = await ring.chat("openai:gpt-5-nano", "No file this time.")
        print(response.content)
        print(ring.uploaded_files())


asyncio.run(main())
