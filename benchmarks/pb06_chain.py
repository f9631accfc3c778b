"""What the wrappers around a call cost when nothing goes wrong."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.contestants import PROMPT
from benchmarks.contestants.llmring_ring import write_lock
from benchmarks.processes import Cores
from benchmarks.result import Result, Series, excess_at_most
from benchmarks.rounds import take_turns
from llmring import LLMRequest, Message
from llmring.calls.call import Call, Reply
from llmring.calls.chain import build_chain
from llmring.calls.gates import Gates
from llmring.calls.routes import Routes
from llmring.clock import SystemClock
from llmring.lockfile.store import LockStore
from llmring.resilience.board import Board
from llmring.resolver import Candidate, Resolution, Resolver

budget = "PB06"
title = "Resilience on the success path: CPU a call of the chain of wrappers, without I/O"
_METHOD = (
    "`calls/chain.py: build_chain` around an innermost call that answers at once, against that innermost call by "
    "itself. In the chain: the deadline, the order of routes, the way around the loop of attempts that a call takes while nothing fails, "
    "the gates (credential, endpoint, model, quota) with their bookkeeping. Not in it, because not built: a response cache."
)
_ROUNDS = 15
_COUNT = 20_000
_INNER = "innermost call"
_CHAIN = "chain"


def run(cores: Cores) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        resolution = _resolve(Path(folder))
    reply = Reply(resolution.candidates[0], [], 200, None, [])

    async def answer(call: Call, candidate: Candidate) -> Reply:
        return reply

    async def innermost(call: Call) -> Reply:
        return await answer(call, call.resolution.candidates[0])

    routes = Routes({}, environ={}, random=Random())
    chain = build_chain(answer, Gates(Board(SystemClock())), list_routes=routes.of_chat)
    taken = take_turns(
        {_INNER: partial(_time, innermost, resolution), _CHAIN: partial(_time, chain, resolution)}, _ROUNDS
    )
    inner, whole = (Series(who, "µs", tuple(values)) for who, values in taken.items())
    return Result(budget, title, _METHOD, (inner, whole), (excess_at_most(whole, inner, 5.0),))


def _resolve(folder: Path) -> Resolution:
    resolver = Resolver(
        LockStore(write_lock(folder, ["hello"]), SystemClock()),
        clock=SystemClock(),
        has_credential=lambda name: True,
        known_provider=lambda name: True,
    )
    return resolver.resolve("hello")


def _time(send: Callable[[Call], Awaitable[Reply]], resolution: Resolution) -> float:
    request = LLMRequest(model="hello", messages=[Message(role="user", content=PROMPT)], deadline=60.0)

    async def send_all() -> float:
        started_at = time.monotonic()
        started = time.process_time()
        for _ in range(_COUNT):
            await send(Call(request, request, resolution, stream=False, started=started_at))
        return time.process_time() - started

    return asyncio.run(send_all()) / _COUNT * 1e6
