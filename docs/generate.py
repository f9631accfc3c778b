"""Writes the pages that would go stale if people wrote them, and builds the site: `make docs`.

With --check it writes no page and fails on a stale one. With --site it builds the site too, below .cache/docs; a warning is an error.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
import time

from generators import (
    ROOT,
    api,
    cli,
    environment,
    errors,
    features,
    findings,
    manifest,
    navigation,
    options,
    providers,
    site,
)

USAGE = "usage: generate.py [--check] [--site]"


def pages() -> dict[str, str]:
    """Every generated page, by its path from the top of the repository."""
    made = {
        "docs/environment.md": environment.environment_page(),
        "docs/features.md": features.features_page(),
        "docs/providers.md": providers.providers_page(),
        "docs/reference/cli.md": cli.page(),
        "docs/reference/errors.md": errors.page(),
        "docs/reference/findings.md": findings.page(),
        **api.pages(),
        **manifest.pages(),
        **options.pages(),
    }
    return {**made, "docs/llms.txt": navigation.llms_txt(made)}


def write_pages(check: bool) -> int:
    """Writes what is not current, or says so; returns the exit code."""
    stale = 0
    made = pages()
    for name, page in made.items():
        path = ROOT / name
        if path.exists() and path.read_text() == page:
            continue
        if check:
            print(f"error: {name} is stale; run `make docs`", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page)
            print(f"wrote {name}")
    for path in sorted((ROOT / "docs" / "reference").rglob("*.md")):
        name = path.relative_to(ROOT).as_posix()
        if name in made:
            continue
        if check:
            print(f"error: {name} is made by nobody any more; run `make docs`", file=sys.stderr)
            stale = 1
        else:
            path.unlink()
            print(f"removed {name}")
    return stale


def build_site() -> int:
    """Builds the site and says where it is; returns the exit code."""
    began = time.monotonic()
    try:
        folder = site.build(ROOT / ".cache" / "docs")
    except site.SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    count = sum(1 for _ in folder.rglob("*.html"))
    where = (folder / "index.html").relative_to(ROOT)
    print(f"site: {where} ({count} pages, {time.monotonic() - began:.1f} s)")
    return 0


def main(arguments: list[str]) -> int:
    if not set(arguments) <= {"--check", "--site"}:
        print(USAGE, file=sys.stderr)
        return 2
    status = write_pages("--check" in arguments)
    return status or (build_site() if "--site" in arguments else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
