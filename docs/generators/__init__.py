"""What makes the generated pages: each module returns the text of its pages and writes nothing. `docs/generate.py` is the command."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
