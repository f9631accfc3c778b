"""RT08: a server that says when to come again, in each of the ways there are, over real sockets and by the real clock."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest

from llmring import LLMRequest, LLMRing, ProviderRateLimitError, RetryPolicy
from llmring.testing import Answer, Exact, FakeProvider, Received

FORMS = ("retry-after-ms", "retry-after", "http date", "retry info", "x-ratelimit-reset")
# How many wait at once: what a burst of replies takes to be read is no part of what is measured.
AT_ONCE = 50


@dataclass
class Case:
    """One request that is refused once. refused_at, asked_again_at: on the server, `time.monotonic()` seconds."""

    model: str
    form: str
    hint_s: float
    refused_at: float = 0.0
    asked_again_at: float = 0.0


def refusal(form: str, hint_s: float) -> Exact:
    headers: dict[str, str] = {"content-type": "application/json"}
    error: dict[str, object] = {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}
    if form == "retry-after-ms":
        headers["retry-after-ms"] = f"{hint_s * 1000:.0f}"
    elif form == "retry-after":
        headers["retry-after"] = f"{hint_s:.0f}"
    elif form == "http date":
        now = time.time()
        headers |= {"date": formatdate(now, usegmt=True), "retry-after": formatdate(now + hint_s, usegmt=True)}
    elif form == "retry info":
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{hint_s:.3f}s"}
        error = {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [info]}
    else:
        headers |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{hint_s * 1000:.0f}ms"}
    return Exact(status=429, headers=headers, chunks=[json.dumps({"error": error}).encode()])


def serve(fake: FakeProvider, cases: Mapping[str, Case]) -> None:
    """Refuses each case's model once; whatever else is asked for is answered, and noted for the case in the name: `after-CASE`."""

    def answer(received: Received) -> Answer | Exact:
        now = time.monotonic()
        model = received.model or ""
        case = cases[model.removeprefix("after-")]
        if case.refused_at == 0.0:
            case.refused_at = now
            return refusal(case.form, case.hint_s)
        case.asked_again_at = case.asked_again_at or now
        return Answer()

    fake.script(answer)


def make_ring(fake: FakeProvider, lock: Path | None = None) -> LLMRing:
    rows = {
        name: {"base_url": fake.base_url_of(dialect), "dialect": dialect, "auth": "none"}
        for name, dialect in (("open", "openai_chat"), ("gemini", "gemini_generate"))
    }
    return LLMRing(providers=rows, lockfile_path=lock, retry=RetryPolicy(attempts=1), dotenv=False)


def of(case: Case) -> str:
    return f"{'gemini' if case.form == 'retry info' else 'open'}:{case.model}"


@pytest.mark.spec("RT08", "B08")
async def test_no_one_comes_early_and_hardly_anyone_late(
    fake_provider: FakeProvider, scale: float, record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random("RT08")
    cases: list[Case] = []
    for number in range(round(450 * scale)):
        form = FORMS[number % len(FORMS)]
        in_whole_seconds = form in ("retry-after", "http date")
        cases.append(Case(f"m{number}", form, 1.0 if in_whole_seconds else round(dice.uniform(0.05, 1.5), 3)))
    serve(fake_provider, {case.model: case for case in cases})
    at_once = asyncio.Semaphore(AT_ONCE)
    async with make_ring(fake_provider) as ring:

        async def ask(case: Case) -> None:
            async with at_once:
                # One attempt is all it has: what a server asked to be put off is none.
                assert (await ring.chat(of(case), "Hi")).content

        await asyncio.gather(*(ask(case) for case in cases))
    waited = [(case.asked_again_at - case.refused_at, case.hint_s) for case in cases]
    early = [pair for pair in waited if pair[0] < pair[1]]
    # Of what each may be late: 10 % and 100 ms.
    late = sorted((took_s - hint_s) / (0.1 * hint_s + 0.1) for took_s, hint_s in waited)
    p95 = late[round(0.95 * len(late)) - 1]
    overshoot_s = sorted(took_s - hint_s for took_s, hint_s in waited)[round(0.95 * len(late)) - 1]
    record_property(
        "waited",
        f"{len(cases)} cases in {len(FORMS)} forms, early {len(early)}, overshoot p95 {overshoot_s * 1000:.0f} ms, "
        f"{p95:.0%} of what is allowed",
    )
    assert early == []
    assert p95 <= 1


@pytest.mark.spec("RT08", "B08", "B09")
async def test_what_would_take_too_long_is_moved_on_from_at_once(
    fake_provider: FakeProvider,
    scale: float,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    cases = [
        Case(f"m{number}", FORMS[number % len(FORMS)], 20.0 if number % 2 else 60.0)
        for number in range(max(len(FORMS) * 2, round(50 * scale)))
    ]
    serve(fake_provider, {case.model: case for case in cases})
    bindings = "\n".join(
        f'[[profiles.default.bindings]]\nalias = "pool-{case.model}"\nmodels = ["{of(case)}", "open:after-{case.model}"]'
        for case in cases
    )
    lock = tmp_path / "llmring.lock"
    lock.write_text(f'version = "1.1"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n{bindings}\n')
    moved_s: list[float] = []
    async with make_ring(fake_provider, lock) as ring:
        # The connection and the code are warm.
        warm = Case("warm", "retry-after", 0.0, refused_at=1.0)
        serve(fake_provider, {case.model: case for case in (*cases, warm)})
        await ring.chat("open:warm", "Hi")
        await ring.chat("gemini:warm", "Hi")
        for number, case in enumerate(cases):
            # 20 s are within the 30 that a call may wait, and past the deadline of these; 60 s are past both.
            if number % 4 < 2:
                answer = await ring.chat(LLMRequest(model=f"pool-{case.model}", messages="Hi", deadline=10))
                assert answer.called_model == f"open:after-{case.model}"
                assert [attempt["error"] for attempt in answer.attempts or []] == ["ProviderRateLimitError"]
                moved_s.append(case.asked_again_at - case.refused_at)
            else:
                with pytest.raises(ProviderRateLimitError) as caught:
                    await ring.chat(LLMRequest(model=of(case), messages="Hi", deadline=10))
                moved_s.append(time.monotonic() - case.refused_at)
                assert caught.value.retry_after_s == pytest.approx(case.hint_s, abs=1)
                assert case.asked_again_at == 0.0
    record_property("moved on", f"{len(cases)} cases past the deadline, slowest {max(moved_s) * 1000:.1f} ms")
    assert max(moved_s) <= 0.02
