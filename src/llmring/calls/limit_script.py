"""What several processes ask of Redis, in one call: a slice of the limits, by the server's own clock, and whether there is a pause."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, cast

from llmring.resilience.lease import Rates, Wish

# A process that has not asked for so long is not counted any more: the window of the limits.
_WORKER_S: Final = 60
# How long a target is remembered after its last use. Longer than any bucket takes to fill.
_KEPT_S: Final = 180
# What is read of Redis is anybody's who can write there. How far ahead a bucket is believed to be taken: longer than all processes together
# come to owe. Guess.
_MOST_DUE_S: Final = 600
# How many processes are believed to be there: each takes its share of a limit where Redis cannot be asked. Guess.
_MOST_WORKERS: Final = 1000

# Both limits are buckets as in resilience/rates.py: one number each, the moment at which the bucket is full again. What is granted may be
# due later: the server keeps the order in which processes asked. A server that has forgotten begins without a burst; one whose clock was
# set back (another one took over, or it was corrected) moves what it remembers along: nobody waits for the hour to come round again.
# What is no number counts as forgotten, and what lies too far ahead is written back nearer: each call would put it off for ever.
# KEYS: the target's state, its workers. ARGV: worker, microseconds of a request, most requests, microseconds of a token, most tokens,
# microseconds that a slice spans, of a pause (0: none, -1: it is over), requests spent, tokens owed, microseconds of the longest pause;
# then requests and tokens of each parcel.
SCRIPT: Final = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local request, most_requests = tonumber(ARGV[2]), tonumber(ARGV[3])
local token, most_tokens = tonumber(ARGV[4]), tonumber(ARGV[5])
local span, told, spent, owed = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local longest_pause = tonumber(ARGV[10])
local first_requests, first_tokens = tonumber(ARGV[11] or 0), tonumber(ARGV[12] or 0)
local function read(text, default)
    local number = tonumber(text)
    if number and number > -1e17 and number < 1e17 then return number end
    return default
end
local state = redis.call('HMGET', KEYS[1], 'requests', 'tokens', 'pause', 'seen')
local back = math.max(0, read(state[4], now) - now)
local latest = now + {_MOST_DUE_S * 1_000_000}
local requests = math.min(latest, read(state[1], now + math.max(0, most_requests - first_requests) * request) - back)
local tokens = math.min(latest, read(state[2], now + math.max(0, most_tokens - first_tokens) * token) - back)
local pause = read(state[3], 0) - back
if spent > 0 then requests = math.max(requests, now) + spent * request end
if owed > 0 then tokens = math.max(tokens, now) end
tokens = tokens + owed * token
if told < 0 then pause = 0 elseif told > 0 then pause = math.max(pause, now + told) end
pause = math.min(pause, now + longest_pause)
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - {_WORKER_S * 1_000_000})
redis.call('ZREMRANGEBYSCORE', KEYS[2], now + 1, '+inf')
local reply = {{redis.call('ZCARD', KEYS[2]), math.ceil(math.max(0, pause - now))}}
if pause <= now then
    local from
    for i = 11, #ARGV, 2 do
        local count, weight = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
        local at = math.max(now, requests - math.max(0, most_requests - count) * request)
        at = math.max(at, tokens - math.max(0, most_tokens - weight) * token)
        if from and at > from + span then break end
        from = from or at
        requests = math.max(requests, at) + count * request
        tokens = math.max(tokens, at) + weight * token
        reply[#reply + 1] = math.ceil(at - now)
    end
end
redis.call('HSET', KEYS[1], 'requests', string.format('%.0f', requests), 'tokens', string.format('%.0f', tokens),
    'pause', string.format('%.0f', pause), 'seen', string.format('%.0f', now))
local kept = math.ceil((math.max(requests, tokens, pause, now) - now) / 1000) + {_KEPT_S * 1000}
redis.call('PEXPIRE', KEYS[1], kept)
redis.call('PEXPIRE', KEYS[2], {_WORKER_S * 1000})
return reply
"""


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer. workers: the processes that asked lately. due_after_s: of as many parcels as were granted."""

    workers: int
    pause_s: float
    due_after_s: tuple[float, ...]


def write_arguments(worker: str, wish: Wish, rates: Rates, span_s: float, longest_pause_s: float) -> list[str]:
    pause_us = -1 if wish.ends_pause and not wish.pause_s else math.ceil(wish.pause_s * 1e6)
    head = (
        rates.request_s * 1e6,
        rates.most_requests,
        rates.token_s * 1e6,
        rates.most_tokens,
        span_s * 1e6,
        pause_us,
        wish.spent,
        wish.owed,
        longest_pause_s * 1e6,
    )
    return [worker, *map(repr, head), *(repr(number) for parcel in wish.parcels for number in parcel)]


def read_reply(reply: object) -> Granted:
    """Raises ValueError for what the script does not answer."""
    if not isinstance(reply, list) or len(cast("list[object]", reply)) < 2:
        raise ValueError("not an answer of the script")
    numbers = [number for number in cast("list[object]", reply) if isinstance(number, int)]
    if len(numbers) != len(cast("list[object]", reply)):
        raise ValueError("not an answer of the script")
    workers, pause_us, *due_us = numbers
    # Twice what is believed of a bucket: what this process itself took and owes comes on top of it.
    if workers < 1 or pause_us < 0 or not all(0 <= us <= 2 * _MOST_DUE_S * 1_000_000 for us in due_us):
        raise ValueError("not an answer of the script")
    return Granted(min(workers, _MOST_WORKERS), pause_us / 1e6, tuple(us / 1e6 for us in due_us))
