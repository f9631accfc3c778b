"""`llmring lock export` as it is used: what each format looks like, and what it leaves out."""

from __future__ import annotations

import pytest
from tests.cli.inside import Inside

LOCK = """\
version = "1.1"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "fast"
models = ["google:tiny", "ollama:small:1b"]
temperature = 0.5

[profiles.dev]
name = "dev"

[[profiles.dev.bindings]]
alias = "fast"
models = ["ollama:small:1b"]

[[locked]]
id = "google:tiny"
pin = "snapshot"
caps = ["tools"]
max_input = 128000
price = { input = "2", output = "10" }
price_as_of = "2026-11-20"
price_source = "genai-prices 0.2.3"
retires = "2027-06-30"
retires_kind = "earliest"

[[locked]]
id = "ollama:small:1b"
pin = "content"
digest = "sha256:a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72"
"""


@pytest.mark.parametrize("format", ["json", "env", "python", "litellm", "cyclonedx", "md", "1.0"])
def test_each_format(inside: Inside, format: str) -> None:
    inside.write("llmring.lock", LOCK)
    inside.run("lock", "export", "--format", format).check(f"lock-export-{format}")


def test_one_profile(inside: Inside) -> None:
    inside.write("llmring.lock", LOCK)
    assert inside.run("lock", "export", "--format", "env", "--profile", "dev").stdout == (
        "LLMRING_MODEL_FAST=ollama:small:1b\n"
    )
    inside.run("lock", "export", "--profile", "prd").check("lock-export-no-profile")


def test_json_two_ways(inside: Inside) -> None:
    inside.write("llmring.lock", LOCK)
    assert inside.run("lock", "export", "--json").stdout == inside.run("lock", "export").stdout
