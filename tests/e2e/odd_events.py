"""Events that are hard to parse, each with its outcome, from `odd_events.ndjson`. The unit tests of the rules read it as well."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).with_suffix(".ndjson")
DAY = "2026-02-01"
STAMP = f',"tenantId":"acme","receivedTimestamp":"{DAY}T00:00:00.123Z"}}'


@dataclass(frozen=True)
class OddEvent:
    name: str
    event: str
    """The event as it is sent."""
    code: str | None = None
    """The error code if it is refused."""
    stored: str | None = None
    """The event as it is stored, without the service's fields, if that differs from what was sent."""

    @property
    def line(self) -> str:
        """The exported line, without the line feed."""
        return (self.stored or self.event).removesuffix("}") + STAMP


def read(line: str, **arguments: Any) -> Any:
    """Parses JSON with numbers as text: Python refuses integers of more than 4,300 digits."""
    return json.loads(line, parse_int=str, parse_float=str, **arguments)


def repeated(text: str) -> str:
    """Expands `<<x*3>>` to `xxx`."""
    return re.sub(r"<<(.*?)\*(\d+)>>", lambda found: found[1] * int(found[2]), text)


def odd_events() -> list[OddEvent]:
    return read_corpus(CORPUS)


def read_corpus(path: Path) -> list[OddEvent]:
    events = [OddEvent(**json.loads(line)) for line in path.read_text().splitlines()]
    return [
        OddEvent(event.name, repeated(event.event), event.code, event.stored and repeated(event.stored))
        for event in events
    ]


def write_accepted(folder: Path) -> list[OddEvent]:
    """Writes the accepted events to files like those of the guide's `aws s3 sync`; returns them."""
    accepted = [event for event in odd_events() if event.code is None]
    write_lines(folder, [event.line for event in accepted])
    return accepted


def write_lines(folder: Path, lines: list[str]) -> None:
    """Writes two files of a day, like those of an export."""
    directory = folder / "audit-log" / f"date={DAY}"
    directory.mkdir(parents=True)
    half = len(lines) // 2
    for number, part in enumerate((lines[:half], lines[half:])):
        text = "".join(f"{line}\n" for line in part)
        (directory / f"{number}.ndjson.gz").write_bytes(gzip.compress(text.encode()))


def microseconds(time: str) -> int:
    """Returns the microseconds since the epoch of a time with an offset and up to 9 decimals."""
    found = re.fullmatch(r"(\S{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", time)
    assert found, time
    whole = datetime.fromisoformat(f"{found[1]}+00:00") - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    offset = timedelta()
    if found[3] != "Z":
        sign = -1 if found[3][0] == "-" else 1
        offset = sign * timedelta(hours=int(found[3][1:3]), minutes=int(found[3][4:]))
    return (whole - offset) // timedelta(microseconds=1) + int((found[2] or "0").ljust(6, "0")[:6])
