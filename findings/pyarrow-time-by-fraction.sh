#!/bin/sh
# PyArrow 25.0.1 reads RFC 3339 texts of NDJSON as times only if no line has a fraction of a second: one `.5Z` in the file makes the
# column a text. So two files of one export have different types. As a time the offset is applied and then dropped: the type is
# timestamp[s] without a time zone, and `+05:30` comes back as a naive time of UTC.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install pyarrow==25.0.1
venv/bin/python - <<'PYTHON'
import pyarrow.json


def read(*endings):
    with open("events.ndjson", "w") as file:
        for ending in endings:
            file.write('{"eventTimestamp":"2026-11-28T16:31:20%s"}\n' % ending)
    table = pyarrow.json.read_json("events.ndjson")
    return str(table.schema.field("eventTimestamp").type), [str(value) for value in table["eventTimestamp"].to_pylist()]


seen = {endings: read(*endings) for endings in (("Z", "Z"), ("Z", ".5Z"), ("Z", "+05:30"))}
for endings, result in seen.items():
    print(endings, result)
assert seen["Z", "Z"] == ("timestamp[s]", ["2026-11-28 16:31:20"] * 2)
assert seen["Z", ".5Z"] == ("string", ["2026-11-28T16:31:20Z", "2026-11-28T16:31:20.5Z"])
assert seen["Z", "+05:30"] == ("timestamp[s]", ["2026-11-28 16:31:20", "2026-11-28 11:01:20"])
PYTHON
