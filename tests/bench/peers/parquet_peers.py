"""Writes the events of a compressed NDJSON file as Parquet with another program, on one thread, and prints what that took.

The columns are those of docs/FORMATS.md, with zstd level 3. `typed` leaves out the column `event`.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.readers.parquet_columns import ACTOR, ELEMENT, LISTS, TEXTS, TIMES

os.environ["POLARS_MAX_THREADS"] = "1"

ROWS = 100_000


def duckdb(source: str, target: str, with_event: bool) -> None:
    import duckdb

    def struct(names: tuple[str, ...]) -> str:
        return "STRUCT({})".format(", ".join(f'"{name}" VARCHAR' for name in names))

    columns = dict.fromkeys(TEXTS, "VARCHAR")
    columns |= dict.fromkeys(TIMES, "TIMESTAMPTZ")
    columns |= {"actor": struct(ACTOR), "auditPayload": "JSON"} | dict.fromkeys(LISTS, f"{struct(ELEMENT)}[]")
    if with_event:
        types: dict[str, Any] = columns | {
            "actor": dict.fromkeys(ACTOR, "VARCHAR"),
            **{name: [dict.fromkeys(ELEMENT, "VARCHAR")] for name in LISTS},
        }
        select = (
            f"SELECT unnest(json_transform(json, '{json.dumps(types)}')), json::VARCHAR AS event"
            f" FROM read_ndjson_objects('{source}')"
        )
    else:
        listed = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
        select = f"FROM read_json('{source}', format = 'newline_delimited', columns = {{{listed}}})"
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        options = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE {ROWS}"
        connection.execute(f"COPY ({select}) TO '{target}' ({options})")


def chdb(source: str, target: str, with_event: bool) -> None:
    import chdb

    def tuple_of(names: tuple[str, ...]) -> str:
        return "Tuple({})".format(", ".join(f"{name} Nullable(String)" for name in names))

    columns = dict.fromkeys((*TEXTS, "auditPayload"), "Nullable(String)")
    columns |= dict.fromkeys(TIMES, "DateTime64(6, 'UTC')")
    columns |= {"actor": tuple_of(ACTOR)} | dict.fromkeys(LISTS, f"Array({tuple_of(ELEMENT)})")
    structure = ", ".join(f"{name} {kind}" for name, kind in columns.items()).replace("'", "''")
    if with_event:
        names = ", ".join(f"fields.{name} AS {name}" for name in columns)
        select = (
            f"SELECT {names}, event FROM (SELECT line AS event, JSONExtract(line, 'Tuple({structure})') AS fields"
            f" FROM file('{source}', 'LineAsString', 'line String', 'gz'))"
        )
    else:
        select = f"SELECT * FROM file('{source}', 'JSONEachRow', '{structure}', 'gz')"
    settings = {
        "max_threads": 1,
        "max_insert_threads": 1,
        "max_parsing_threads": 1,
        "output_format_parquet_parallel_encoding": 0,
        "input_format_parallel_parsing": 0,
        "output_format_parquet_compression_method": "'zstd'",
        "output_format_compression_level": 3,
        "output_format_parquet_row_group_size": ROWS,
        "date_time_input_format": "'best_effort'",
        "input_format_json_read_numbers_as_strings": 1,
        "input_format_json_read_objects_as_strings": 1,
    }
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    chdb.query(f"INSERT INTO FUNCTION file('{target}', 'Parquet') {select} SETTINGS {listed}")


def polars(source: str, target: str, with_event: bool) -> None:
    import polars

    columns: dict[str, Any] = dict.fromkeys((*TEXTS, *TIMES, "auditPayload"), polars.String)
    columns |= {"actor": polars.Struct(dict.fromkeys(ACTOR, polars.String))}
    columns |= dict.fromkeys(LISTS, polars.List(polars.Struct(dict.fromkeys(ELEMENT, polars.String))))
    if with_event:
        event = polars.col("event")
        # It doesn't decode an object as text.
        payload = event.str.json_path_match("$.auditPayload").alias("auditPayload")
        del columns["auditPayload"]
        decoded = event.str.json_decode(polars.Struct(columns)).alias("fields")
        frame = polars.scan_lines(source, name="event").with_columns(decoded, payload).unnest("fields")
    else:
        frame = polars.scan_ndjson(source, schema=columns)
    times = [polars.col(name).str.to_datetime(time_unit="us", time_zone="UTC") for name in TIMES]
    frame.with_columns(times).sink_parquet(target, compression="zstd", compression_level=3, row_group_size=ROWS)


def pyarrow(source: str, target: str, with_event: bool) -> None:
    """Python's parser, because pyarrow's own refuses fields with values of different types."""
    import datetime

    import pyarrow
    from pyarrow import parquet

    text = pyarrow.string()
    element = pyarrow.struct([(name, text) for name in ELEMENT])
    fields = [(name, text) for name in (*TEXTS, "auditPayload")]
    fields += [(name, pyarrow.timestamp("us", "UTC")) for name in TIMES]
    fields += [("actor", pyarrow.struct([(name, text) for name in ACTOR]))]
    fields += [(name, pyarrow.list_(element)) for name in LISTS]
    fields += [("event", text)] if with_event else []
    schema = pyarrow.schema(fields)

    def as_text(value: Any) -> Any:
        return value if value is None or isinstance(value, str) else str(value)

    def row(line: str) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(line)
        for name in TIMES:
            event[name] = datetime.datetime.fromisoformat(event[name])
        event["actor"] = {name: as_text(event["actor"].get(name)) for name in ACTOR}
        for name in LISTS:
            if name in event:
                event[name] = [{key: as_text(each.get(key)) for key in ELEMENT} for each in event[name]]
        event["auditPayload"] = json.dumps(event["auditPayload"], separators=(",", ":"), ensure_ascii=False)
        event["event"] = line
        return event

    with (
        gzip.open(source, "rt", encoding="utf-8") as lines,
        parquet.ParquetWriter(target, schema, compression="zstd", compression_level=3) as writer,
    ):
        rows = (row(line.rstrip("\n")) for line in lines)
        while batch := list(itertools.islice(rows, ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


PEERS: dict[str, Callable[[str, str, bool], None]] = {
    "duckdb": duckdb,
    "chdb": chdb,
    "polars": polars,
    "pyarrow": pyarrow,
}


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_memory_bytes() -> int:
    """Returns what this program took: `ru_maxrss` has the memory of the one that started it, if that had more."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def main(peer: str, columns: str, source: str, target: str) -> None:
    # The start of the program and its library is not measured.
    __import__(peer)
    # chdb refuses to replace a file.
    Path(target).unlink(missing_ok=True)
    started = cpu_seconds()
    PEERS[peer](source, target, columns == "event")
    usage = {
        "cpuSeconds": cpu_seconds() - started,
        "peakMemoryBytes": peak_memory_bytes(),
        "storedBytes": Path(target).stat().st_size,
    }
    from pyarrow import parquet

    metadata = parquet.ParquetFile(target).metadata
    print(json.dumps(usage | {"rowGroups": metadata.num_row_groups, "rows": metadata.num_rows}))


if __name__ == "__main__":
    main(*sys.argv[1:])
