#!/bin/sh
# Daft 0.7.26 reads NDJSON whose field holds a text in one line and an object or a list in another as a column of texts, and gives
# null for the objects and lists, without an error: they are lost. A number beside a text is kept as text. Polars 2.1.0 keeps all of
# them as JSON text.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install daft==0.7.26 polars==2.1.0
venv/bin/python - <<'PYTHON'
import daft
import polars

with open("events.ndjson", "w") as file:
    file.write('{"target":"orders"}\n{"target":{"id":7}}\n{"target":["a","b"]}\n{"target":7}\n')

by_daft = daft.read_json("events.ndjson").to_pydict()["target"]
by_polars = polars.read_ndjson("events.ndjson")["target"].to_list()
print("Daft  ", by_daft)
print("Polars", by_polars)
assert by_daft == ["orders", None, None, "7"]
assert by_polars == ["orders", '{"id": 7}', '["a", "b"]', "7"]
PYTHON
