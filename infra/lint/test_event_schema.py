"""The published JSON Schema of events accepts and refuses the same events as the service, as far as a schema can say it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from tests.e2e.odd_events import CORPUS, OddEvent, odd_events, read_corpus

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "reference" / "event.schema.json").read_text())
RULES = ROOT / "shared" / "domain" / "src" / "event"

VERSION = int(SCHEMA["$id"].removeprefix("urn:audit-export:event:"))
# Events that each version accepts. Lines are added and never changed or removed: what refuses one of them is a new version, with a
# new $id and a record of its own. Beside the number of lines is the SHA-256 of as many.
RECORDS = {1: (67, "4b2357b9a78f7c0e2a4a1515764451b4a1f5fad16a50c1df19a386d1874c91f6")}
RECORD = CORPUS.with_name(f"accepted_events.{VERSION}.ndjson")

# Events that the service refuses for reasons that a schema can't express. docs/PRODUCERS.md lists the reasons.
BEYOND_A_SCHEMA = {"EVENT_NESTED_TOO_DEEPLY", "EVENT_FIELD_DUPLICATED", "EVENT_TEXT_INVALID", "JSON_INVALID"}
ENDS_OF_TIME = {
    "time 1969-12-31T23:59:59.999Z",
    "time 1970-01-01T00:00:00+00:01",
    "time 9999-12-31T23:59:59-00:01",
}


def value(event: OddEvent) -> Any:
    """Parses an event. The number of an integer's digits is bounded, because Python refuses more than 4,300."""
    return json.loads(event.event, parse_int=lambda digits: int(digits[:18]))


CHECKABLE = [event for event in odd_events() if event.code not in BEYOND_A_SCHEMA and event.name not in ENDS_OF_TIME]


def test_the_schema_is_valid_and_states_the_rules_limits() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    names = dict(re.findall(r'const (\w+): &str = "(\w+)";', (RULES / "field.rs").read_text()))
    assert SCHEMA["required"] == [names["ID"], names["EVENT_TIMESTAMP"]]
    [longest] = re.findall(r"MAX_EVENT_ID_LENGTH: usize = (\d+);", (RULES / "limits.rs").read_text())
    assert SCHEMA["properties"]["id"]["maxLength"] == int(longest)
    assert set(names.values()) <= set(SCHEMA["properties"])


def test_what_the_version_accepts_stays_accepted() -> None:
    """The rules read the same record: `what_version_1_accepts_stays_accepted` in shared/domain."""
    recorded = read_corpus(RECORD)
    validators = [jsonschema.Draft202012Validator(SCHEMA), jsonschema_rs.validator_for(SCHEMA)]
    refused = [event.name for event in recorded if not all(each.is_valid(value(event)) for each in validators)]
    assert refused == [], "a schema that refuses more needs another $id"
    accepted = {event.event for event in odd_events() if event.code is None}
    assert accepted <= {event.event for event in recorded}, f"add the events to {RECORD.name}"


def test_the_record_of_the_version_is_only_added_to() -> None:
    count, digest = RECORDS[VERSION]
    lines = RECORD.read_bytes().splitlines(keepends=True)
    assert hashlib.sha256(b"".join(lines[:count])).hexdigest() == digest


def test_two_validators_agree_with_the_service_on_every_odd_event() -> None:
    assert len(CHECKABLE) > 100
    in_python = jsonschema.Draft202012Validator(SCHEMA)
    in_rust = jsonschema_rs.validator_for(SCHEMA)
    wrong = {
        event.name: event.code
        for event in CHECKABLE
        if {in_python.is_valid(value(event)), in_rust.is_valid(value(event))} != {event.code is None}
    }
    assert wrong == {}


def test_the_named_differences_are_the_only_ones() -> None:
    """Each event that the schema leaves to the service is one that it accepts; else the page would name too much."""
    schema = jsonschema.Draft202012Validator(SCHEMA)
    left = [event for event in odd_events() if event.name in ENDS_OF_TIME]
    assert {event.name for event in left} == ENDS_OF_TIME
    assert [event.name for event in left if event.code != "EVENT_TIMESTAMP_INVALID"] == []
    assert [event.name for event in left if not schema.is_valid(value(event))] == []


@pytest.mark.parametrize(
    ("time", "accepted"),
    [
        ("2000-02-29T00:00:00Z", True),
        ("2100-02-29T00:00:00Z", False),
        ("2096-02-29T00:00:00Z", True),
        ("1972-02-29T00:00:00Z", True),
        ("1996-02-29T00:00:00Z", True),
        ("1988-02-29T00:00:00Z", True),
        ("1998-02-29T00:00:00Z", False),
        ("2400-02-29T00:00:00Z", True),
        ("3200-02-29T00:00:00Z", True),
        ("3000-02-29T00:00:00Z", False),
        ("2026-04-31T00:00:00Z", False),
        ("2026-12-31T00:00:00+13:59", True),
        ("2026-01-01T00:00:00Z\n", False),
    ],
)
def test_the_pattern_knows_the_calendar(time: str, accepted: bool) -> None:
    event = {"id": "1", "eventTimestamp": time}
    assert jsonschema_rs.validator_for(SCHEMA).is_valid(event) == accepted
