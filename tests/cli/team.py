"""A team's manifest, and a small registry for it: two vendors, four models, one of them a pointer. `moved`: as it is some months later."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.cli.inside import Inside

from llmring.registry.parse import Fact, FactSource, make_file
from llmring.registry.refresh import write_file

TODAY = datetime.now(UTC).date().isoformat()
MANIFEST = """\
schema = "1"

[sources]
facts = ["registry"]
prices = ["registry"]
lifecycle = ["registry"]

[alias.fast]
models = ["openai:tiny", "anthropic:small-1"]

[alias.titles]
models = ["anthropic:small-1"]

[profile.dev]

[profile.dev.alias.fast]
models = ["openai:tiny-2"]
"""


def publish(inside: Inside, *, moved: bool = False) -> None:
    page = FactSource("the vendor's page", "https://example.org/models", TODAY)

    def facts(**values: str | int | bool) -> dict[str, Fact]:
        told = {name.replace("__", "."): Fact(value, "page") for name, value in values.items()}
        return {"caps.tools": Fact(True, "page"), "max_input": Fact(200_000, "page")} | told

    openai = {
        "tiny": {
            "pin": Fact("pointer", "page"),
            "points_to": Fact("tiny-2" if moved else "tiny-1", "page"),
        },
        "tiny-1": facts(pin="snapshot", price__input="2", price__output="8"),
        "tiny-2": facts(pin="snapshot", price__input="3", price__output="9", max_input=400_000),
    }
    price = "1.5" if moved else "1"
    anthropic = {
        "small-1": facts(
            pin="snapshot", price__input=price, price__output="5", retires="2099-06-30", retires_kind="firm"
        )
    }
    folder = inside.folder / "registry"
    folder.mkdir(exist_ok=True)
    for vendor, models in (("openai", openai), ("anthropic", anthropic)):
        write_file(folder / f"{vendor}.json", make_file(vendor, TODAY, {"page": page}, models))
