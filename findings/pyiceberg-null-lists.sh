#!/bin/sh
# PyIceberg 0.12.0 returns an empty list for a list of structs that is null, without an error: after `add_files` of a Parquet file, the
# scan has [] where PyArrow reads None from the same file. Null lists of texts stay null. `append` writes the empty list: the Parquet
# file of the table has no null any more. Reported: https://github.com/apache/iceberg-python/issues/3833
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install 'pyiceberg[sql-sqlite]==0.12.0' pyarrow==26.0.1
venv/bin/python - <<'PYTHON'
import glob
import os

import pyarrow as pa
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog

TARGET = pa.struct([("id", pa.string()), ("type", pa.string())])
schema = pa.schema([("id", pa.string()), ("targets", pa.list_(TARGET)), ("tags", pa.list_(pa.string()))])
rows = [
    {"id": "missing", "targets": None, "tags": None},
    {"id": "empty", "targets": [], "tags": []},
    {"id": "one", "targets": [{"id": "t", "type": None}], "tags": ["x"]},
]
events = pa.Table.from_pylist(rows, schema=schema)
here = os.getcwd()
catalog = SqlCatalog("local", uri=f"sqlite:///{here}/catalog.db", warehouse=f"file://{here}/warehouse")
catalog.create_namespace("audit")

pyarrow.parquet.write_table(events, "events.parquet")
assert pyarrow.parquet.read_table("events.parquet").to_pylist() == rows
added = catalog.create_table("audit.added", schema=schema)
added.add_files([f"{here}/events.parquet"])
scanned = added.scan().to_arrow().to_pylist()
print("added, scanned:", [(row["targets"], row["tags"]) for row in scanned])
assert [row["targets"] for row in scanned] == [[], [], rows[2]["targets"]]
assert [row["tags"] for row in scanned] == [None, [], ["x"]]

catalog.create_table("audit.appended", schema=schema).append(events)
(file,) = glob.glob(f"{here}/warehouse/audit*/appended/data/*.parquet")
stored = pyarrow.parquet.read_table(file).to_pylist()
print("appended, in its file:", [(row["targets"], row["tags"]) for row in stored])
assert [row["targets"] for row in stored] == [[], [], rows[2]["targets"]]
assert [row["tags"] for row in stored] == [None, [], ["x"]]
PYTHON
