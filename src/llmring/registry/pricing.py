"""Tokens into money: exact, in USD, from the prices of one model. A price that is missing is unknown, never 0. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Final

from llmring.registry.model_info import ModelInfo
from llmring.schemas.response import Usage

# The caller's own decimal context may round at 4 digits. In this one nothing ever rounds (prices have at most 21 digits, token
# counts fewer than 20), so it is never written to, and threads may share it.
_EXACT: Final = Context(prec=100)
_multiply: Final = _EXACT.multiply
_add: Final = _EXACT.add
_scale: Final = _EXACT.scaleb
_PER_MILLION: Final = Decimal(-6)
_ABOVE: Final = "_above_"
_ZERO: Final = Decimal(0)


class Cost:
    """What one call cost, in USD; None where a price is unknown.

    input_cost: the prompt tokens that no cache was involved in. cache_read_cost, cache_write_cost: the others.
    output_cost: the answer, reasoning included; reasoning_cost: the reasoning's share of it.
    total_cost: input, cache_read, cache_write and output together; None as soon as one of them is.
    reason: which prices are missing, and of which model; None where all are known.
    """

    __slots__ = (
        "cache_read_cost",
        "cache_write_cost",
        "input_cost",
        "output_cost",
        "reason",
        "reasoning_cost",
        "total_cost",
    )

    def __init__(
        self,
        input_cost: Decimal | None,
        cache_read_cost: Decimal | None,
        cache_write_cost: Decimal | None,
        output_cost: Decimal | None,
        reasoning_cost: Decimal | None,
        total_cost: Decimal | None,
        reason: str | None,
    ) -> None:
        self.input_cost = input_cost
        self.cache_read_cost = cache_read_cost
        self.cache_write_cost = cache_write_cost
        self.output_cost = output_cost
        self.reasoning_cost = reasoning_cost
        self.total_cost = total_cost
        self.reason = reason

    def to_dict(self) -> dict[str, float | str | None]:
        """The same as floats, each rounded once from the exact amount, and `reason`."""
        return {
            "input_cost": as_float(self.input_cost),
            "output_cost": as_float(self.output_cost),
            "cache_read_cost": as_float(self.cache_read_cost),
            "cache_write_cost": as_float(self.cache_write_cost),
            "reasoning_cost": as_float(self.reasoning_cost),
            "total_cost": as_float(self.total_cost),
            "reason": self.reason,
        }

    def __repr__(self) -> str:
        return f"Cost(total_cost={self.total_cost}, reason={self.reason!r})"


def price_usage(usage: Usage, info: ModelInfo) -> Cost:
    """What `usage` costs at the prices of `info`. Never raises for a model without prices.

    Prices by kind, USD per million tokens: input, output, cache_read, cache_write_5m or else cache_write; `KIND_above_N`
    takes the place of KIND for the whole call where the prompt, cached tokens included, has more than N tokens.
    A kind with no tokens costs 0 whatever its price, unless no price at all is known. Counts that contradict each other are read so that nothing costs less
    than 0: a negative count is 0, cached tokens beyond the prompt are still charged while the uncached rest is 0, and
    reasoning is at most the whole answer.
    """
    prompt = usage["prompt_tokens"]
    read = usage["cache_read_tokens"]
    written = usage["cache_write_tokens"]
    completion = usage["completion_tokens"]
    reasoning = usage["reasoning_tokens"]
    # On every call's path, so: no arithmetic for the kinds that have no tokens, and no max() where a comparison stands anyway.
    if read < 0 or written < 0:
        read, written = max(0, read), max(0, written)
    uncached = prompt - read - written
    price = info.price
    if not price:
        return Cost(None, None, None, None, None, None, f"no price is known for {info.id}")
    for name in price:
        if _ABOVE in name:
            price = _at_prompt_size(price, prompt if uncached > 0 else read + written)
            break

    input_cost = _amount(uncached, price.get("input")) if uncached > 0 else _ZERO
    read_cost = _amount(read, price.get("cache_read")) if read else _ZERO
    write_cost = _amount(written, price.get("cache_write_5m", price.get("cache_write"))) if written else _ZERO
    output_cost = _amount(completion, price.get("output")) if completion > 0 else _ZERO
    if reasoning > 0 and completion > 0:
        reasoning_cost = _amount(min(reasoning, completion), price.get("output"))
    else:
        reasoning_cost = _ZERO
    if input_cost is None or read_cost is None or write_cost is None or output_cost is None:
        costs = {"input": input_cost, "cache_read": read_cost, "cache_write": write_cost, "output": output_cost}
        missing = ", ".join(kind for kind, cost in costs.items() if cost is None)
        reason = f"no price is known for {missing} tokens of {info.id}"
        return Cost(input_cost, read_cost, write_cost, output_cost, reasoning_cost, None, reason)
    total = _add(input_cost, output_cost)
    if read or written:
        total = _add(total, _add(read_cost, write_cost))
    return Cost(input_cost, read_cost, write_cost, output_cost, reasoning_cost, total, None)


def charge(usage: Usage, info: ModelInfo) -> None:
    """Writes into `usage` what it costs, as floats; where no price of the model is known, nothing."""
    if info.price:
        cost = price_usage(usage, info)
        usage["cost"] = as_float(cost.total_cost)
        usage["input_cost"] = as_float(cost.input_cost)
        usage["output_cost"] = as_float(cost.output_cost)


def _amount(tokens: int, price: Decimal | None) -> Decimal | None:
    return None if price is None else _scale(_multiply(price, tokens), _PER_MILLION)


def _at_prompt_size(price: Mapping[str, Decimal], prompt_tokens: int) -> Mapping[str, Decimal]:
    """The prices that hold for a prompt of this size."""
    reached: dict[str, Decimal] = {}
    thresholds: dict[str, int] = {}
    for name, value in price.items():
        if _ABOVE not in name:
            continue
        kind, _, digits = name.partition(_ABOVE)
        if digits.isdecimal() and prompt_tokens > (threshold := int(digits)) > thresholds.get(kind, -1):
            reached[kind], thresholds[kind] = value, threshold
    return {**price, **reached} if reached else price


def as_float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
