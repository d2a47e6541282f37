#!/bin/sh
# DuckDB 2.0.1 compares column names without case. Of the top-level keys `a` and `A` it makes the columns `a` and `A_1`, so that
# `SELECT "A"` silently gives the value of `a`. Of such keys inside of an object it can't read the file, although each line is valid;
# it can if the column is declared as JSON.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install duckdb==2.0.1
venv/bin/python - <<'PYTHON'
import duckdb

open("top.ndjson", "w").write('{"a":1,"A":2}\n')
open("nested.ndjson", "w").write('{"o":{"a":1}}\n{"o":{"A":2}}\n')

columns = duckdb.sql("SELECT * FROM read_json('top.ndjson')").columns
values = duckdb.sql("""SELECT a, "A" FROM read_json('top.ndjson')""").fetchall()
print("top level:", columns, values)
assert (columns, values) == (["a", "A_1"], [(1, 1)])

try:
    duckdb.sql("SELECT * FROM read_json('nested.ndjson')").fetchall()
    raise SystemExit("the nested keys are read now")
except duckdb.NotImplementedException as error:
    print("nested:", error)
    assert "Duplicate name" in str(error)

declared = duckdb.sql("SELECT o FROM read_json('nested.ndjson', columns = {o: 'JSON'})").fetchall()
print("declared as JSON:", declared)
assert declared == [('{"a":1}',), ('{"A":2}',)]
PYTHON
