"""DuckDB reads from a Parquet file what is in its lines. A test of shared/columnar makes the file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from infra.readers.parquet_columns import ACTOR, LISTS, TEXTS, TIMES

GOLDEN = Path(__file__).parents[2] / "shared" / "columnar" / "golden"
LINES = (GOLDEN / "events.ndjson").read_text().splitlines()

OTHER_COLUMNS = {*TIMES, *LISTS, "actor", "auditPayload"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Fields = list[tuple[str, str, str]]


class Digits(str):
    """A number, digit by digit."""


DECODER = json.JSONDecoder(parse_int=Digits, parse_float=Digits)


def fields(line: str) -> Fields:
    """Returns the names, the names as they are written, and the values as they are written."""
    found: Fields = []
    position = 1
    while line[position] != "}":
        start = position + (line[position] == ",")
        name, end = DECODER.raw_decode(line, start)
        assert line[end] == ":"
        _, position = DECODER.raw_decode(line, end + 1)
        found.append((name, line[start:end], line[end + 1 : position]))
    assert position == len(line) - 1
    return found


def text(value: Any) -> str | None:
    return value if isinstance(value, str) and not isinstance(value, Digits) else None


def text_or_digits(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None


def microseconds(value: str) -> int:
    """Python reads six decimals of a time and drops the others."""
    return (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1)


def elements(value: Any) -> list[Any] | None:
    if not isinstance(value, list):
        return None
    return [
        {"id": text_or_digits(each.get("id")), "name": text(each.get("name")), "type": text(each.get("type"))}
        if isinstance(each, dict)
        else None
        for each in value
    ]


def expected(line: str) -> dict[str, Any]:
    event = DECODER.decode(line)
    actor = event.get("actor")
    known = {*TEXTS, *OTHER_COLUMNS}
    others = ",".join(f"{written}:{value}" for name, written, value in fields(line) if name not in known)
    payload = [value for name, _, value in fields(line) if name == "auditPayload"]
    return {
        **{name: text(event.get(name)) for name in TEXTS},
        "eventTimestamp": microseconds(event["eventTimestamp"]),
        "receivedTimestamp": microseconds(event["receivedTimestamp"]),
        "actor": {name: text(actor.get(name)) for name in ACTOR} | {"profileId": text_or_digits(actor.get("profileId"))}
        if isinstance(actor, dict)
        else None,
        "targets": elements(event.get("targets")),
        "relatedResources": elements(event.get("relatedResources")),
        "auditPayload": payload[0] if payload else None,
        "otherFields": f"{{{others}}}" if others else None,
        "event": line,
    }


def read(statement: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        result = connection.execute(statement, [str(GOLDEN / "events.parquet")])
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def test_every_column_of_every_row() -> None:
    rows = read(
        "SELECT * REPLACE (epoch_us(eventTimestamp) AS eventTimestamp, epoch_us(receivedTimestamp) AS receivedTimestamp)"
        " FROM read_parquet($1)"
    )
    assert len(rows) == len(LINES)
    for row, line in zip(rows, LINES, strict=True):
        assert row == expected(line)


def test_types_and_metadata() -> None:
    types = {row["column_name"]: row["column_type"] for row in read("DESCRIBE SELECT * FROM read_parquet($1)")}
    element = 'STRUCT(id VARCHAR, "name" VARCHAR, "type" VARCHAR)[]'
    actor = 'STRUCT(id VARCHAR, "name" VARCHAR, "type" VARCHAR, identityProvider VARCHAR, profileId VARCHAR, issuer VARCHAR)'
    others = dict.fromkeys((*TEXTS, "auditPayload", "otherFields", "event"), "VARCHAR")
    times = dict.fromkeys(TIMES, "TIMESTAMP WITH TIME ZONE")
    assert types == {**others, **times, "actor": actor, "targets": element, "relatedResources": element}
    metadata = {
        bytes(row["key"]): bytes(row["value"]) for row in read("SELECT key, value FROM parquet_kv_metadata($1)")
    }
    assert metadata[b"audit-export.schemaVersion"] == b"1"


def test_filters_find_the_same_rows() -> None:
    """Statistics, dictionaries and Bloom filters exclude no row that matches."""
    for name in ("actor.id", "actor.name", "sessionId", "id"):
        values = {value for line in LINES if (value := column(expected(line), name)) is not None}
        assert values
        for value in values:
            quoted = value.replace("'", "''")
            [found] = read(f"SELECT count(*) AS rows FROM read_parquet($1) WHERE {name} = '{quoted}'")
            assert found["rows"] == sum(column(expected(line), name) == value for line in LINES)


def column(row: dict[str, Any], name: str) -> Any:
    outer, _, inner = name.partition(".")
    return (row[outer] or {}).get(inner) if inner else row[outer]
