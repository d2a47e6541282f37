"""The statements of docs/READING.md for Parquet, and the columns that the files have to give back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from infra.local.settings import ROOT
from infra.readers.corpus import Event, Number
from infra.readers.parquet_columns import ACTOR, ELEMENT, LISTS, TEXTS, TIMES
from infra.readers.readers import Row, block, python
from tests.e2e.odd_events import microseconds

# The development aids, as cargo builds them for `make readers`.
DEV_TOOLS = ROOT / "target" / "debug" / "dev-tools"
# Their columns have the digits of a number.
NUMBERS = {("actor", "profileId"), ("targets", "id"), ("relatedResources", "id")}
COLUMNS = {*TIMES, *LISTS, *TEXTS, "actor", "auditPayload", "otherFields", "event"}


def encode(folder: Path) -> None:
    """Replaces the files of an export by Parquet."""
    for path in sorted((folder / "audit-log").glob("date=*/*.ndjson.gz")):
        subprocess.run(
            [DEV_TOOLS, "parquet", path, path.with_name(path.name.replace("ndjson.gz", "parquet"))], check=True
        )
        path.unlink()


def expected(event: Event) -> Row:
    """Returns the typed columns of an event, according to docs/FORMATS.md, from what Python's json has for it."""
    value = event.value
    row: Row = {name: _text(value.get(name)) for name in TEXTS}
    row |= {name: microseconds(value[name]) for name in TIMES}
    row["actor"] = _group("actor", ACTOR, value.get("actor"))
    for name in LISTS:
        elements = value.get(name)
        row[name] = [_group(name, ELEMENT, each) for each in elements] if isinstance(elements, list) else None
    row["auditPayload"] = value.get("auditPayload", MISSING)
    row["otherFields"] = {name: each for name, each in value.items() if name not in COLUMNS} or MISSING
    return row | {"event": event.line, "date": event.day}


def without_null_groups(row: Row) -> Row:
    """Returns the columns as ClickHouse has them: a missing group has NULL in all its fields, and a missing list is empty."""
    actor = row["actor"] or dict.fromkeys(ACTOR)
    lists = {name: [element or dict.fromkeys(ELEMENT) for element in row[name] or []] for name in LISTS}
    return row | {"actor": actor} | lists


MISSING = object()
"""A column of JSON without a value: a value that is null is the text `null`."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _group(column: str, names: tuple[str, ...], value: Any) -> dict[str, str | None] | None:
    if not isinstance(value, dict):
        return None
    return {
        name: each.text if isinstance(each, Number) and (column, name) in NUMBERS else _text(each)
        for name in names
        for each in [value.get(name)]
    }


# Leaves the rows of an Arrow table in rows.json, with times as microseconds.
WRITE = """
import json
import pyarrow
import pyarrow.compute

for name in ("eventTimestamp", "receivedTimestamp"):
    times = table[name].cast(pyarrow.timestamp("us", "UTC")).cast(pyarrow.int64())
    table = table.set_column(table.schema.get_field_index(name), name, times)
json.dump(table.to_pylist(), open("rows.json", "w"), default=str)
"""


def _through_arrow(tag: str, table: str, folder: Path) -> list[Row]:
    return _rows(f"{block(tag)}\ntable = {table}\n{WRITE}", folder)


def _by_duckdb(folder: Path) -> list[Row]:
    program = f"""
import duckdb
duckdb.sql({block("parquet-duckdb")!r})
duckdb.sql({block("parquet-lines")!r})
table = duckdb.sql("SELECT * FROM audit_events").to_arrow_table()
{WRITE}"""
    rows = _rows(program, folder)
    assert (folder / "lines.ndjson").read_text() == "".join(f"{row['event']}\n" for row in rows)
    return rows


def _by_clickhouse(folder: Path) -> list[Row]:
    program = f"""
import json
from chdb.session import Session
session = Session()
session.query({block("parquet-clickhouse")!r})
query = 'SELECT * REPLACE (toUnixTimestamp64Micro(eventTimestamp) AS eventTimestamp, toUnixTimestamp64Micro(receivedTimestamp) AS receivedTimestamp) FROM audit_events'
text = session.query(query + " SETTINGS output_format_json_quote_64bit_integers = 0", 'JSONEachRow').bytes().decode()
json.dump([json.loads(line) for line in text.split('\\n') if line], open('rows.json', 'w'))
"""
    return _rows(program, folder)


def _rows(program: str, folder: Path) -> list[Row]:
    python(program, folder)
    return json.loads((folder / "rows.json").read_text())


READERS: dict[str, Callable[[Path], list[Row]]] = {
    "DuckDB": _by_duckdb,
    "ClickHouse": _by_clickhouse,
    "PyArrow": partial(_through_arrow, "parquet-pyarrow", "table"),
    "pandas": partial(_through_arrow, "parquet-pandas", "__import__('pyarrow').Table.from_pandas(audit_events)"),
    "Polars": partial(_through_arrow, "parquet-polars", "audit_events.collect().to_arrow()"),
    "Spark": partial(_through_arrow, "parquet-spark", "audit_events.toArrow()"),
    "DataFusion": partial(_through_arrow, "parquet-datafusion", "context.table('audit_events').to_arrow_table()"),
    "Daft": partial(_through_arrow, "parquet-daft", "audit_events.to_arrow()"),
}
