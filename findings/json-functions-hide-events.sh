#!/bin/sh
# One number that a double can't hold (`1e400`, valid JSON) hides all fields of its event from the JSON functions of ClickHouse 26.9
# (chdb 4.4.0) and Polars 2.1.0: JSONExtractString returns an empty text and str.json_path_match null, for a field that is an ordinary
# text. Neither reports an error. SQLite, as part of Python, returns the text.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install chdb==4.4.0 chdb-core==26.9.0 polars==2.1.0
venv/bin/python - <<'PYTHON'
import json
import sqlite3

import chdb
import polars


def action(event):
    text = chdb.query(f"SELECT JSONExtractString('{event}', 'action')", "JSONCompactEachRow").bytes().decode()
    return {
        "ClickHouse": json.loads(text)[0],
        "Polars": polars.Series([event]).str.json_path_match("$.action").to_list()[0],
        "SQLite": sqlite3.connect(":memory:").execute("SELECT json_extract(?, '$.action')", [event]).fetchone()[0],
    }


ordinary = action('{"action":"DELETE","n":1e300}')
large = action('{"action":"DELETE","n":1e400}')
print("beside 1e300:", ordinary)
print("beside 1e400:", large)
assert set(ordinary.values()) == {"DELETE"}
assert large == {"ClickHouse": "", "Polars": None, "SQLite": "DELETE"}
PYTHON
