"""What each reader does without a statement of the page: the call that its documentation shows first, on one trap at a time.

A program for the Python in .tools/readers: it gets the reader and folders, and prints a line of JSON for each folder: the events that
the reader returns, or, as a string, the error with which it refused to read.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NDJSON = "audit-log/date=*/*.ndjson.gz"


def duckdb() -> list[dict[str, Any]]:
    import duckdb

    return _from_rows(duckdb.sql(f"SELECT * FROM '{NDJSON}'"))


def _from_rows(relation: Any) -> list[dict[str, Any]]:
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def clickhouse() -> list[dict[str, Any]]:
    import chdb

    text = chdb.query(f"SELECT * FROM file('{NDJSON}')", "JSONEachRow").bytes().decode()
    return [json.loads(line) for line in text.split("\n") if line]


def polars() -> list[dict[str, Any]]:
    import polars

    return polars.scan_ndjson(NDJSON).collect().to_dicts()


def pandas() -> list[dict[str, Any]]:
    import pandas

    frames = [pandas.read_json(path, lines=True) for path in sorted(Path().glob(NDJSON))]
    events = pandas.concat(frames)
    return events.astype(object).where(events.notna(), None).to_dict("records")


def pyarrow() -> list[dict[str, Any]]:
    import pyarrow
    import pyarrow.json

    tables = [pyarrow.json.read_json(path) for path in sorted(Path().glob(NDJSON))]
    return pyarrow.concat_tables(tables, promote_options="default").to_pylist()


def spark() -> list[dict[str, Any]]:
    from pyspark.sql import SparkSession

    session = SparkSession.builder.getOrCreate()
    return [row.asDict(recursive=True) for row in session.read.json(str(Path("audit-log").resolve())).collect()]


def datafusion() -> list[dict[str, Any]]:
    import datafusion

    context = datafusion.SessionContext()
    context.register_json("events", "audit-log/", file_extension=".ndjson.gz", file_compression_type="gzip")
    return context.sql("SELECT * FROM events").to_pylist()


def daft() -> list[dict[str, Any]]:
    import daft

    # In this order: the schema is that of the file that comes first, and of a pattern any file may.
    return daft.read_json([str(path) for path in sorted(Path().glob(NDJSON))]).to_pylist()


def jq() -> list[dict[str, Any]]:
    return _through("jq", "--compact-output", ".")


def jaq() -> list[dict[str, Any]]:
    return _through("jaq", "--compact-output", ".")


def miller() -> list[dict[str, Any]]:
    return _through("mlr", "--ijsonl", "--ojsonl", "cat")


def _through(*command: str) -> list[dict[str, Any]]:
    unpacked = subprocess.run(["bash", "-c", f"gunzip -c {NDJSON}"], stdout=subprocess.PIPE, check=True).stdout
    ran = subprocess.run(command, input=unpacked, capture_output=True, check=False)
    if ran.returncode != 0:
        raise ValueError(ran.stderr.decode())
    return [
        json.loads(line, strict=False, parse_float=decimal.Decimal) for line in ran.stdout.decode().split("\n") if line
    ]


def sqlite() -> list[dict[str, Any]]:
    """Each field with `->>`, the operator that its documentation shows."""
    unpacked = subprocess.run(["bash", "-c", f"gunzip -c {NDJSON}"], stdout=subprocess.PIPE, check=True).stdout
    Path("events.txt").write_bytes(unpacked)
    names = sorted({name for line in unpacked.decode().split("\n") if line for name in json.loads(line)})
    values = ", ".join(f"'{name}', event ->> '$.{name}'" for name in names)
    commands = [
        'CREATE TABLE lines (event TEXT);', ".mode ascii", r'.separator "\037" "\n"', ".import events.txt lines",
        ".mode list", f"SELECT json_object({values}) FROM lines;",
    ]  # fmt: skip
    ran = subprocess.run(["sqlite3", "-bail"], input="\n".join(commands), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise ValueError(ran.stderr)
    # Its JSON has Inf, which is none.
    lines = ran.stdout.replace(":Inf", ":Infinity").split("\n")
    return [json.loads(line, parse_float=decimal.Decimal) for line in lines if line]


READERS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    reader.__name__: reader
    for reader in (
        duckdb, clickhouse, polars, pandas, pyarrow, spark, datafusion, daft, jq, jaq, miller, sqlite,
    )
}  # fmt: skip


def plain(value: Any) -> Any:
    """Returns a value with the types of JSON: numbers exactly, as `{"number": text}`, and without fields of an object that are null."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | decimal.Decimal):
        return {"number": str(value)}
    if isinstance(value, float):
        return None if math.isnan(value) else {"number": repr(value)}
    if isinstance(value, datetime.date):
        return {"time": value.isoformat()}
    return str(value)


def main() -> None:
    reader = READERS[sys.argv[1]]
    for folder in sys.argv[2:]:
        os.chdir(folder)
        try:
            found: Any = [{name: plain(value) for name, value in event.items()} for event in reader()]
        except Exception as error:  # noqa: BLE001 - each reader has exceptions of its own; all mean the same.
            found = str(error)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
