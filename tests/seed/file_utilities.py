"""The API reference's block "file utilities", letter by letter between the marks."""
# ruff: noqa
# fmt: off


async def block():
    # seed: begin
    from llmring import LLMRing, LLMRequest, Message, analyze_image

    async with LLMRing() as service:
        content = analyze_image("screenshot.png", "What's in this image?")
        request = LLMRequest(
            model="vision",
            messages=[Message(role="user", content=content)]
        )
        response = await service.chat(request)
        print(response.content)
    # seed: end
