"""The API reference's block "service", letter by letter between the marks."""
# ruff: noqa
# fmt: off

from llmring.schemas import LLMRequest


async def block(request: LLMRequest):
    # seed: begin
    from llmring.service import LLMRing

    # Using context manager (recommended for automatic cleanup)
    async with LLMRing(
        origin="myapp",                    # Optional: Origin identifier
        registry_url=None,                 # Optional: Custom registry URL
        lockfile_path="/path/to/custom.lock"  # Optional: Explicit lockfile path
    ) as service:
        # Use service here
        response = await service.chat(request)

    # If you omit lockfile_path, resolution order is:
    # 1. LLMRING_LOCKFILE_PATH environment variable (file must exist)
    # 2. ./llmring.lock in the current directory (if present)
    # 3. Bundled fallback at src/llmring/llmring.lock

    # Or manual resource management
    service = LLMRing()
    try:
        response = await service.chat(request)
    finally:
        await service.close()  # Ensure resources are cleaned up
    # seed: end
