"""The widgets of a dashboard, and their JSON.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

COLUMNS = 24
# Starts and ends a number that CloudFormation may fill in, so that it is written without quotation marks.
_NUMBER_MARK = "@@"


@dataclass(frozen=True)
class Metric:
    """A metric with its statistic. An identifier makes it an operand of an expression; it is not drawn itself."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    period: int
    label: str
    identifier: str = ""

    @property
    def key(self) -> str:
        """The name of the series in a recording."""
        dimensions = ",".join(f"{name}={value}" for name, value in self.dimensions)
        return f"{self.namespace} {self.name} {dimensions} {self.statistic}"

    def body(self) -> list[Any]:
        operand = {"id": self.identifier, "visible": False} if self.identifier else {}
        path = [part for dimension in self.dimensions for part in dimension]
        options = {"label": self.label, "stat": self.statistic, "period": self.period} | operand
        return [self.namespace, self.name, *path, options]


@dataclass(frozen=True)
class Scaled:
    """A metric times a number, as an expression: CloudWatch draws the product."""

    operand: Metric
    factor: float
    label: str

    @property
    def key(self) -> str:
        return self.operand.key

    def body(self) -> list[list[Any]]:
        expression = f"{self.operand.identifier} * {self.factor:.12g}"
        return [
            self.operand.body(),
            [{"expression": expression, "label": self.label, "id": f"e_{self.operand.identifier}"}],
        ]


Series = Metric | Scaled


@dataclass(frozen=True)
class Threshold:
    """A horizontal line at the threshold of alarms. The value is JSON, or a variable of Fn::Sub."""

    label: str
    value: str

    def body(self) -> dict[str, Any]:
        return {"label": self.label, "value": f"{_NUMBER_MARK}{self.value}{_NUMBER_MARK}"}


@dataclass(frozen=True)
class Graph:
    title: str
    unit: str
    series: tuple[Series, ...]
    thresholds: tuple[Threshold, ...] = ()
    is_stacked: bool = False

    def body(self) -> tuple[str, dict[str, Any]]:
        annotations = (
            {"annotations": {"horizontal": [line.body() for line in self.thresholds]}} if self.thresholds else {}
        )
        return "metric", _metrics(self.title, self.series) | {
            "view": "timeSeries",
            "stacked": self.is_stacked,
            "yAxis": {"left": {"label": self.unit, "min": 0, "showUnits": False}},
        } | annotations


@dataclass(frozen=True)
class Numbers:
    """The newest value of each metric, large, over a small graph."""

    title: str
    series: tuple[Metric, ...]

    def body(self) -> tuple[str, dict[str, Any]]:
        return "metric", _metrics(self.title, self.series) | {"view": "singleValue", "sparkline": True}


@dataclass(frozen=True)
class Alarms:
    """The states of alarms; those in ALARM come first."""

    title: str
    alarms: tuple[str, ...]

    def body(self) -> tuple[str, dict[str, Any]]:
        arns = [f"${{{alarm}.Arn}}" for alarm in self.alarms]
        return "alarm", {"title": self.title, "alarms": arns, "sortBy": "stateUpdatedTimestamp"}


@dataclass(frozen=True)
class Text:
    markdown: str

    def body(self) -> tuple[str, dict[str, Any]]:
        return "text", {"markdown": self.markdown}


Widget = Graph | Numbers | Alarms | Text


@dataclass(frozen=True)
class Row:
    """Widgets side by side, of the same size."""

    height: int
    widgets: tuple[Widget, ...]


@dataclass(frozen=True)
class Placed:
    """A widget with its place on the grid."""

    widget: Widget
    x: int
    y: int
    width: int
    height: int


def place(rows: tuple[Row, ...]) -> list[Placed]:
    placed, y = [], 0
    for row in rows:
        width = COLUMNS // len(row.widgets)
        placed += [Placed(widget, index * width, y, width, row.height) for index, widget in enumerate(row.widgets)]
        y += row.height
    return placed


def dashboard_body(rows: tuple[Row, ...], start: str) -> str:
    """Returns the body for Fn::Sub: JSON with a line for each widget."""
    lines = []
    for placed in place(rows):
        kind, properties = placed.widget.body()
        position = {"type": kind, "x": placed.x, "y": placed.y, "width": placed.width, "height": placed.height}
        lines.append(json.dumps(position | {"properties": properties}, separators=(",", ":")))
    head = json.dumps({"start": start, "periodOverride": "inherit"}, separators=(",", ":"))
    body = head.removesuffix("}") + ',"widgets":[\n' + ",\n".join(lines) + "\n]}\n"
    return re.sub(f'"{_NUMBER_MARK}(.*?){_NUMBER_MARK}"', r"\1", body)


def _metrics(title: str, series: tuple[Series, ...]) -> dict[str, Any]:
    bodies = [body for one in series for body in (one.body() if isinstance(one, Scaled) else [one.body()])]
    return {"title": title, "region": "${AWS::Region}", "metrics": bodies}
