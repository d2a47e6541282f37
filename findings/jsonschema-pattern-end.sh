#!/bin/sh
# jsonschema 4.26.0 for Python accepts a text that ends with a line feed where a pattern ends with `$`: it searches with Python's `re`,
# in which `$` matches before a line feed at the end. ECMA-262, which JSON Schema names, and jsonschema-rs 0.60.3 refuse it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install jsonschema==4.26.0 jsonschema-rs==0.60.3
venv/bin/python - <<'PYTHON'
import jsonschema
import jsonschema_rs

schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string", "pattern": "^[0-9]+$"}
found = {
    "jsonschema": jsonschema.Draft202012Validator(schema).is_valid("1\n"),
    "jsonschema-rs": jsonschema_rs.validator_for(schema).is_valid("1\n"),
}
print(found)
assert found == {"jsonschema": True, "jsonschema-rs": False}
PYTHON
