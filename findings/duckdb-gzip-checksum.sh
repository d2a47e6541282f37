#!/bin/sh
# DuckDB 2.0.1 reads gzip without looking at the CRC-32 and the length at its end (RFC 1952, 2.3.1): a file with one changed byte is
# read as if it was whole: 5000 instead of 4950 is the sum of its numbers. Python's gzip and Polars refuse the file. One that ends too
# early is refused by all three.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install duckdb==2.0.1 polars==2.1.0
venv/bin/python - <<'PYTHON'
import gzip
import json

import duckdb
import polars

raw = "".join(json.dumps({"n": number}) + "\n" for number in range(100)).encode()


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


def outcome(read):
    try:
        return read()
    except Exception as error:
        return type(error).__name__


def readers(name):
    return {
        "duckdb": outcome(lambda: duckdb.sql(f"SELECT count(*), sum(n) FROM read_json('{name}')").fetchall()),
        "polars": outcome(lambda: polars.read_ndjson(name)["n"].sum()),
        "python": outcome(lambda: sum(json.loads(line)["n"] for line in gzip.open(name))),
    }


# Level 0 stores the bytes as they are, so that one of them can be changed and the file still inflates.
changed = bytearray(gzip.compress(raw, compresslevel=0))
position = bytes(changed).index(b'"n": 42')
changed[position + 5] = ord("9")
write("changed.ndjson.gz", changed)
length = bytearray(gzip.compress(raw))
length[-4:] = bytes(4)
write("length.ndjson.gz", length)
write("short.ndjson.gz", gzip.compress(raw)[:-8])

seen = {name: readers(f"{name}.ndjson.gz") for name in ("changed", "length", "short")}
for name, result in seen.items():
    print(name, result)
assert seen["changed"] == {"duckdb": [(100, 5000)], "polars": "OSError", "python": "BadGzipFile"}, "4950 was written"
assert seen["length"]["duckdb"] == [(100, 4950)] and seen["length"]["python"] == "BadGzipFile"
assert seen["short"]["duckdb"] == "IOException"
PYTHON
