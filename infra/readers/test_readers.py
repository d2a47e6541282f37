"""Each reader of docs/READING.md reads every event with its statement; and the page says what it does without one.

`UPDATE_DOCS=1 make readers` writes the page's table.
"""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from infra.readers import naive, readers, table
from infra.readers.corpus import Event, Number, parse, write_corpus
from infra.readers.naive import NDJSON
from infra.readers.parquet_columns import TEXTS
from infra.readers.readers import READERS, Reader, Row, block, python, shell
from infra.readers.traps import TRAPS, judged
from tests.e2e.guide import statements
from tests.e2e.odd_events import microseconds

JSON_COLUMNS = {"actor", "targets", "relatedResources", "auditPayload"}
TIMES = {"eventTimestamp", "receivedTimestamp"}
# lnav has the time of receipt as the time of the line.
COLUMNS = {*TEXTS, *JSON_COLUMNS, "eventTimestamp"}
FIRST_COLUMN = "Trap"


def reader_tests(readers: list[Reader]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("reader", readers, ids=lambda reader: reader.name)


@reader_tests(READERS)
def test_the_statement_reads_every_event(reader: Reader, tmp_path: Path) -> None:
    reader.assert_installed()
    assert_reads_every_event(reader, write_corpus(tmp_path), tmp_path)


def assert_reads_every_event(reader: Reader, events: list[Event], folder: Path) -> list[Row]:
    """Returns the rows."""
    rows = {parse_text(row["id"]): row for row in reader.run(folder)}
    assert len(rows) == len(events)
    wrong = [
        (event.value["id"], name, str(value)[:80])
        for event in events
        for name, value in rows[expected_text(reader, event.value["id"])].items()
        if not is_right(reader, event, name, value)
    ]
    assert wrong == []
    assert all(row.keys() >= COLUMNS for row in rows.values())
    return list(rows.values())


def parse_text(value: Any) -> str:
    assert isinstance(value, str)
    return value


def expected_text(reader: Reader, text: str) -> str:
    return text.partition("\0")[0] if reader.cut else text


def is_right(reader: Reader, event: Event, name: str, found: Any) -> bool:
    """Compares a column with what Python's json has for the event."""
    if name == "date":
        return str(found)[:10] == event.day
    if name == "event":
        return found == event.line
    if not reader.reads_escaped_names() and f'"{name}":' not in event.line:
        return found is None
    truth = name_of_actor(event.value.get("actor")) if name == "actorName" else event.value.get(name)
    if truth is None:
        return found is None
    if reader.instants and name in TIMES:
        return found == microseconds(truth)
    if isinstance(truth, str) and (name not in JSON_COLUMNS or reader.bare):
        return found == expected_text(reader, truth)
    return isinstance(found, str) and is_same(reader, parse(found), truth)


def name_of_actor(actor: Any) -> Any:
    """Returns the value that the flat events have as the actor's name: for lack of a name the ID, and else the actor itself."""
    names = [actor.get("name"), actor.get("id")] if isinstance(actor, dict) else []
    return next((name for name in names if name is not None and name is not False), actor)


def is_same(reader: Reader, found: Any, truth: Any) -> bool:
    return found == truth or (reader.rounds() and rounded(found) == rounded(truth))


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value.rounded() if isinstance(value, Number) else value


def compress_with_zstd(folder: Path) -> None:
    """Replaces the files of an export by files of zstd."""
    shell('for f in audit-log/*/*.gz; do gunzip -c "$f" | zstd -q -3 -o "${f%.gz}.zst"; rm "$f"; done', folder)


@reader_tests([reader for reader in READERS if reader.name in ("DuckDB", "ClickHouse", "Polars")])
def test_the_statement_reads_files_of_zstd(reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = write_corpus(tmp_path)
    compress_with_zstd(tmp_path)
    adapted = {
        tag: [text.replace(".gz", ".zst") for text in statements(tag)] for tag in ("duckdb", "clickhouse", "polars")
    }
    monkeypatch.setattr(readers, "statements", lambda tag: adapted.get(tag) or statements(tag))
    assert_reads_every_event(reader, events, tmp_path)


def test_files_of_zstd_become_files_of_gzip(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    before = {path.name: gzip.decompress(path.read_bytes()) for path in tmp_path.glob(NDJSON)}
    compress_with_zstd(tmp_path)
    assert not list(tmp_path.glob(NDJSON))
    shell(block("zstd"), tmp_path)
    assert {path.name: gzip.decompress(path.read_bytes()) for path in tmp_path.glob(NDJSON)} == before


def test_a_file_of_zstd_that_can_not_be_decompressed_stays(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    compress_with_zstd(tmp_path)
    damaged, *others = sorted((tmp_path / "audit-log").glob("date=*/*.zst"))
    content = damaged.read_bytes()[:-5]
    damaged.write_bytes(content)
    shell(block("zstd"), tmp_path)
    assert damaged.read_bytes() == content
    assert sorted(path.name for path in damaged.parent.iterdir() if path.stem.startswith("0.")) == ["0.ndjson.zst"]
    assert len(list(tmp_path.glob(NDJSON))) == len(others)


@reader_tests([reader for reader in READERS if reader.naive])
def test_the_page_says_what_the_reader_does_without_a_statement(reader: Reader, tmp_path: Path) -> None:
    reader.assert_installed()
    truths, folders = [], []
    for number, trap in enumerate(TRAPS):
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        truths.append(trap.write(folders[-1]))
    answers = python(Path(naive.__file__).read_text(), tmp_path, reader.naive, *folders).splitlines()
    found = [
        judged(trap, truth, json.loads(answer)) for trap, truth, answer in zip(TRAPS, truths, answers, strict=True)
    ]
    columns = table.read()
    if os.environ.get("UPDATE_DOCS"):
        # Several versions of a program may be shown; a package has the locked one.
        replaced = reader.title if reader.program else reader.name
        others = {head: cells for head, cells in columns.items() if replaced not in (head, head.rpartition(" ")[0])}
        traps = {FIRST_COLUMN: [trap.title for trap in TRAPS]}
        table.write(traps | in_order(others | {reader.title: found}))
    assert table.read().get(reader.title) == found, "UPDATE_DOCS=1 make readers writes the table"


def in_order(columns: table.Columns) -> table.Columns:
    names = [reader.name for reader in READERS]
    return {
        head: columns[head]
        for head in sorted(
            columns.keys() - {FIRST_COLUMN}, key=lambda head: (names.index(head.rpartition(" ")[0]), head)
        )
    }
