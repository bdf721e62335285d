"""The plot: one bar for each candidate of the main table, as long as the processor time of a request; the thin line is from
the least round to the most."""

import statistics
from html import escape

from report import values

WIDTH, BAR, GAP, LEFT, RIGHT, TOP = 900, 18, 8, 230, 120, 64
COLOURS = {"Doorward": "#2563a8", "HAProxy": "#9a9a9a", "nginx": "#c3c3c3"}
OTHER = "#dddddd"


def svg(group):
    """The plot of a group, or nothing where none of it has processor time."""
    rows = group["rows"]
    names = list(dict.fromkeys(row["candidate"] for row in rows))
    bars = [(name, found) for name in names if (found := values(rows, name, "cpu_us"))]
    if not bars:
        return ""
    scale = (WIDTH - LEFT - RIGHT) / max(found[-1] for _, found in bars)
    height = TOP + len(bars) * (BAR + GAP) + 16
    heading = "Processor time of the proxy per request, in µs"
    below = f"{group['title']}; medians, least and most of the rounds; shorter is better"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="26" font-size="17" font-weight="bold">{heading}</text>',
        f'<text x="16" y="46" fill="#555">{escape(below)}</text>',
    ]
    for number, (name, found) in enumerate(bars):
        parts.append(_bar(name, found, TOP + number * (BAR + GAP), scale))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _bar(name, found, top, scale):
    middle = statistics.median(found)
    colour = COLOURS.get(name.split()[0], OTHER)
    centre, text = top + BAR / 2, top + BAR - 5
    least, most = LEFT + found[0] * scale, LEFT + found[-1] * scale
    return "\n".join(
        [
            f'<text x="{LEFT - 8}" y="{text}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{middle * scale:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<path d="M{least:.1f} {centre}H{most:.1f}M{least:.1f} {centre - 4}v8M{most:.1f} {centre - 4}v8" stroke="#222"/>',
            f'<text x="{most + 8:.1f}" y="{text}">{middle:.1f}</text>',
        ]
    )
