"""The lmstudio package's client, for the one thing that LM Studio's REST API has no words for: counting tokens."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, Final

# Its own waits have no end where a server accepts a connection and says nothing. Guess.
_TOTAL_S: Final = 30.0


async def count_tokens(host: str, text: str, model: str | None) -> int | None:
    """A text's tokens by a loaded model, None where it is not loaded. Raises whatever the package raises, and TimeoutError.

    host: HOST:PORT. Connections are the package's own, made and closed here.
    """
    package: Any = await asyncio.to_thread(import_module, "lmstudio")
    async with asyncio.timeout(_TOTAL_S), package.AsyncClient(host) as client:
        for loaded in await client.llm.list_loaded():
            # A second copy of a model is called after it: key:2.
            if model is None or loaded.identifier == model or loaded.identifier.startswith(f"{model}:"):
                return int(await loaded.count_tokens(text))
    return None
