"""Each reader of docs/READING.md that reads Parquet gives every event back, and every typed column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.readers import readers
from infra.readers.corpus import parse, write_corpus
from infra.readers.parquet import COLUMNS, MISSING, READERS, encode, expected, without_null_groups


@pytest.mark.parametrize("name", READERS)
def test_every_event_and_every_column_comes_back(name: str, tmp_path: Path) -> None:
    [reader] = [reader for reader in readers.READERS if reader.name == name]
    reader.assert_installed()
    events = write_corpus(tmp_path)
    encode(tmp_path)
    rows = {row["event"]: row for row in READERS[name](tmp_path)}
    assert set(rows) == {event.line for event in events}
    assert set(rows[events[0].line]) == {*COLUMNS, "date"}
    truths = {event: expected(event) for event in events}
    if name == "ClickHouse":
        truths = {event: without_null_groups(row) for event, row in truths.items()}
    wrong = [
        (event.value["id"], column, str(rows[event.line][column])[:80], str(value)[:80])
        for event, truth in truths.items()
        for column, value in truth.items()
        if not is_right(column, rows[event.line][column], value)
    ]
    assert wrong == []


def is_right(column: str, found: Any, truth: Any) -> bool:
    if column == "date":
        return str(found)[:10] == truth
    if column in ("auditPayload", "otherFields"):
        return found is None if truth is MISSING else found is not None and parse(found) == truth
    return found == truth
