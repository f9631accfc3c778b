"""Models by name: what was registered at run time, over the facts of the registry. Asks no network.

What is not known stays unknown: it meets no condition unless the caller lets it. A pointer's own facts are its facts: `points_to`
is followed by nobody but the caller, because the pointer may have moved since it was looked up.
"""

from __future__ import annotations

import difflib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast, get_args

from llmring.exceptions import ConfigurationError, ModelInfoNotFoundError
from llmring.registry.model_info import CAPS, Category, Lifecycle, ModelInfo, Sort
from llmring.schemas.model_ref import parse_model_ref

_log = logging.getLogger("llmring.registry")

_MAX_SHOWN: Final = 80
_CLOSE: Final = 3
_LATEST: Final = "9999-12-31"
_PRICE_HINT: Final = "input, output, cache_read, batch_input, …"
_FACT_HINTS: Final = {"tokens": "a whole number of tokens, None for unknown", "date": "write YYYY-MM-DD"}
# A float that somebody made a Decimal of has some 55 digits, and a call's tokens at most 20 more: `pricing` reckons with 100.
_TOO_DEAR, _MOST_DIGITS = 10**9, -60

Load = Callable[[], Mapping[str, ModelInfo]]


class Catalog:
    """Callable from any thread.

    load: the registry's models by id. Asked when they are first needed, and once more after `reload`. under: a catalog whose
    registrations count too, below this one's own.
    """

    def __init__(self, load: Load, *, under: Catalog | None = None) -> None:
        self._load = load
        self._under = under
        self._guard = threading.RLock()
        self._facts: Mapping[str, ModelInfo] | None = None
        self._registered: dict[str, ModelInfo] = {}

    def register(self, info: ModelInfo, *, replace: bool = False) -> None:
        """Adds a model. Of one that is known already the new one wins; a warning is logged unless `replace`.

        Raises ConfigurationError for what is no ModelInfo, or one without a `provider:model` name, or with a fact that is none: a
        call that was answered, and paid for, must not fail over its price.
        """
        if not isinstance(info, ModelInfo):  # pyright: ignore[reportUnnecessaryIsInstance]: a caller's argument
            raise ConfigurationError(
                f"a {type(info).__name__} is no ModelInfo", hint='register(ModelInfo("provider:model", …))'
            )
        parse_model_ref(info.id)
        _check_facts(info)
        with self._guard:
            known = None if replace else self.look_up(info.id)
            self._registered[info.id] = info
        if known is not None:
            _log.warning("%s was known already; what is registered now takes its place (replace=True is silent)", info)

    def unregister(self, model: str) -> None:
        """Forgets what was registered here under this `provider:model`; nothing, if nothing was."""
        with self._guard:
            self._registered.pop(model, None)

    def reload(self) -> None:
        """Forgets what `load` gave. Registrations stay."""
        with self._guard:
            self._facts = None

    def find_registered(self, model: str) -> ModelInfo | None:
        """What was registered under this `provider:model`. Loads nothing."""
        found = self._registered.get(model)
        return found if found is not None or self._under is None else self._under.find_registered(model)

    def look_up(self, model: str) -> ModelInfo | None:
        """What is known of exactly this `provider:model`; None for nothing."""
        return self.find_registered(model) or self._loaded().get(model)

    def all(self) -> dict[str, ModelInfo]:
        """Every model by its id, in order."""
        registered = {} if self._under is None else dict(self._under._registered)
        found = {**self._loaded(), **registered, **self._registered}
        return {name: found[name] for name in sorted(found)}

    def get(self, key: str) -> ModelInfo:
        """The model named `provider:model`, or by the model's own name alone where one provider alone has it.

        Raises ModelInfoNotFoundError with names that come close, or with the full names where several have it.
        """
        found = self.look_up(key)
        if found is not None:
            return found
        known = self.all()
        # A model's own name may hold colons (gemma4:e2b), so what looks like a full name may be a bare one.
        same = [name for name in known if name.partition(":")[2] == key]
        if len(same) == 1:
            return known[same[0]]
        shown = key[:_MAX_SHOWN]
        if same:
            raise ModelInfoNotFoundError(
                f"several providers have a model {shown!r}",
                name=key,
                close_matches=tuple(same),
                hint=f"write one of {', '.join(same)}",
            )
        close = _near(key, known)
        raise ModelInfoNotFoundError(
            f"nothing is known of a model {shown!r}",
            name=key,
            close_matches=close,
            hint=f"did you mean {' or '.join(close)}?"
            if close
            else "it can be called all the same; ModelInfo.register tells what you know of it",
        )

    def find(
        self,
        *,
        provider: str | None = None,
        category: Category | None = None,
        needs: Iterable[str] = (),
        lacks: Iterable[str] = (),
        min_input: int | None = None,
        min_output: int | None = None,
        max_price: Mapping[str, Decimal | str | float] | None = None,
        lifecycle: Lifecycle | Iterable[Lifecycle] | None = None,
        reasoning: bool | None = None,
        allow_unknown: bool = False,
        sort: Sort = "name",
    ) -> list[ModelInfo]:
        """The models that meet every condition.

        needs, lacks: capabilities of `CAPS` that it has, and that it is known not to have. min_input, min_output: tokens.
        max_price: USD per million tokens by kind, `{"input": "3"}`. lifecycle: one or several; default all but "retired".
        allow_unknown: whether a model passes a condition where nobody knows if it meets it. Default no.
        sort: "name"; "price", cheapest input and output together first; "context", largest first; "retires", soonest first.
        What is not known comes last, and equals by name. Raises ConfigurationError for a word that is none of these.
        """
        lifecycles = (lifecycle,) if isinstance(lifecycle, str) else None if lifecycle is None else tuple(lifecycle)
        needed, lacking, prices = _caps(needs, "needs"), _caps(lacks, "lacks"), _prices(max_price or {})
        _check_words("sort", (sort,), tuple(_SORTS))
        _check_words("category", () if category is None else (category,), get_args(Category))
        _check_words("lifecycle", lifecycles or (), get_args(Lifecycle))

        def meets(info: ModelInfo) -> bool:
            answers: list[bool | None] = [info.can(cap) for cap in needed]
            answers += [_not(info.can(cap)) for cap in lacking]
            answers += [_at_most(info.price.get(kind), most) for kind, most in prices.items()]
            if category is not None:
                answers.append(None if info.category is None else info.category == category)
            if lifecycles is not None:
                answers.append(None if info.lifecycle is None else info.lifecycle in lifecycles)
            if reasoning is not None:
                answers.append(None if info.reasoning_model is None else info.reasoning_model == reasoning)
            if min_input is not None:
                answers.append(_takes(info, min_input))
            if min_output is not None:
                answers.append(None if info.max_output is None else info.max_output >= min_output)
            return all(answer or (answer is None and allow_unknown) for answer in answers)

        found = [
            info
            for info in self.all().values()
            if (provider is None or info.provider == provider)
            and (lifecycles is not None or info.lifecycle != "retired")
            and meets(info)
        ]
        return sorted(found, key=_SORTS[sort])

    def _loaded(self) -> Mapping[str, ModelInfo]:
        facts = self._facts
        if facts is None:
            with self._guard:
                if self._facts is None:
                    self._facts = self._load()
                facts = self._facts
        return facts


def _load_bundled() -> Mapping[str, ModelInfo]:
    from llmring.registry.snapshot import read_bundled  # here: every ring has a catalog, and most never ask it

    return read_bundled()


# The one state of the whole process: `ModelInfo.get`, `find` and `register` belong to a class, so they have no ring to keep it in.
_shared: Final = Catalog(_load_bundled)


def shared_catalog() -> Catalog:
    """What `ModelInfo.get` and `find` look in: the registrations of this process, over the registry that ships with llmring."""
    return _shared


def _near(key: str, known: Mapping[str, ModelInfo]) -> tuple[str, ...]:
    """Full names like this one; where it has no provider, those whose model's name is like it."""
    cut = key[:_MAX_SHOWN].lower()
    near = difflib.get_close_matches(cut, known, n=_CLOSE)
    by_name: dict[str, list[str]] = {}
    for name in known:
        by_name.setdefault(name.partition(":")[2], []).append(name)
    for bare in difflib.get_close_matches(cut, by_name, n=_CLOSE):
        near += by_name[bare]
    return tuple(dict.fromkeys(near))[:_CLOSE]


def _check_words(what: str, given: Iterable[str], known: tuple[str, ...]) -> None:
    for word in given:
        if word not in known:
            raise ConfigurationError(f"{what} is {word!r}", hint=f"one of {', '.join(known)}")


def _check_facts(info: ModelInfo) -> None:
    """Raises ConfigurationError where a field holds what the registry's own files may not. Prices may have more digits."""
    from llmring.registry.facts import list_facts
    from llmring.registry.parse import PRICE_KIND, kind_of, read_value

    for kind, amount in info.price.items():
        if not PRICE_KIND.fullmatch(kind):
            raise ConfigurationError(f"{info.id}: {kind!r} is no kind of token", hint=_PRICE_HINT)
        if not _is_price(amount):
            raise ConfigurationError(
                f"{info.id}: the price of {kind} is {repr(amount)[:_MAX_SHOWN]}",
                hint='USD per million tokens, not negative: Decimal("1.25")',
            )
    for field in ("caps", "lacks"):
        words: object = getattr(info, field)
        if words is not None and not isinstance(words, frozenset | set):
            raise ConfigurationError(f"{info.id}: {field} is a {type(words).__name__}", hint='frozenset({"tools"})')
        _caps(cast("Iterable[str]", words or ()), f"{info.id}: {field}")
    if isinstance(info.reasoning_efforts, str):  # whose letters would be levels
        raise ConfigurationError(f"{info.id}: reasoning_efforts is a text", hint='("low", "high")')
    for name, value in list_facts(info).items():
        known = None if name.startswith("price.") else kind_of(name)
        if known is not None and read_value(known, name, value) is None:
            raise ConfigurationError(f"{info.id}: {name} is {repr(value)[:_MAX_SHOWN]}", hint=_FACT_HINTS.get(known))


def _is_price(amount: object) -> bool:
    """Whether calls can be charged at it to the last digit, which is what `pricing` promises."""
    if not isinstance(amount, Decimal | int) or isinstance(amount, bool):
        return False
    price = Decimal(amount)
    return price.is_finite() and 0 <= price < _TOO_DEAR and cast("int", price.as_tuple().exponent) >= _MOST_DIGITS


def _caps(words: Iterable[str], what: str) -> tuple[str, ...]:
    given = (words,) if isinstance(words, str) else tuple(words)
    for word in given:
        if word not in CAPS:
            raise ConfigurationError(f"{what}: {word!r} is no capability", hint=f"known: {', '.join(CAPS)}")
    return given


def _prices(given: Mapping[str, Decimal | str | float]) -> dict[str, Decimal]:
    from llmring.registry.parse import PRICE_KIND

    prices: dict[str, Decimal] = {}
    for kind, most in given.items():
        if not PRICE_KIND.fullmatch(kind):
            raise ConfigurationError(f"max_price: {kind!r} is no kind of token", hint=_PRICE_HINT)
        try:
            prices[kind] = Decimal(str(most))
        except InvalidOperation:
            prices[kind] = Decimal("NaN")
        if prices[kind].is_nan():  # which compares with nothing
            raise ConfigurationError(f"max_price: {kind} is {str(most)[:_MAX_SHOWN]!r}", hint="USD per million tokens")
    return prices


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _at_most(price: Decimal | None, most: Decimal) -> bool | None:
    return None if price is None else price <= most


def _takes(info: ModelInfo, tokens: int) -> bool | None:
    """Whether its prompt may have so many tokens. The context window holds prompt and answer, so it can only say no."""
    if info.max_input is not None:
        return info.max_input >= tokens
    return False if info.context_window is not None and info.context_window < tokens else None


def _by_price(info: ModelInfo) -> tuple[bool, Decimal, str]:
    prices = [info.price.get(kind) for kind in ("input", "output")]
    if info.category == "embedding":
        prices = prices[:1]  # its answer is no text
    known = None not in prices
    return not known, sum(cast("list[Decimal]", prices), Decimal(0)) if known else Decimal(0), info.id


def _by_context(info: ModelInfo) -> tuple[bool, int, str]:
    size = info.max_input or info.context_window
    return size is None, -(size or 0), info.id


_SORTS: Final[Mapping[str, Callable[[ModelInfo], Any]]] = {
    "name": lambda info: info.id,
    "price": _by_price,
    "context": _by_context,
    "retires": lambda info: (info.retires or _LATEST, info.id),
}
