"""A process that calls as fast as shared limits let it, until it is killed or its standard input ends. Tells of transitions on stdout.

Arguments, as one JSON object: name, base_url, redis, requests_per_minute, lease_s, callers.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from llmring import LLMRequest, LLMRing
from llmring.calls.shared_limits import SharedLimits
from llmring.resilience.breaker import Transition
from llmring.resilience.policy import RateLimits


async def work(given: dict[str, Any]) -> None:
    limits = SharedLimits(
        given["redis"], RateLimits(requests_per_minute=given["requests_per_minute"]), lease_s=given["lease_s"]
    )
    providers = {"metered": {"base_url": given["base_url"], "api_key": "sk-of-all-workers"}}
    async with LLMRing(limits=limits, providers=providers, on_transition=tell, dotenv=False) as ring:

        async def call() -> None:
            while True:
                await ring.chat(LLMRequest(model="metered:m", messages=given["name"]))

        callers = [asyncio.create_task(call()) for _ in range(given["callers"])]
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        ended = asyncio.create_task(reader.read())
        done, _ = await asyncio.wait([*callers, ended], return_when=asyncio.FIRST_COMPLETED)
        for caller in callers:
            caller.cancel()
        for task in done:
            task.result()


def tell(transition: Transition) -> None:
    print(json.dumps(transition.to_dict()), flush=True)


if __name__ == "__main__":
    asyncio.run(work(json.loads(sys.argv[1])))
