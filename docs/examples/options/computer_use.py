import asyncio

from llmring import ComputerUse, LLMRequest, LLMRing


async def main() -> None:
    request = LLMRequest(
        model="anthropic:claude-sonnet-4-5",
        messages="Open the settings.",
        computer_use=ComputerUse(display_width=1280, display_height=800, environment="linux"),
        max_tokens=1000,
    )
    async with LLMRing() as ring:
        response = await ring.chat(request)
        for call in response.tool_calls or []:
            print(call["function"]["name"], call["function"]["arguments"])


asyncio.run(main())
