"""The API reference's block "manager example", letter by letter between the marks."""
# ruff: noqa
# fmt: off

# seed: begin
from llmring import LLMRingExtended, ConversationManager

async def chat_session():
    service = LLMRingExtended(
        server_url="https://api.llmring.ai",
        api_key="your-key",
        enable_conversations=True
    )

    manager = ConversationManager(service)

    # Start new conversation
    conv_id = await manager.start_conversation(
        title="Code Review",
        system_prompt="You are an expert code reviewer",
        model_alias="balanced"
    )

    # Send messages
    response = await manager.send_message("Review this code...")
    print(response.content)

    response = await manager.send_message("What about performance?")
    print(response.content)

    # Get full history
    history = manager.get_history()
    print(f"Conversation has {len(history)} messages")
# seed: end
