"""RT01: every kind of fault at every dialect, plain and streamed, through the whole of a ring with its default policies."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from llmring import LLMRequest, LLMRing, Timeouts
from llmring.exceptions import (
    InvalidRequestError,
    LLMRingError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    ProviderUnreachableError,
    QuotaExhaustedError,
    StreamInterruptedError,
)
from llmring.resilience.board import TargetHealth
from llmring.resilience.breaker import BreakerState, Scope
from llmring.testing import Answer, FakeClock, FakeProvider, Fault
from llmring.testing.dialects import SERVER_DIALECTS

T = TypeVar("T")

DIALECTS = [dialect.name for dialect in SERVER_DIALECTS if dialect.speaks_chat]
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
plain_and_streamed = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])

# A reply's own clocks stand further off than any wait between attempts: what falls due before them is such a wait.
NO_HURRY = Timeouts(connect=1000, first_token=1000, idle=1000, total=1000)
WAITS_END_S = 900.0
STALLED_AFTER_S = 20.0
STALLED = Timeouts(connect=1000, first_token=STALLED_AFTER_S, idle=1000, total=STALLED_AFTER_S)


@dataclass(frozen=True)
class Kind:
    """fault: None, where nobody listens. error: what a call ends with. attempts: how often one call asks.

    gate: which one has shut after `calls` calls, at whose end `requests` were made; None where none may. rests_s: how long it does.
    cuts: whether fewer calls may be in flight from then on. stalls: whether a reply's own clock has to run out.
    """

    fault: Fault | None
    error: type[LLMRingError]
    attempts: int
    gate: Scope | None = None
    calls: int = 1
    requests: int | None = None
    rests_s: tuple[float, float] = (0, 0)
    cuts: bool = False
    stalls: bool = False


def breaking(fault: Fault, error: type[LLMRingError], *, cuts: bool = False) -> Kind:
    """Three attempts a call, and five failures in a row: it rests for 5 s ± 20 %."""
    return Kind(fault, error, 3, Scope.MODEL, calls=2, requests=5, rests_s=(4, 6), cuts=cuts)


KINDS: dict[str, Kind] = {
    "400": Kind(Fault.status(400), InvalidRequestError, 1),
    "401": Kind(Fault.status(401), ProviderAuthenticationError, 1, Scope.CREDENTIAL, rests_s=(60, 60)),
    "402": Kind(Fault.status(402), QuotaExhaustedError, 1, Scope.CREDENTIAL, rests_s=(900, 900)),
    "403": Kind(Fault.status(403), ProviderAuthenticationError, 1, Scope.CREDENTIAL, rests_s=(60, 60)),
    "404": Kind(Fault.status(404), ModelNotFoundError, 1, Scope.MODEL, rests_s=(60, 60)),
    "408": Kind(Fault.status(408), ProviderTimeoutError, 3),
    # 30 s altogether: at 0, 7, 14, 21 and 28 s.
    "429-hint": Kind(
        Fault.status(429, headers={"retry-after": "7"}), ProviderRateLimitError, 5, Scope.QUOTA, rests_s=(7, 7)
    ),
    "429": Kind(Fault.status(429), ProviderRateLimitError, 3, cuts=True),
    "500": breaking(Fault.status(500), ProviderResponseError),
    "503": breaking(Fault.status(503), ProviderResponseError, cuts=True),
    "529": breaking(Fault.status(529), ProviderResponseError, cuts=True),
    "error-in-200": breaking(Fault.error_in_stream(0), ProviderResponseError),
    "cut": breaking(Fault.cut(0), ProviderResponseError),
    "garbage": breaking(Fault.garbage(), ProviderResponseError),
    "reset": breaking(Fault.reset(), ProviderConnectionError),
    "closed": breaking(Fault.close_before_reply(), ProviderConnectionError),
    "stall": Kind(Fault.hang(), ProviderTimeoutError, 2, Scope.MODEL, 3, 5, (4, 6), stalls=True),
    "refused": Kind(None, ProviderUnreachableError, 2, Scope.ENDPOINT, 3, 0, (4, 6)),
}
every_kind = pytest.mark.parametrize("name", KINDS)

MakeRing = Callable[..., LLMRing]


@pytest.fixture
async def make_ring(fake_provider: FakeProvider, fake_clock: FakeClock) -> AsyncIterator[MakeRing]:
    """Rings with the default policies, over providers of one dialect: `bad`, which may listen nowhere, and `good`."""
    async with AsyncExitStack() as stack:

        def make(dialect: str, *, bad_listens: bool = True, **given: Any) -> LLMRing:
            there = {"base_url": fake_provider.base_url_of(dialect), "dialect": dialect, "auth": "none"}
            nowhere = f"http://127.0.0.1:{closed_port()}"
            bad = there if bad_listens else there | {"base_url": nowhere}
            ring = LLMRing(clock=fake_clock, providers={"bad": bad, "good": there}, dotenv=False, **given)
            stack.push_async_callback(ring.close)
            return ring

        yield make


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def send(ring: LLMRing, model: str, *, streamed: bool, stalls: bool = False, **given: Any) -> str:
    request = LLMRequest(model=model, messages="Hi", timeout=STALLED if stalls else NO_HURRY, **given)
    if not streamed:
        return (await ring.chat(request)).content
    return "".join([chunk.delta async for chunk in ring.chat_stream(request)])


async def skip_waits(call: Awaitable[T], clock: FakeClock, fake: FakeProvider, *, stalls: bool = False) -> T:
    """The call's result; the clock jumps to the end of every wait between attempts, and of a stalled reply once it is held."""
    task = asyncio.ensure_future(call)
    timed_out = len(fake.received)
    while not task.done():
        await asyncio.sleep(0)
        due = clock.next_timer
        if due is None or due - clock.monotonic() > WAITS_END_S:
            continue
        if stalls:
            # One jump for each request that the server has got and holds; until then the clock stands.
            if len(fake.received) == timed_out or fake.received[-1].model != "m1":
                continue
            timed_out = len(fake.received)
        clock.advance(due - clock.monotonic())
    return task.result()


def target_of(ring: LLMRing, provider: str) -> TargetHealth:
    return next(target for target in ring.health().targets if target.provider == provider)


def shut_gates(target: TargetHealth) -> dict[Scope, float | None]:
    return {gate.scope: gate.retry_in_s for gate in target.gates if gate.state is not BreakerState.CLOSED}


async def check(
    kind: Kind, dialect: str, streamed: bool, make_ring: MakeRing, fake: FakeProvider, clock: FakeClock
) -> int:
    """Calls until the gate is expected to shut; how many requests that took."""
    before = len(fake.received)
    ring = make_ring(dialect, bad_listens=kind.fault is not None)
    if kind.fault is not None:
        fake.script(kind.fault)
    for number in range(kind.calls):
        with pytest.raises(kind.error) as caught:
            await skip_waits(
                send(ring, "bad:m1", streamed=streamed, stalls=kind.stalls), clock, fake, stalls=kind.stalls
            )
        if number == 0:
            assert isinstance(caught.value, ProviderError)
            assert len(caught.value.attempts) == kind.attempts
            assert len(fake.received) - before == (kind.attempts if kind.fault else 0), "one request an attempt"
    requests = len(fake.received) - before
    if kind.requests is not None:
        assert requests == kind.requests, "none once the gate had shut"
    target = target_of(ring, "bad")
    gates = shut_gates(target)
    assert list(gates) == ([] if kind.gate is None else [kind.gate])
    if kind.gate is not None:
        rests_s = gates[kind.gate]
        assert rests_s is not None
        assert kind.rests_s[0] <= round(rests_s, 6) <= kind.rests_s[1]
        assert not target.available
    assert (target.concurrency_limit is not None) == kind.cuts
    assert target.in_flight == 0
    fake.release()
    return requests


@pytest.mark.spec("U18", "B11", "B12", "A06")
@every_dialect
@plain_and_streamed
@every_kind
async def test_a_fault_is_a_typed_error_after_as_many_attempts_as_it_is_worth_and_moves_its_gate(
    name: str,
    streamed: bool,
    dialect: str,
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
) -> None:
    await check(KINDS[name], dialect, streamed, make_ring, fake_provider, fake_clock)


@pytest.mark.spec("RT01")
async def test_every_fault_at_every_dialect(
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
    scale: float,
    record_property: Callable[[str, object], None],
) -> None:
    """The cases above in one run, for the report: each ends as the table says, or the run does."""
    cases = [(name, dialect, streamed) for name in KINDS for dialect in DIALECTS for streamed in (False, True)]
    cases = random.Random("RT01").sample(cases, round(len(cases) * scale))
    requests = 0
    for name, dialect, streamed in cases:
        requests += await check(KINDS[name], dialect, streamed, make_ring, fake_provider, fake_clock)
    kinds, dialects = {name for name, _, _ in cases}, {dialect for _, dialect, _ in cases}
    record_property(
        "cases",
        f"{len(cases)} ({len(kinds)} kinds, {len(dialects)} dialects, plain and streamed), requests {requests}, "
        f"untyped 0, attempts beyond the policy 0, hints not kept 0",
    )


@pytest.mark.spec("U31", "B13")
@every_dialect
@plain_and_streamed
@pytest.mark.parametrize("name", [name for name in KINDS if name != "400"])
async def test_while_a_sibling_is_healthy_it_answers_at_once_whatever_ails_the_first(
    name: str,
    streamed: bool,
    dialect: str,
    make_ring: MakeRing,
    fake_provider: FakeProvider,
    fake_clock: FakeClock,
    lock_of: Callable[..., Any],
) -> None:
    kind = KINDS[name]
    ring = make_ring(dialect, bad_listens=kind.fault is not None, lockfile_path=lock_of("bad:m1", "good:m2"))
    if kind.fault is not None:
        fake_provider.script(kind.fault, model="m1")
    fake_provider.script(Answer("sane"), model="m2")
    started = fake_clock.monotonic()
    for _ in range(8):
        call = send(ring, "pool", streamed=streamed, stalls=kind.stalls)
        assert await skip_waits(call, fake_clock, fake_provider, stalls=kind.stalls) == "sane"
    failures = [received for received in fake_provider.received if received.model == "m1"]
    most = {None: 8, Scope.MODEL: 5, Scope.ENDPOINT: 0}.get(kind.gate, 1) if name != "404" else 1
    assert len(failures) == (most if kind.fault is not None else 0), "a gate that is shut is not knocked at"
    assert fake_clock.monotonic() - started == (STALLED_AFTER_S * 5 if kind.stalls else 0), "no wait beside a sibling"
    assert target_of(ring, "good").available
    assert not shut_gates(target_of(ring, "good"))


@pytest.fixture
def lock_of(tmp_path: Any) -> Callable[..., Any]:
    def write(*models: str) -> Any:
        path = tmp_path / "llmring.lock"
        path.write_text(
            'version = "1.1"\ndefault_profile = "default"\n\n[profiles.default]\nname = "default"\n\n'
            f'[[profiles.default.bindings]]\nalias = "pool"\nmodels = {list(models)!r}\n'
        )
        return path

    return write


# Streams that had begun ---------------------------------------------------------------------------------------------

WORDS = Answer("one two three four five six seven")
INTERRUPTED = {
    "cut-fin": Fault.cut(6, "fin", WORDS),
    "cut-rst": Fault.cut(6, "rst", WORDS),
    "no-end": Fault.cut(1000, "fin", WORDS),  # all but the terminal event
    "error": Fault.error_in_stream(6, answer=WORDS),
}


@pytest.mark.spec("U31")
@every_dialect
@pytest.mark.parametrize("name", INTERRUPTED)
async def test_a_stream_that_had_begun_is_not_asked_for_again_and_counts_as_a_failure(
    name: str, dialect: str, make_ring: MakeRing, fake_provider: FakeProvider
) -> None:
    ring = make_ring(dialect)
    fake_provider.script(INTERRUPTED[name])
    for _ in range(5):
        with pytest.raises(StreamInterruptedError) as caught:
            await send(ring, "bad:m1", streamed=True)
        assert caught.value.partial is not None
        assert caught.value.partial.content
    assert len(fake_provider.received) == 5, "what reached the caller is not asked for again"
    assert list(shut_gates(target_of(ring, "bad"))) == [Scope.MODEL]
    assert target_of(ring, "bad").in_flight == 0
