#!/bin/sh
# squirreling 0.12.11, SQL for JavaScript by the makers of hyparquet: `status <> 'OK'` leaves out rows whose status is NULL, as SQL does,
# but `status NOT IN ('OK')` and `NOT (status = 'OK')`, which mean the same, return them; and `IN` is true for a NULL if NULL is in its
# list. There is no error. In SQLite, as part of Python, all three return the same rows, and no NULL is in a list.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . squirreling@0.12.11
cat > query.mjs <<'NODE'
import { collect, executeSql } from "squirreling";

const events = [
  { id: 1, status: "OK" },
  { id: 2, status: "FAILED" },
  { id: 3, status: null },
];
const seen = {};
for (const condition of process.argv.slice(2)) {
  const rows = await collect(executeSql({ tables: { events }, query: `SELECT id FROM events WHERE ${condition} ORDER BY id` }));
  seen[condition] = rows.map((row) => row.id);
}
console.log(JSON.stringify(seen));
NODE
python3 - <<'PYTHON'
import json
import sqlite3
import subprocess

CONDITIONS = ["status <> 'OK'", "status NOT IN ('OK')", "NOT (status = 'OK')", "status IN ('OK', NULL)"]
output = subprocess.run(["node", "query.mjs", *CONDITIONS], capture_output=True, text=True, check=True).stdout
seen = json.loads(output)
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE events (id, status)")
database.executemany("INSERT INTO events VALUES (?, ?)", [(1, "OK"), (2, "FAILED"), (3, None)])
for condition in CONDITIONS:
    expected = [row[0] for row in database.execute(f"SELECT id FROM events WHERE {condition} ORDER BY id")]
    print(condition, "- squirreling:", seen[condition], "SQLite:", expected)
assert list(seen.values()) == [[2], [2, 3], [2, 3], [1, 3]]
PYTHON
