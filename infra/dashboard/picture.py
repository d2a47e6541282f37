"""A picture of the dashboard, as SVG: every widget at its place, with recorded values.

It is for reviewing the layout; CloudWatch draws the real one. The same layout and recording give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from infra.dashboard.recording import MINUTES, Recording
from infra.dashboard.source import TEMPLATE_FILE
from infra.dashboard.widgets import COLUMNS, Alarms, Graph, Metric, Numbers, Placed, Row, Series, Text, place

PICTURE_FILE = TEMPLATE_FILE.parent / "docs" / "images" / "dashboard.svg"
COLUMN, LINE, GAP = 60, 40, 6
WIDTH = COLUMNS * COLUMN
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")
STATES = {"ALARM": "#d13212", "OK": "#1d8102", "INSUFFICIENT_DATA": "#879596"}
TILE_COLUMNS = 3
# Fn::Sub fills these in when the stack is deployed: here, a deployment with the defaults.
VARIABLES = {
    "LagAlarmSeconds": "21600",
    "AWS::StackName": "audit-export",
    "AWS::Region": "us-east-1",
    "Runbooks": "docs/RUNBOOKS.md",
}


def draw(rows: tuple[Row, ...], recording: Recording) -> str:
    widgets = place(rows)
    height = (widgets[-1].y + widgets[-1].height) * LINE + 30
    note = f"Recorded from {recording.source}, {MINUTES} minutes from {recording.start}. Metrics that it doesn't have say so."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#f2f3f3"/>',
        *(part for widget in widgets for part in _widget(widget, recording)),
        _text(8, height - 11, note, "#545b64"),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _widget(placed: Placed, recording: Recording) -> Iterator[str]:
    x, y = placed.x * COLUMN + GAP / 2, placed.y * LINE + GAP / 2
    width, height = placed.width * COLUMN - GAP, placed.height * LINE - GAP
    yield f'<rect x="{x:g}" y="{y:g}" width="{width}" height="{height}" fill="#fff" stroke="#d5dbdb"/>'
    yield f'<svg x="{x:g}" y="{y:g}" width="{width}" height="{height}">'
    match placed.widget:
        case Text() as text:
            heading, _, rest = text.markdown.removeprefix("## ").partition("\n")
            yield f'<text x="10" y="28" font-size="18" font-weight="bold">{escape(heading)}</text>'
            yield _text(10, 54, rest.replace("**", "").replace("`", ""))
        case Alarms() as alarms:
            yield _title(alarms.title)
            yield from _tiles(alarms, recording, width, height)
        case Numbers() as numbers:
            yield _title(numbers.title)
            yield from _numbers(numbers, recording, width)
        case Graph() as graph:
            yield _title(graph.title)
            yield from _graph(graph, recording, width, height)
    yield "</svg>"


def _tiles(alarms: Alarms, recording: Recording, width: float, height: float) -> Iterator[str]:
    tile_width = (width - 16) / TILE_COLUMNS
    lines = -(-len(alarms.alarms) // TILE_COLUMNS)
    tile_height = min(34.0, (height - 36) / lines)
    for index, alarm in enumerate(alarms.alarms):
        x, y = 8 + index % TILE_COLUMNS * tile_width, 30 + index // TILE_COLUMNS * tile_height
        colour = STATES[recording.states.get(alarm, "INSUFFICIENT_DATA")]
        yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{tile_width - 4:.1f}" height="{tile_height - 4:.1f}" fill="{colour}"/>'
        size = min(11.0, 1.6 * (tile_width - 8) / len(alarm))
        yield (
            f'<text x="{x + 4:.1f}" y="{y + tile_height / 2 + 2:.1f}" font-size="{size:.1f}" fill="#fff">{alarm}</text>'
        )


def _numbers(numbers: Numbers, recording: Recording, width: float) -> Iterator[str]:
    for index, metric in enumerate(numbers.series):
        x = 10 + index * (width - 20) / len(numbers.series)
        points = recording.points.get(metric.key, {})
        value = f"{points[max(points)]:g}" if points else "no data"
        yield f'<text x="{x:.1f}" y="80" font-size="30">{value}</text>'
        yield _text(x, 104, metric.label, "#545b64")


def _graph(graph: Graph, recording: Recording, width: float, height: float) -> Iterator[str]:
    left, right, top, bottom = 52.0, width - 12, 52.0, height - 46
    series = [(one.label, _values(one, recording)) for one in graph.series]
    if graph.is_stacked:
        series = _stacked(series)
    lines = [(threshold.label, float(_filled(threshold.value))) for threshold in graph.thresholds]
    highest = max([0.0, *(value for _, points in series for value in points.values()), *(value for _, value in lines)])
    peak = 1.1 * highest or 1.0
    yield _text(10, 36, graph.unit, "#545b64")
    for part in (0.0, 0.5, 1.0) if highest else (0.0,):
        y = bottom - part * highest / peak * (bottom - top)
        yield f'<line x1="{left:g}" y1="{y:.1f}" x2="{right:g}" y2="{y:.1f}" stroke="#eaeded"/>'
        yield f'<text x="{left - 4:g}" y="{y + 4:.1f}" text-anchor="end" fill="#545b64">{_short(part * highest)}</text>'
    if not any(points for _, points in series):
        yield f'<text x="{(left + right) / 2:.1f}" y="{(top + bottom) / 2:.1f}" text-anchor="middle" fill="#879596">no data</text>'
    for label, value in lines:
        y = bottom - value / peak * (bottom - top)
        yield f'<line x1="{left:g}" y1="{y:.1f}" x2="{right:g}" y2="{y:.1f}" stroke="#d13212" stroke-dasharray="4 3"/>'
        yield f'<text x="{right:g}" y="{y - 3:.1f}" text-anchor="end" fill="#d13212" font-size="9">{label}</text>'
    x = 10.0
    legend = height - 24
    for index, (label, points) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        places = [
            f"{left + minute / (MINUTES - 1) * (right - left):.1f},{bottom - value / peak * (bottom - top):.1f}"
            for minute, value in sorted(points.items())
        ]
        if places:
            yield f'<polyline points="{" ".join(places)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            yield from (
                f'<circle cx="{p.split(",")[0]}" cy="{p.split(",")[1]}" r="1.8" fill="{colour}"/>' for p in places
            )
        needed = 22 + 6.5 * len(label)
        if x + needed > width:
            x, legend = 10.0, legend + 14
        yield f'<rect x="{x:.1f}" y="{legend - 8:g}" width="9" height="9" fill="{colour}"/>'
        yield _text(x + 13, legend, label)
        x += needed


def _values(series: Series, recording: Recording) -> dict[int, float]:
    metric, factor = (series, 1.0) if isinstance(series, Metric) else (series.operand, series.factor)
    return {minute: value * factor for minute, value in recording.points.get(metric.key, {}).items()}


def _stacked(series: list[tuple[str, dict[int, float]]]) -> list[tuple[str, dict[int, float]]]:
    """Adds to each series those before it, at the minutes that any of them has."""
    minutes = sorted({minute for _, points in series for minute in points})
    below = dict.fromkeys(minutes, 0.0)
    stacked = []
    for label, points in series:
        below = {minute: below[minute] + points.get(minute, 0.0) for minute in minutes}
        stacked.append((label, below if points else {}))
    return stacked


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _title(text: str) -> str:
    return f'<text x="10" y="20" font-size="13" font-weight="bold">{escape(text)}</text>'


def _text(x: float, y: float, text: str, colour: str = "#16191f") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" fill="{colour}">{escape(_filled(text))}</text>'


def _filled(text: str) -> str:
    return re.sub(r"\$\{([\w:]+)\}", lambda found: VARIABLES[found[1]], text)
