"""Traps: valid events that readers refuse, lose or change when they infer types, each with the truth that Python's json has."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.readers.corpus import Number, parse, write_file

DAYS = ("2026-02-01", "2026-02-02")
# More than the lines from which readers infer a schema: 20,480 at most, DuckDB's.
ORDINARY_LINES = 25_000


@dataclass(frozen=True)
class Trap:
    """Events in two files, and the field that is at stake in them."""

    title: str
    fields: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]

    def write(self, folder: Path) -> list[dict[str, Any]]:
        """Writes the files; returns the events in order."""
        files = []
        for number, (day, part) in enumerate(zip(DAYS, (self.first, self.second), strict=True)):
            lines = [f'{{"id":"{number}-{line}",{fields}}}' for line, fields in enumerate(part)]
            write_file(folder, day, number, lines)
            files += lines
        return [parse(line) for line in files]


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


TRAPS = [
    Trap("a field that first appears late", ("reason",), ('"action":"READ"',) * ORDINARY_LINES, ('"action":"READ","reason":"late"',)),
    Trap("a string where others have an object", ("actor",), ('"actor":{"id":"a"}',), ('"actor":"bob"',)),
    Trap("a number where others have a list", ("targets",), ('"targets":[{"id":"a"}]',), ('"targets":5',)),
    Trap("names that differ in case", ("path", "PATH"), ('"path":"a"',), ('"path":"a","PATH":"b"',)),
    Trap("an integer above 2^53", ("n",), ('"n":9007199254740993',), ('"n":1',)),
    Trap("an integer of 30 digits", ("n",), ('"n":9007199254740993',), ('"n":123456789012345678901234567890',)),
    Trap("a number above a double", ("n",), ('"n":1.5',), ('"n":1e400',)),
    Trap("a string of 200 KB", ("text",), ('"text":"short"',), (f'"text":"{"x" * 200_000}"',)),
    Trap("120 levels", ("deep",), ('"deep":[]',), (f'"deep":{nested(120)}',)),
    Trap("empty objects", ("actor",), ('"actor":{"id":"a"}',), ('"actor":{}',)),
    Trap("a time with an offset", ("at",), ('"at":"2026-02-01T00:00:00Z"',), ('"at":"2026-02-01T00:00:00+05:30"',)),
]  # fmt: skip


def judged(trap: Trap, truth: list[dict[str, Any]], found: list[dict[str, Any]] | str) -> str:
    """Says in a word or two what a reader did with a trap. `found` is a string if it refused to read."""
    if isinstance(found, str):
        return "refuses"
    if len(found) != len(truth):
        return "loses events"
    by_id = {event.get("id"): event for event in found}
    words = {
        _difference(_plain(event[field]), by_id.get(event["id"], {}).get(field))
        for event in truth
        for field in trap.fields
        if field in event
    }
    return next((word for word in ("drops", "changes", "rounds", "as text") if word in words), "✓")


def _difference(truth: Any, found: Any) -> str | None:
    if found == truth:
        return None
    if found is None:
        return "drops"
    if _number(found) and _number(truth):
        return None if _number(found) == _number(truth) else "rounds"
    if isinstance(found, str):
        with suppress(json.JSONDecodeError):
            return "as text" if _plain(parse(found)) == truth else "changes"
    return "changes"


def _number(value: Any) -> Number | None:
    return Number(value["number"]) if isinstance(value, dict) and value.keys() == {"number"} else None


def _plain(value: Any) -> Any:
    """The form in which naive.py prints values."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return {"number": value.text} if isinstance(value, Number) else value
