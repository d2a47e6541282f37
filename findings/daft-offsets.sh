#!/bin/sh
# Daft 0.7.26 infers a time with a time zone from RFC 3339 texts. If one line ends in Z and another in +05:30, or two have different
# offsets, the file can't be read at all: `Failed to parse timezone string: Z`. A file with one offset throughout is read.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install daft==0.7.26
venv/bin/python - <<'PYTHON'
import daft


def outcome(*offsets):
    with open("events.ndjson", "w") as file:
        for offset in offsets:
            file.write('{"eventTimestamp":"2026-11-28T16:31:20%s"}\n' % offset)
    try:
        times = daft.read_json("events.ndjson").to_pydict()["eventTimestamp"]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return [time.isoformat() for time in times]


for offsets in (("Z", "Z"), ("+05:30", "+05:30"), ("Z", "+05:30"), ("+05:30", "+01:00")):
    print(*offsets, outcome(*offsets))
assert outcome("Z", "Z") == ["2026-11-28T16:31:20+00:00"] * 2
assert outcome("+05:30", "+05:30") == ["2026-11-28T16:31:20+05:30"] * 2
assert "Failed to parse timezone string: Z" in outcome("Z", "+05:30")
assert "Failed to parse timezone string: Z" in outcome("+05:30", "+01:00")
PYTHON
