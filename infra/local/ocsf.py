"""Validates records of OCSF with the schema's own published rules.

Maps generated events, the odd ones that the service accepts, and events with odd and long values, to every version, and reports each error. The exit
status is 1 if there is one.

Usage: python -m infra.local.ocsf [number of generated events]
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import ocsf_json_schema

from infra.local.settings import ROOT, tool_environment
from tests.e2e.odd_events import odd_events

VERSIONS = ("1.3.0", "1.8.0")
EVENTS = 20_000
# Of a text in events: around the bound of version 1.3, and near the longest line.
LENGTHS = (65_000, 65_535, 65_536, 200_000)
SHOWN_ERRORS = 20
# One of each class, and one without a rule.
ACTIONS = ("LOGIN", "CREATE", "UPDATE", "QUERY", "FROBNICATE")
FIELDS = (
    "action", "actionStatus", "actionStatusReason", "actor", "actorIp", "receivedTimestamp", "requestId", "sessionId",
    "targets", "targetType", "tenantId", "other",
)  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, "", "text", "\0", 5, -1.5e300, [], [[]], ["a", 5, None, {}], {}, {"id": ""}, {"id": {}}, {"name": ["a"]},
    {"id": 1, "type": 2}, {"type": "GROUP"}, [{"type": "USER"}], [{"id": 1, "more": 2}, {"id": 3}], "::", "1.2.3.4:5",
    "fe80::1%eth0", "::ffff:1.2.3.4", "01.2.3.4", "2026-01-31T23:59:59Z",
]  # fmt: skip


class Validator:
    """The rules of one version: types, enumerations, required attributes, constraints, and captions of numbers."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._schema = ocsf_json_schema.get_ocsf_schema(version)
        self._embedded = ocsf_json_schema.OcsfJsonSchemaEmbedded(self._schema)
        self._validator = cache(self._make_validator)

    def schema_of_class(self, caption: str, profiles: tuple[str, ...] = ()) -> dict[str, Any]:
        [name] = [name for name, schema in self._schema["classes"].items() if schema["caption"] == caption]
        return self._embedded.get_class_schema(name, list(profiles))

    def errors(self, record: dict[str, Any]) -> list[str]:
        uid = record["class_uid"]
        profiles = tuple(record["metadata"].get("profiles", ()))
        found = self._validator(uid, profiles).iter_errors(record)
        return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in found] + [
            f"{name}: {record.get(name)!r} instead of {expected!r}"
            for name, expected in self._expected(record).items()
            if record.get(name) != expected
        ]

    def _make_validator(self, uid: int, profiles: tuple[str, ...]) -> jsonschema_rs.Validator:
        name = self._embedded.lookup_class_name_from_uid(uid)
        return jsonschema_rs.validator_for(self._embedded.get_class_schema(name, list(profiles)))

    def _expected(self, record: dict[str, Any]) -> dict[str, Any]:
        """What follows from other attributes, which a JSON Schema can't express."""
        schema = self._class_by_uid(record["class_uid"])
        expected = {
            "class_name": schema["caption"],
            "category_name": schema["category_name"],
            "type_uid": record["class_uid"] * 100 + record["activity_id"],
        }
        for number, caption in (("activity_id", "activity_name"), ("severity_id", "severity"), ("status_id", "status")):
            if record.get(number) != 99:
                known = schema["attributes"][number]["enum"].get(str(record.get(number)), {})
                expected[caption] = known.get("caption")
        known = schema["attributes"]["type_uid"]["enum"].get(str(record["type_uid"]), {})
        expected["type_name"] = known.get("caption")
        if record["metadata"]["version"] != self.version:
            expected["metadata.version"] = self.version
        return expected

    def _class_by_uid(self, uid: int) -> dict[str, Any]:
        return self._schema["classes"][self._embedded.lookup_class_name_from_uid(uid)]


def lines(count: int) -> list[str]:
    """Lines of an export."""
    generated = split(dev_tools("events", "generate", "--tenant", "acme", "--seed", "1", "--count", str(count)))
    odd = [event.line for event in odd_events() if event.code is None]
    texts = [letter * length for length in LENGTHS for letter in "xé"]
    named = [*texts, *({"id": text, "name": text, "type": text} for text in texts)]
    return [*generated, *odd, *variants(ODD_VALUES), *variants(named)]


def variants(values: list[Any]) -> Iterator[str]:
    """Yields events of every class with each value in each field."""
    head = {"id": "variant", "eventTimestamp": "2026-01-31T23:59:59.123Z"}
    for action, field, value in itertools.product(ACTIONS, FIELDS, values):
        event = head | {"action": action, "targetType": "USER", "targets": [{"id": 1}], field: value}
        yield json.dumps(event, ensure_ascii=False)


def split(text: str) -> list[str]:
    """Returns the lines, which end at line feeds alone: texts hold other separators."""
    return text.removesuffix("\n").split("\n")


def dev_tools(*arguments: str, text: str = "") -> str:
    command = ["cargo", "run", "--quiet", "--locked", "--package", "dev-tools", "--", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=tool_environment(), input=text, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def main(count: int) -> int:
    text = "".join(f"{line}\n" for line in lines(count))
    failed = 0
    for version in VERSIONS:
        validator = Validator(version)
        classes: Counter[str] = Counter()
        wrong: list[str] = []
        for line in split(dev_tools("ocsf", "map", "--ocsf-version", version, text=text)):
            record = json.loads(line)
            classes[record["class_name"]] += 1
            wrong += validator.errors(record)
        print(f"OCSF {version}: {dict(sorted(classes.items()))}, {len(wrong)} errors")
        print(*(error[:200] for error in wrong[:SHOWN_ERRORS]), sep="\n", end="\n" if wrong else "")
        failed += len(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
