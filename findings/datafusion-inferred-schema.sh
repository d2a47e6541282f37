#!/bin/sh
# DataFusion 55.0.0 infers from NDJSON whose field is a text in one line and a number or a boolean in another that the column is a
# text, and then refuses to read the file by that schema: `expected string got 1`. DuckDB 2.0.1 and Polars 2.1.0 read all lines.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install datafusion==55.0.0 duckdb==2.0.1 polars==2.1.0
venv/bin/python - <<'PYTHON'
import datafusion
import duckdb
import polars


def by_datafusion():
    context = datafusion.SessionContext()
    context.register_json("events", "events.ndjson", file_extension=".ndjson")
    events = context.sql("SELECT value FROM events")
    schema = [str(field.type) for field in events.schema()]
    try:
        return schema, [row["value"] for row in events.to_pylist()]
    except Exception as error:
        return schema, str(error).splitlines()[0]


for second, expected in (("1", "expected string got 1"), ("true", "expected string got true")):
    with open("events.ndjson", "w") as file:
        file.write('{"value":"a"}\n{"value":%s}\n' % second)
    schema, outcome = by_datafusion()
    print("DataFusion", schema, outcome)
    assert schema[0].lower() in ("string", "utf8", "string_view") and expected in outcome, outcome
    assert polars.read_ndjson("events.ndjson")["value"].to_list() == ["a", second]
    assert duckdb.sql("SELECT count(*) FROM read_json('events.ndjson')").fetchall() == [(2,)]
PYTHON
