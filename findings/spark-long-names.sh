#!/bin/sh
# Spark 4.3.0 reads no field of an event that has a name of more than 50,000 characters, anywhere in it: with read.json and a schema,
# from_json and get_json_object, each column is NULL, as for an event without fields, and no error is reported. The limit is that of
# its JSON parser, Jackson. Needs Java 17.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install pyspark==4.3.0
export PYSPARK_PYTHON="$folder/venv/bin/python" SPARK_LOCAL_IP=127.0.0.1
venv/bin/python - <<'PYTHON' 2>/dev/null
import json

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

LIMIT = 50_000
with open("events.ndjson", "w") as file:
    for length in (LIMIT, LIMIT + 1):
        file.write(json.dumps({"id": str(length), "labels": {"x" * length: 1}}) + "\n")

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
lines = spark.read.text("events.ndjson")
found = {
    "read.json": spark.read.schema("id STRING").json("events.ndjson").select("id"),
    "from_json": lines.select(F.from_json("value", "id STRING").getField("id")),
    "get_json_object": lines.select(F.get_json_object("value", "$.id")),
}
for name, ids in found.items():
    values = [row[0] for row in ids.collect()]
    print(name, values)
    assert values == ["50000", None], (name, values)
PYTHON
