#!/bin/sh
# One integer of more than 64 bits changes its neighbours: PyArrow 25.0.1, DataFusion 55.0.0 and DuckDB 2.0.1 then read the whole
# column of NDJSON as doubles, so that 9007199254740993 in another line comes back as 9007199254740992, without an error. Polars 2.1.0
# reads them exactly, as Int128.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install pyarrow==25.0.1 datafusion==55.0.0 duckdb==2.0.1 polars==2.1.0
venv/bin/python - <<'PYTHON'
import datafusion
import duckdb
import polars
import pyarrow.json

SMALL, WIDE = 9007199254740993, 123456789012345678901234567890


def by_datafusion():
    context = datafusion.SessionContext()
    context.register_json("events", "events.ndjson", file_extension=".ndjson")
    return context.sql("SELECT n FROM events").to_pylist()[0]["n"]


def first():
    return {
        "PyArrow": pyarrow.json.read_json("events.ndjson")["n"].to_pylist()[0],
        "DataFusion": by_datafusion(),
        "DuckDB": duckdb.sql("SELECT n FROM read_json('events.ndjson')").fetchall()[0][0],
        "Polars": polars.read_ndjson("events.ndjson")["n"].to_list()[0],
    }


with open("events.ndjson", "w") as file:
    file.write('{"n":%d}\n' % SMALL)
alone = first()
with open("events.ndjson", "a") as file:
    file.write('{"n":%d}\n' % WIDE)
beside = first()
print("alone          ", alone)
print("beside a wider ", beside)
assert all(int(value) == SMALL for value in alone.values())
assert {name for name, value in beside.items() if int(value) != SMALL} == {"PyArrow", "DataFusion", "DuckDB"}
PYTHON
