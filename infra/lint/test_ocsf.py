"""Records of OCSF are valid by the schema's own published rules, which the package `ocsf-json-schema` has for each version.

The records are those of `shared/ocsf/golden/`, which its unit tests hold to the mapping. `make ocsf` validates more of them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.local.ocsf import VERSIONS, Validator, split

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "shared" / "ocsf" / "golden"
COLUMNS: dict[str, dict[str, list[dict[str, Any]]]] = json.loads((GOLDEN / "columns.json").read_text())
TYPES = {"text": {"string"}, "integer": {"integer"}, "long": {"integer"}}


validator_of = cache(Validator)


def records(version: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in split((GOLDEN / f"records.{version}.ndjson").read_text())]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_record_is_valid(version: str) -> None:
    validator = validator_of(version)
    wrong = {record["metadata"]["uid"]: errors for record in records(version) if (errors := validator.errors(record))}
    assert wrong == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_class_and_every_status_is_among_the_records(version: str) -> None:
    found = records(version)
    assert {record["class_uid"] for record in found} == {3001, 3002, 3004, 6003}
    assert {record["status_id"] for record in found} == {0, 1, 2, 99}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"activity_id": 98, "type_uid": 600398}, "98"),
        ({"time": "2026-01-31T23:59:59Z"}, "integer"),
        ({"time": None}, "integer"),
        ({"api": {}}, "operation"),
        ({"src_endpoint": {}}, "src_endpoint"),
        ({"src_endpoint": {"ip": "build-agent-7"}}, "build-agent-7"),
        ({"actor": {"user": {}}}, "actor.user"),
        ({"entity": {"name": "orders"}}, "entity"),
        ({"activity_name": "Write"}, "activity_name"),
        ({"type_uid": 600301}, "type_uid"),
        ({"status": "success"}, "status"),
        ({"metadata": {"version": "1.0.0", "uid": "x", "product": {"name": "x", "vendor_name": "x"}}}, "version"),
    ],
)
def test_a_wrong_record_is_found(version: str, change: dict[str, Any], says: str) -> None:
    [query] = [record for record in records(version) if record["metadata"]["uid"] == "query"]
    validator = validator_of(version)
    assert validator.errors(query) == []
    assert says in "\n".join(validator.errors(query | change))


@pytest.mark.parametrize(("version", "valid"), [("1.3.0", False), ("1.8.0", True)])
def test_the_length_of_a_text_is_bounded_in_one_version(version: str, valid: bool) -> None:
    [query] = [record for record in records(version) if record["metadata"]["uid"] == "query"]
    assert validator_of(version).errors(query | {"raw_data": "é" * 65_535}) == []
    assert (validator_of(version).errors(query | {"raw_data": "x" * 65_536}) == []) == valid


@pytest.mark.parametrize("version", VERSIONS)
def test_columns_have_the_schemas_types_and_all_that_it_requires(version: str) -> None:
    validator = validator_of(version)
    for caption, columns in COLUMNS[version].items():
        schema = validator.schema_of_class(
            caption, ("host",) if (version, caption) == ("1.3.0", "Entity Management") else ()
        )
        compare(caption, columns, schema, schema)


def compare(path: str, columns: list[dict[str, Any]], schema: dict[str, Any], root: dict[str, Any]) -> None:
    by_name = {column["name"]: column for column in columns}
    assert set(schema.get("required", [])) <= {name for name, column in by_name.items() if column["required"]}, path
    for name, column in by_name.items():
        compare_kind(f"{path}.{name}", column["kind"], schema["properties"][name], root)


def compare_kind(path: str, kind: Any, schema: dict[str, Any], root: dict[str, Any]) -> None:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if isinstance(kind, str):
        # The schema's type for `unmapped` is an object with any attributes.
        expected = {"object"} if kind == "textMap" else TYPES[kind]
        assert {schema["type"]} == expected, path
    elif "list" in kind:
        assert schema["type"] == "array", path
        compare_kind(path, kind["list"], schema["items"], root)
    else:
        assert schema["type"] == "object", path
        compare(path, kind["struct"], schema, root)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("class_name", ["account_change", "authentication", "entity_management", "api_activity"])
def test_duckdb_reads_the_records_from_parquet(version: str, class_name: str) -> None:
    uid = {"account_change": 3001, "authentication": 3002, "entity_management": 3004, "api_activity": 6003}[class_name]
    expected = sorted(
        (record for record in records(version) if record["class_uid"] == uid), key=lambda one: one["time"]
    )
    with duckdb.connect() as database:
        table = database.execute(f"SELECT * FROM '{GOLDEN / f'{class_name}.{version}.parquet'}'")
        names = [name for name, *_ in table.description]
        rows = [dict(zip(names, row, strict=True)) for row in table.fetchall()]
    assert [without_nulls(row) for row in rows] == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_the_files_are_as_security_lake_wants_them(version: str) -> None:
    files = str(GOLDEN / f"*.{version}.parquet")
    assert duckdb.execute(f"SELECT DISTINCT compression FROM parquet_metadata('{files}')").fetchall() == [("ZSTD",)]
    [ordered] = duckdb.execute(
        f"SELECT bool_and(time >= before) FROM (SELECT time, lag(time, 1, 0) OVER (PARTITION BY filename ORDER BY file_row_number) "
        f"AS before FROM read_parquet('{files}', union_by_name = true, filename = true, file_row_number = true))"
    ).fetchall()
    assert ordered == (True,)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
