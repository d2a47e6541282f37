"""CloudWatch's metric filters on JSON log lines, as far as template.yaml uses them: the emulators keep filters and apply none.

The syntax: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Each condition may stand in parentheses; they are joined by "and" alone.
_CONDITION = re.compile(r'\(?\s*\$\.(\w+)\s*(=|!=)\s*"([^"]*)"\s*\)?')


@dataclass(frozen=True)
class Condition:
    field: str
    is_equal: bool
    text: str

    def holds(self, line: dict[str, Any]) -> bool:
        """A field that is missing matches neither."""
        return self.field in line and (line[self.field] == self.text) is self.is_equal


@dataclass(frozen=True)
class FilterPattern:
    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, pattern: str) -> FilterPattern:
        """Raises ValueError for what the template does not use."""
        body = re.fullmatch(r"\{ (.+) \}", pattern)
        parts = [_CONDITION.fullmatch(part.strip()) for part in body[1].split("&&")] if body else [None]
        if not all(parts):
            raise ValueError(f"this pattern can't be evaluated here: {pattern}")
        return cls(tuple(Condition(part[1], part[2] == "=", part[3]) for part in parts if part))

    def matches(self, line: str) -> bool:
        """Whether the filter counts the line; one that isn't a JSON object never matches."""
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
    """What a filter makes of the lines. `value` is a number or a field; `dimensions` has the field of each name. A line that
    has not all these fields, or a value that is no number, gives none.
    """
    parsed = FilterPattern.parse(pattern)
    points = []
    for fields in (json.loads(line) for line in lines if parsed.matches(line)):
        number = fields.get(value.removeprefix("$.")) if value.startswith("$.") else value
        named = {name: fields.get(field.removeprefix("$.")) for name, field in dimensions.items()}
        if not isinstance(number, bool | None) and None not in named.values():
            points.append(DataPoint(float(number), {name: str(text) for name, text in named.items()}))
    return points
