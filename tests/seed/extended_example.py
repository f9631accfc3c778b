"""The API reference's block "extended example", letter by letter between the marks."""
# ruff: noqa
# fmt: off


async def block():
    # seed: begin
    from llmring import LLMRingExtended, LLMRequest, Message

    async with LLMRingExtended(
        server_url="https://api.llmring.ai",
        api_key="your-key",
        enable_conversations=True
    ) as service:
        # Create a conversation
        conv_id = await service.create_conversation(
            title="Customer Support Chat",
            system_prompt="You are a helpful support assistant",
            model_alias="balanced"
        )

        # Chat with conversation tracking
        request = LLMRequest(
            model="balanced",
            messages=[Message(role="user", content="Hello!")]
        )
        response = await service.chat_with_conversation(
            request=request,
            conversation_id=conv_id
        )

        # Retrieve history
        history = await service.get_conversation_history(conv_id)
        print(f"Messages in conversation: {len(history['messages'])}")
    # seed: end
