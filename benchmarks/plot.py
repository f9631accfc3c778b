"""The picture of a run: what a call costs everybody, as bars on a scale of powers of ten. Text in, SVG text out.

Readable on light and dark pages: the picture says its own colours for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

_WIDTH = 760
_LEFT = 150  # where the bars begin: the names stand before
_RIGHT = 70  # for the number after the longest bar
_BAR = 18
_STEP = 26
_TOP = 52
_STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .faint { fill: #59636e; font-size: 11px }
  .line { stroke: #d1d9e0 }
  .bar { fill: #8c959f }
  .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .line { stroke: #3d444d }
    .bar { fill: #656c76 }
    .ours { fill: #4493f8 }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """value: above 0. is_ours: stands out."""

    name: str
    value: float
    label: str
    is_ours: bool = False


def render_svg(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Bars from the lowest power of ten to the highest that hold all values. Raises ValueError without bars."""
    if not bars:
        raise ValueError("nothing to draw")
    low = floor(log10(min(bar.value for bar in bars)))
    high = max(ceil(log10(max(bar.value for bar in bars))), low + 1)
    scale = (_WIDTH - _LEFT - _RIGHT) / (high - low)
    bottom = _TOP + _STEP * len(bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 30}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = _LEFT + (power - low) * scale
        lines.append(f'<line class="line" x1="{x:.1f}" y1="{_TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>')
        lines.append(
            f'<text class="faint" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_tick(power, unit)}</text>'
        )
    for number, bar in enumerate(bars):
        y = _TOP + _STEP * number
        length = max(1.0, (log10(bar.value) - low) * scale)
        style = "bar ours" if bar.is_ours else "bar"
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(bar.name)}</text>')
        lines.append(f'<rect class="{style}" x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2"/>')
        lines.append(f'<text class="faint" x="{_LEFT + length + 6:.1f}" y="{y + 13}">{escape(bar.label)}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def _tick(power: int, unit: str) -> str:
    return escape(f"{10**power:,} {unit}" if power >= 0 else f"{10**power:g} {unit}")
