"""The events that the statements have to read: every accepted one of tests/e2e/odd_events.ndjson, in several files and days."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from tests.e2e.odd_events import DAY, STAMP, odd_events

FILES = 5
FILES_OF_A_DAY = 2


@dataclass(frozen=True)
class Event:
    """An exported event: the day of its folder, and its exact line without the line feed."""

    day: str
    line: str

    @property
    def value(self) -> dict[str, Any]:
        return parse(self.line)


@dataclass(frozen=True, eq=False)
class Number:
    """A number with all its digits. `1e1` equals `10`."""

    text: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and (self.text == other.text or self._exact() == other._exact())

    __hash__ = None  # type: ignore[assignment]

    def rounded(self) -> float:
        """Returns the number as a tool has it that computes with doubles: the largest double stands for larger numbers."""
        return max(-sys.float_info.max, min(float(self.text), sys.float_info.max))

    def _exact(self) -> Decimal | str:
        try:
            return Decimal(self.text)
        except InvalidOperation:
            return self.text


def parse(text: str) -> Any:
    """Parses JSON with exact numbers. `strict` is off for a tool that prints control characters as they are."""
    return json.loads(text, parse_int=Number, parse_float=Number, strict=False)


def write_corpus(folder: Path) -> list[Event]:
    """Writes the files of an export into `audit-log` in the folder; returns their events in order."""
    lines = [event.line for event in odd_events() if event.code is None]
    length = -(-len(lines) // FILES)
    events: list[Event] = []
    for number in range(FILES):
        day = f"2026-02-{1 + number // FILES_OF_A_DAY:02}"
        stamp = STAMP.replace(DAY, day)
        part = [line.removesuffix(STAMP) + stamp for line in lines[number * length : (number + 1) * length]]
        write_file(folder, day, number, part)
        events += [Event(day, line) for line in part]
    return events


def write_file(folder: Path, day: str, number: int, lines: list[str]) -> None:
    """Writes a file of an export."""
    directory = folder / "audit-log" / f"date={day}"
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    (directory / f"{number}.ndjson.gz").write_bytes(gzip.compress(text.encode()))
