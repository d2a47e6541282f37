#!/bin/sh
# ClickHouse 26.9 (chdb 4.4.0) takes a field of NDJSON for a column whose name differs in case, without an error: of
# `{"id":"1","ACTION":"DELETE"}` the column `action` is DELETE, although the event has no such field. With
# `input_format_column_name_matching_mode = 'match_case'` it is NULL.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install chdb==4.4.0 chdb-core==26.9.0
venv/bin/python - <<'PYTHON'
import json

import chdb


def read(setting=""):
    query = "SELECT id, action FROM file('events.ndjson', JSONEachRow, 'id String, action Nullable(String)')"
    text = chdb.query(f"{query} {setting}", "JSONCompactEachRow").bytes().decode()
    return [json.loads(line) for line in text.splitlines()]


with open("events.ndjson", "w") as file:
    file.write('{"id":"1","ACTION":"DELETE"}\n')
by_default = read()
match_case = read("SETTINGS input_format_column_name_matching_mode = 'match_case'")
print("by default:", by_default)
print("match_case:", match_case)
assert by_default == [["1", "DELETE"]]
assert match_case == [["1", None]]
PYTHON
