"""Exports of some events: what passes the filter arrives, and the rest is counted in signed digests."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.local.stack import GraphQlFailed, Stack, wait_until
from infra.local.verification import COMPLETE, VERIFY_SECONDS, Verifier, download
from tests.e2e.harness import EXPORT_TIMEOUT_SECONDS, Customer, CustomerFactory, Record, make_events
from tests.e2e.test_cli import CommandLine
from tests.e2e.test_formats import check_repair, lake_keys

FILTER_VERSION = 5
OCSF_VERSION = 6
EXTENSIONS = {
    "NDJSON_GZIP": ".ndjson.gz",
    "NDJSON_ZSTD": ".ndjson.zst",
    "PARQUET": ".parquet",
    "OCSF_PARQUET": ".parquet",
}
# What DuckDB reads the lines of a file with. OCSF has room for those of these events in one column.
READERS = {
    "NDJSON_ZSTD": "select json from read_ndjson_objects(?, compression = 'zstd')",
    "PARQUET": "select event from read_parquet(?)",
    "OCSF_PARQUET": "select raw_data from read_parquet(?)",
}
FILTER = {"include": {"actions": ["DELETE*", "UPDATE"]}, "exclude": {"actorTypes": ["SERVICE_ACTOR"]}}
QUERIES = {"include": {"actions": ["QUERY"]}}
NOTHING = {"include": {"targetTypes": ["NO_SUCH_TARGET"]}}


def canonical(export_filter: dict[str, Any]) -> str:
    return json.dumps(export_filter, sort_keys=True, separators=(",", ":"))


def sha256(export_filter: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(export_filter).encode()).hexdigest()


def returned(export_filter: dict[str, Any]) -> dict[str, Any]:
    """Returns a filter as the API does: a list that is not given is null."""
    names = ["actions", "actorTypes", "targetTypes"]
    return {
        side: {name: export_filter[side].get(name) for name in names} if side in export_filter else None
        for side in ("include", "exclude")
    }


def digests(customer: Customer) -> list[bytes]:
    """Returns the digests of the export in their order."""
    prefix = f"{customer.account.prefix}{customer.id}/_digests/"
    keys = sorted(entry["Key"] for entry in customer.account.objects(prefix) if entry["Key"].endswith(".json"))
    return [customer.account.download(key) for key in keys]


def object_keys(customer: Customer) -> list[str]:
    found = customer.account.objects(f"{customer.account.prefix}{customer.id}/date=")
    return sorted(entry["Key"] for entry in found) + lake_keys(customer)


def exported_lines(customer: Customer, directory: Path, name: str = "NDJSON_GZIP") -> list[bytes]:
    """Returns the lines in the files, in their order. Unlike those of the harness, they include changes to configurations."""
    lines: list[bytes] = []
    for number, key in enumerate(object_keys(customer)):
        content = customer.account.download(key)
        if name == "NDJSON_GZIP":
            lines += zlib.decompress(content, wbits=31).splitlines()
        else:
            path = directory / f"{number}{EXTENSIONS[name]}"
            path.write_bytes(content)
            lines += [line.encode() for (line,) in duckdb.execute(READERS[name], [str(path)]).fetchall()]
    return lines


def run_export(customer: Customer, windows: int) -> None:
    """Exports what was sent, and waits until at least this number of windows has a digest."""
    customer.settle()
    customer.tenant.administrator.run(customer.id)
    wait_until(lambda: len(digests(customer)) >= windows, f"{windows} digests", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    customer.wait_until_at_rest()


def check_complete(customer: Customer, verifier: Verifier) -> int:
    """Checks that each stored event is in an object, or counted as left out; returns the number of those left out."""
    status, report = verifier.bucket(customer.account, customer.id, "--deep")
    assert (status, report["verdict"], report["breaks"]) == (COMPLETE, "COMPLETE", []), report
    left_out = sum(json.loads(digest).get("leftOut", 0) for digest in digests(customer))
    assert report["digests"]["leftOut"] == left_out
    assert report["objects"]["events"] + left_out == len(customer.tenant.stored_lines())
    return left_out


def send_mixed(customer: Customer) -> list[str]:
    """Sends blocks of which all, some and no events pass `FILTER`; returns the IDs of those that pass."""
    deleted = make_events(8, action="DELETE_POLICY")
    customer.tenant.send(make_events(12))
    customer.tenant.send(deleted)
    without_type = make_events(1, action="UPDATE", actor={"id": "u-2"})
    wrong_type = make_events(1, action="UPDATE", actor={"id": "u-3", "type": 7})
    mixed = [
        *make_events(5),
        *without_type,
        # An exclusion counts although the action passes; case counts; a pattern without an asterisk is the whole text.
        *make_events(3, action="DELETE_POLICY", actor={"id": "s-1", "type": "SERVICE_ACTOR"}),
        *make_events(2, action="delete_policy"),
        *make_events(2, action="UPDATE_POLICY"),
        *wrong_type,
        # An action is a text; without one, the event matches no list to include.
        {name: value for name, value in make_events(1)[0].items() if name != "action"},
    ]
    customer.tenant.send(mixed)
    return [event["id"] for event in [*deleted, *without_type, *wrong_type]]


@pytest.mark.parametrize("name", EXTENSIONS)
def test_exactly_the_events_that_pass_are_exported(
    customers: CustomerFactory, verifier: Verifier, tmp_path: Path, name: str
) -> None:
    customer = customers.with_role(format=name, filter=FILTER)
    assert customer.configuration["filter"] == returned(FILTER)
    passing = send_mixed(customer)
    run_export(customer, 1)

    lines = exported_lines(customer, tmp_path, name)
    stored = customer.tenant.stored_lines()
    expected = [line for line in stored if json.loads(line)["id"] in passing]
    assert [json.loads(line)["id"] for line in expected] == passing
    # Records of OCSF are in files of their classes, in the order of their times.
    in_order = sorted if name == "OCSF_PARQUET" else list
    assert in_order(lines) == in_order(expected), "the lines are unchanged"
    # The tag of OCSF is that of all choices.
    tag = "" if name == "OCSF_PARQUET" else f"_{sha256(FILTER)[:8]}"
    assert all(key.endswith(f"{tag}{EXTENSIONS[name]}") for key in object_keys(customer))

    version = OCSF_VERSION if name == "OCSF_PARQUET" else FILTER_VERSION
    for content in digests(customer):
        digest = json.loads(content)
        assert (digest["version"], digest["filterSha256"]) == (version, sha256(FILTER))
        assert f'"filter":{canonical(FILTER)},"filterSha256"'.encode() in content
    left_out = check_complete(customer, verifier)
    assert left_out == len(stored) - len(passing)

    query = "query($id: ID!) { getAllExportJobs(exportConfigurationId: $id) { events leftOut } }"
    jobs = customer.tenant.administrator.execute(query, {"id": customer.id})["getAllExportJobs"]
    assert sum(job["events"] for job in jobs) == len(passing)
    assert sum(job["leftOut"] for job in jobs) == left_out

    # The text for people names the filter.
    copy = download(customer.account, customer.id, tmp_path / "copy")
    shown = subprocess.run(
        [verifier.command, "verify", copy, "--public-key", verifier.public_key, "--deep"],
        text=True,
        capture_output=True,
        check=True,
        timeout=VERIFY_SECONDS,
        env={},
    ).stdout
    for part in ("COMPLETE", "left out", "DELETE*", "SERVICE_ACTOR", str(left_out)):
        assert part in shown, shown


def test_a_change_of_the_filter_begins_another_window(
    customers: CustomerFactory, verifier: Verifier, tmp_path: Path
) -> None:
    customer = customers.with_role(filter=FILTER)
    administrator = customer.tenant.administrator
    expected = send_mixed(customer)
    run_export(customer, 1)
    filters: list[dict[str, Any] | None] = [FILTER]
    for number, export_filter in enumerate([QUERIES, None], start=2):
        updated = administrator.update_assumed_role(customer.id, filter=export_filter)
        assert updated["filter"] == (None if export_filter is None else returned(export_filter))
        filters.append(export_filter)
        queries, others = make_events(10), make_events(5, action="LOGIN")
        customer.tenant.send(queries + others)
        run_export(customer, number)
        expected += [event["id"] for event in (queries if export_filter else queries + others)]

    # The events of changes are among the others.
    sent = {event["id"] for event in customer.tenant.stored_events()}
    exported = [json.loads(line)["id"] for line in exported_lines(customer, tmp_path)]
    assert [event_id for event_id in exported if event_id in sent] == expected
    found = [json.loads(digest).get("filter") for digest in digests(customer)]
    # Each window has one filter, in the order of the changes.
    assert [one for index, one in enumerate(found) if index == 0 or one != found[index - 1]] == filters
    for content in digests(customer):
        digest = json.loads(content)
        assert ("filter" in digest) == ("leftOut" in digest) == (digest["version"] == FILTER_VERSION)
    assert check_complete(customer, verifier) > 0


def test_a_filter_that_nothing_passes_gives_digests_without_objects(
    customers: CustomerFactory, verifier: Verifier
) -> None:
    customer = customers.with_role(filter=NOTHING)
    customer.tenant.send(make_events(25))
    run_export(customer, 1)
    assert object_keys(customer) == []
    assert all(json.loads(digest)["objects"] == [] for digest in digests(customer))
    # With the event of creating the configuration.
    assert check_complete(customer, verifier) == len(customer.tenant.stored_lines()) == 26


@pytest.mark.parametrize("name", EXTENSIONS)
def test_a_lost_file_of_a_filtered_export_is_repaired(
    customers: CustomerFactory, verifier: Verifier, command: Path, tmp_path: Path, name: str
) -> None:
    customer = customers.with_role(format=name, filter=FILTER)
    send_mixed(customer)
    run_export(customer, 1)
    # Another filter now: the bytes are those of the digest's.
    customer.tenant.administrator.update_assumed_role(customer.id, filter=QUERIES)
    customer.wait_until_at_rest()
    [key, *_] = object_keys(customer)
    check_repair(customer, key, verifier, command, tmp_path)


def test_the_command_line_sets_shows_and_removes_a_filter(
    customers: CustomerFactory, stack: Stack, command: Path, record: Record, tmp_path: Path
) -> None:
    customer = customers.with_role()
    cli = CommandLine(command, tmp_path, record)
    token_file = cli.write("token", customer.tenant.administrator.token + "\n")
    cli("profile", "set", "local", "--url", stack.api_url, "--token-file", token_file).succeeded()

    options = ["--include-action", "DELETE*", "--include-action", "UPDATE", "--exclude-actor-type", "SERVICE_ACTOR"]
    updated = cli("config", "update", customer.id, *options, "--output", "json").json()
    assert updated["filter"] == returned(FILTER)
    shown = cli("config", "get", customer.id).succeeded()
    assert "DELETE*, UPDATE" in shown and "SERVICE_ACTOR" in shown, shown

    send_mixed(customer)
    run_export(customer, 1)
    assert "left out by the filter" in cli("config", "jobs", customer.id).succeeded()

    assert cli("config", "update", customer.id, "--no-filter", "--output", "json").json()["filter"] is None
    assert "DELETE*" not in cli("config", "get", customer.id).succeeded()


def refused(call: Callable[[], Any]) -> list[tuple[str, str]]:
    with pytest.raises(GraphQlFailed) as failure:
        call()
    [error] = failure.value.errors
    assert error["extensions"]["code"] == "INVALID_INPUT"
    return [(field["field"], field["code"]) for field in error["extensions"]["fields"]]


def test_a_filter_is_stored_without_a_test_and_a_wrong_one_is_refused(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    before = administrator.test(customer.id)
    updated = administrator.update_assumed_role(customer.id, filter=FILTER)
    changed = {"version": 2, "filter": returned(FILTER), "updatedAt": updated["updatedAt"]}
    assert updated == before | changed
    assert customer.stored()["filter"]["S"] == canonical(FILTER)
    kept = administrator.update_assumed_role(customer.id, description="Kept")
    assert (kept["version"], kept["filter"]) == (3, returned(FILTER))

    impossible = {"include": {"actions": ["AB"]}, "exclude": {"actions": ["A*"]}}
    for wrong, fields in (
        ({}, [("filter", "FILTER_EMPTY")]),
        ({"exclude": {"targetTypes": ["*"]}}, [("filter.exclude.targetTypes", "FILTER_VALUE_INVALID")]),
        (impossible, [("filter.include.actions", "FILTER_MATCHES_NOTHING")]),
    ):
        assert refused(partial(administrator.update_assumed_role, customer.id, filter=wrong)) == fields
    assert administrator.get(customer.id)["version"] == 3

    cleared = administrator.update_assumed_role(customer.id, filter=None)
    assert (cleared["version"], cleared["filter"]) == (4, None)
    assert "filter" not in customer.stored()
    payloads = [event["auditPayload"] for event in customer.tenant.stored_changes() if event["action"] == "UPDATE"]
    sides = [(payload["before"].get("filter"), payload["after"].get("filter")) for payload in payloads]
    assert sides == [(None, FILTER), (FILTER, FILTER), (FILTER, None)]
