"""What models cost and can do: facts with their sources, and money from token counts.

`model_info` what is known of one model, `catalog` many of them by name, `origin` where they come from, `pricing` money, exactly.
The names here load when they are first used: `ModelInfo` must not bring what only some of its methods need. Two of them need
`ModelInfo`, too: `ModelInfo.get` belongs to the class of what it gets, and this is where that circle is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmring.lazy import lazy_names

if TYPE_CHECKING:
    from llmring.registry.catalog import shared_catalog as shared_catalog
    from llmring.registry.raw_usage import parse_usage as parse_usage
    from llmring.registry.tokens import estimate_tokens as estimate_tokens

_load = lazy_names(
    __name__,
    {"catalog": ("shared_catalog",), "raw_usage": ("parse_usage",), "tokens": ("estimate_tokens",)},
)

# Hidden from type checkers: a module with `__getattr__` has every name for them, misspelt ones too.
if not TYPE_CHECKING:
    __getattr__ = _load
