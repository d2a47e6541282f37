"""CloudWatch's metric filters on JSON log lines, as far as template.yaml uses them. The emulators store filters but don't apply them.

The syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# A condition, which may be in parentheses. Conditions are joined by `&&` only.
_CONDITION = re.compile(r'\(?\s*\$\.(\w+)\s*(=|!=)\s*"([^"]*)"\s*\)?')


@dataclass(frozen=True)
class Condition:
    field: str
    is_equal: bool
    text: str

    def holds(self, line: dict[str, Any]) -> bool:
        """Checks a log line. A missing field matches neither `=` nor `!=`."""
        return self.field in line and (line[self.field] == self.text) is self.is_equal


@dataclass(frozen=True)
class FilterPattern:
    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, pattern: str) -> FilterPattern:
        """Raises ValueError for syntax that the template does not use."""
        body = re.fullmatch(r"\{ (.+) \}", pattern)
        parts = [_CONDITION.fullmatch(part.strip()) for part in body[1].split("&&")] if body else [None]
        if not all(parts):
            raise ValueError(f"unsupported filter pattern: {pattern}")
        return cls(tuple(Condition(part[1], part[2] == "=", part[3]) for part in parts if part))

    def matches(self, line: str) -> bool:
        """Checks whether the filter counts the line. A line that isn't a JSON object never matches."""
        try:
            fields = json.loads(line)
        except ValueError:
            return False
        return isinstance(fields, dict) and all(condition.holds(fields) for condition in self.conditions)


@dataclass(frozen=True)
class DataPoint:
    value: float
    dimensions: dict[str, str]


def data_points(pattern: str, value: str, dimensions: dict[str, str], lines: Iterable[str]) -> list[DataPoint]:
    """Returns the data points that a filter makes of log lines.

    `value` is a number or a field; `dimensions` maps names to fields. A line without all of these fields, or with a value that
    is not a number, makes no data point.
    """
    parsed = FilterPattern.parse(pattern)
    points = []
    for fields in (json.loads(line) for line in lines if parsed.matches(line)):
        number = fields.get(value.removeprefix("$.")) if value.startswith("$.") else value
        named = {name: fields.get(field.removeprefix("$.")) for name, field in dimensions.items()}
        if not isinstance(number, bool | None) and None not in named.values():
            points.append(DataPoint(float(number), {name: str(text) for name, text in named.items()}))
    return points
