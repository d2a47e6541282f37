#!/bin/sh
# Daft 0.7.26 reads only the first frame of a Zstandard file: of two files of 500 lines that were joined with `cat`, it returns 500 rows
# without an error, from read_json and read_csv alike. A file of several frames is valid (RFC 8878, 3.1: frames are decompressed one after
# the other); `pzstd` writes one too. DuckDB 2.0.1 and Polars 2.1.0 return 1000 rows, and so does Daft for the same lines in gzip.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install daft==0.7.26 duckdb==2.0.1 polars==2.1.0 zstandard==0.25.0
DAFT_PROGRESS_BAR=0 venv/bin/python - <<'PYTHON'
import gzip
import json

import daft
import duckdb
import polars
import zstandard

halves = ["".join(json.dumps({"n": number}) + "\n" for number in range(first, first + 500)).encode() for first in (0, 500)]
contents = {
    "one-frame.ndjson.zst": zstandard.compress(b"".join(halves)),
    "two-frames.ndjson.zst": b"".join(map(zstandard.compress, halves)),
    "two-members.ndjson.gz": b"".join(map(gzip.compress, halves)),
}


def sums(name):
    count = f"SELECT count(*), sum(n) FROM read_json('{name}')"
    return {
        "Daft read_json": tuple(map(sum, zip(*((1, row["n"]) for row in daft.read_json(name).to_pylist())))),
        "Daft read_csv": daft.read_csv(name, has_headers=False, delimiter="\x01").count_rows(),
        "DuckDB": tuple(map(int, duckdb.sql(count).fetchall()[0])),
        "Polars": (polars.read_ndjson(name).height, polars.read_ndjson(name)["n"].sum()),
    }


seen = {}
for name, content in contents.items():
    with open(name, "wb") as file:
        file.write(content)
    seen[name] = sums(name)
    print(name, seen[name])
whole = {"Daft read_json": (1000, 499500), "Daft read_csv": 1000, "DuckDB": (1000, 499500), "Polars": (1000, 499500)}
assert seen["one-frame.ndjson.zst"] == seen["two-members.ndjson.gz"] == whole
assert seen["two-frames.ndjson.zst"] == whole | {"Daft read_json": (500, 124750), "Daft read_csv": 500}
PYTHON
