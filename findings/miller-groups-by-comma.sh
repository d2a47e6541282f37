#!/bin/sh
# Miller 6.6.0 counts two different pairs as one: it joins the values of several grouping fields with commas, so action "GRANT,REVOKE" with
# status "OK" and action "GRANT" with status "REVOKE,OK" are one group. `count -g` and `count-distinct -f` return one row with the sum, with
# the values of the first event; `head -g` and `uniq -g` leave events out. There is no error. Its documentation says "optionally grouped by
# distinct values": https://miller.readthedocs.io/en/6.6.0/reference-verbs/#count. SQLite, as part of Python, counts both pairs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download --quiet --quiet miller=6.6.0-2+b3 2>/dev/null
dpkg --extract miller_*.deb miller
python3 - <<'PYTHON'
import json
import sqlite3
import subprocess

EVENTS = [
    {"action": "GRANT,REVOKE", "actionStatus": "OK"},
    {"action": "GRANT", "actionStatus": "REVOKE,OK"},
    {"action": "GRANT", "actionStatus": "REVOKE,OK"},
]
FIELDS = "action,actionStatus"


def miller(*verb):
    lines = "".join(json.dumps(event) + "\n" for event in EVENTS)
    command = ["miller/usr/bin/mlr", "--ijsonl", "--ojsonl", *verb]
    output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    return [tuple(json.loads(line).values()) for line in output.splitlines()]


database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE events (action, actionStatus)")
database.executemany("INSERT INTO events VALUES (:action, :actionStatus)", EVENTS)
counted = database.execute(f"SELECT {FIELDS}, count(*) FROM events GROUP BY {FIELDS} ORDER BY 3").fetchall()
print("SQLite:", counted)
seen = {
    verb: miller(*verb.split(), FIELDS)
    for verb in ("count -g", "count-distinct -f", "count-similar -g", "uniq -g", "head -n 1 -g")
}
for verb, rows in seen.items():
    print("Miller,", verb + ":", rows)
assert counted == [("GRANT,REVOKE", "OK", 1), ("GRANT", "REVOKE,OK", 2)]
assert seen["count -g"] == seen["count-distinct -f"] == [("GRANT,REVOKE", "OK", 3)]
assert {count for _, _, count in seen["count-similar -g"]} == {3}
assert seen["uniq -g"] == seen["head -n 1 -g"] == [("GRANT,REVOKE", "OK")]
assert miller("count", "-g", "action") == [("GRANT,REVOKE", 1), ("GRANT", 2)]
PYTHON
