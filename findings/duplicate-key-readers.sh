#!/bin/sh
# The same line, {"a":1,"a":2}, which RFC 8259 (section 4) permits and calls unpredictable: Polars 2.1.0 takes the first value, Python's
# json the last, and PyArrow 26.0.1 and DuckDB 2.0.1 refuse the whole file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
venv/bin/python - <<'PYTHON'
import json

import duckdb
import polars
import pyarrow.json

open("twice.ndjson", "w").write('{"a":1,"a":2}\n')


def outcome(read):
    try:
        return read()
    except Exception as error:
        return type(error).__name__


seen = {
    "polars": outcome(lambda: polars.read_ndjson("twice.ndjson")["a"].to_list()),
    "python": outcome(lambda: [json.loads(line)["a"] for line in open("twice.ndjson")]),
    "pyarrow": outcome(lambda: pyarrow.json.read_json("twice.ndjson")["a"].to_pylist()),
    "duckdb": outcome(lambda: duckdb.sql("SELECT a FROM read_json('twice.ndjson')").fetchall()),
}
print(seen)
assert seen == {"polars": [1], "python": [2], "pyarrow": "ArrowInvalid", "duckdb": "InvalidInputException"}
PYTHON
