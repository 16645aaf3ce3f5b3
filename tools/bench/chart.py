"""Bar charts as SVG, legible on light and dark pages, without a library: a bar is a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LABELS, BAR, GAP, HEAD = 800, 290, 22, 10, 44
# One accent for ours, one grey for others; both keep a contrast of at least 3 on white and on near-black.
OURS, OTHERS, TEXT = "#c2410c", "#7c8794", "#6b7280"


def bars(title: str, unit: str, values: Sequence[tuple[str, float, bool]]) -> str:
    """`values` (label, value, whether it is ours) as horizontal bars from zero."""
    largest = max(value for _, value, _ in values)
    height = HEAD + len(values) * (BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif" font-size="14">',
        f'<text x="0" y="20" fill="{TEXT}" font-weight="600">{escape(title)}</text>',
    ]
    for place, (label, value, ours) in enumerate(values):
        top = HEAD + place * (BAR + GAP)
        middle = top + BAR - 6
        length = max(value / largest * (WIDTH - LABELS - 110), 1)
        parts += [
            f'<text x="{LABELS - 10}" y="{middle}" fill="{TEXT}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{length:.0f}" height="{BAR}" rx="3" fill="{OURS if ours else OTHERS}"/>',
            f'<text x="{LABELS + length + 8:.0f}" y="{middle}" fill="{TEXT}">{value:.0f} {escape(unit)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
