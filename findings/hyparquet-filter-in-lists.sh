#!/bin/sh
# hyparquet 1.33.0: a filter on a field of the structs in a list (`targets.id`) finds no row, without an error, whatever the rows hold, and
# its negation finds all. The path in the schema (`targets.list.element.id`) does the same, and so does a field that no struct has
# (`actor.nme`); only an unknown column is refused. A filter on a field of a struct (`actor.id`) finds its rows, and so does JavaScript.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install pyarrow==26.0.1
npm install --silent --no-audit --no-fund --prefix . hyparquet@1.33.0
venv/bin/python - <<'PYTHON'
import pyarrow as pa
import pyarrow.parquet

rows = [
    {"id": "1", "actor": {"id": "ann"}, "targets": [{"id": "a"}, {"id": "b"}]},
    {"id": "2", "actor": {"id": "bob"}, "targets": [{"id": "a"}]},
    {"id": "3", "actor": {"id": "ann"}, "targets": [{"id": "c"}]},
]
pyarrow.parquet.write_table(pa.Table.from_pylist(rows), "events.parquet", compression="snappy")
PYTHON
cat > read.mjs <<'NODE'
import assert from "node:assert/strict";
import { asyncBufferFromFile, parquetQuery, parquetReadObjects } from "hyparquet";

const file = await asyncBufferFromFile("events.parquet");
async function found(filter) {
  const ids = await parquetQuery({ file, filter }).then((rows) => rows.map((row) => row.id), (error) => error.message);
  console.log(JSON.stringify(filter), ids);
  return ids;
}

assert.deepEqual(await found({ "actor.id": { $eq: "ann" } }), ["1", "3"]);
assert.deepEqual(await found({ "targets.id": { $eq: "a" } }), []);
assert.deepEqual(await found({ "targets.id": { $ne: "a" } }), ["1", "2", "3"]);
assert.deepEqual(await found({ "targets.list.element.id": { $eq: "a" } }), []);
assert.deepEqual(await found({ "actor.nme": { $eq: "ann" } }), []);
assert.match(await found({ actr: { $eq: "ann" } }), /not found: actr/);
const events = await parquetReadObjects({ file });
const ids = events.filter((event) => event.targets?.some((target) => target?.id === "a")).map((event) => event.id);
console.log("filtered by JavaScript", ids);
assert.deepEqual(ids, ["1", "2"]);
NODE
node read.mjs
