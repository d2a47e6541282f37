"""Exports of other formats arrive, through the function that converts, and are proven like those of gzip."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from infra.local.settings import TOOLS
from infra.local.stack import wait_until
from infra.local.verification import COMPLETE, Verifier, download
from tests.e2e.harness import EXPORT_TIMEOUT_SECONDS, Customer, CustomerFactory, is_change, make_events

COMMAND_TIMEOUT_SECONDS = 300


def change_format(customer: Customer, name: str) -> None:
    updated = customer.tenant.administrator.update_assumed_role(customer.id, format=name)
    assert updated["format"] == name


def keys(customer: Customer, extension: str) -> list[str]:
    found = customer.account.objects(f"{customer.account.prefix}{customer.id}/date=")
    return sorted(entry["Key"] for entry in found if entry["Key"].endswith(extension))


def zstd_ids(customer: Customer) -> list[str]:
    """Returns the IDs of the sent events in the objects of zstd, in their order."""
    found: list[str] = []
    statement = "select json from read_ndjson_objects(?, compression = 'zstd')"
    for key in keys(customer, ".ndjson.zst"):
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(customer.account.download(key))
            found += [line for (line,) in duckdb.execute(statement, [file.name]).fetchall()]
    events = [json.loads(line) for line in found]
    return [event["id"] for event in events if not is_change(event)]


def export_until(customer: Customer, arrived: Callable[[], int], expected: int, what: str) -> None:
    """Requests a run, and waits until the expected number has arrived."""
    customer.settle()
    customer.tenant.administrator.run(customer.id)
    wait_until(lambda: arrived() >= expected, what, timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    customer.wait_until_at_rest()


def export_as_zstd(customer: Customer, sent: list[str]) -> None:
    """Exports, and checks that exactly the sent events have arrived in objects of zstd."""
    export_until(customer, lambda: len(zstd_ids(customer)), len(sent), "events in zstd")
    assert zstd_ids(customer) == sent


def test_an_export_changes_its_format_and_stays_complete(
    customers: CustomerFactory, verifier: Verifier, tmp_path: Path
) -> None:
    customer = customers.with_role()
    first = customer.tenant.send(make_events(30))
    customer.run_export(first)
    change_format(customer, "NDJSON_ZSTD")
    second = customer.tenant.send(make_events(50))
    export_as_zstd(customer, second)
    [key, *_] = keys(customer, ".ndjson.zst")
    head = customer.account.s3.head_object(Bucket=customer.account.bucket, Key=key)
    assert (head["ContentType"], head.get("ContentEncoding")) == ("application/zstd", None)
    change_format(customer, "NDJSON_GZIP")
    third = customer.tenant.send(make_events(20))
    customer.run_export(first + third)
    assert customer.exported_ids() == first + third

    copy = download(customer.account, customer.id, tmp_path)
    for status, report in (
        verifier.bucket(customer.account, customer.id, "--deep"),
        verifier.folder(copy, "--deep"),
    ):
        assert (status, report["verdict"], report["breaks"]) == (COMPLETE, "COMPLETE", []), report
        assert report["isWhole"]
        # With the audit events of creating the configuration and of two edits.
        assert report["objects"]["events"] == len(first + second + third) + 3
        assert report["objects"]["inflated"] == report["objects"]["count"]


def parquet_events(customer: Customer, directory: Path) -> list[dict[str, Any]]:
    """Returns the sent events in the Parquet files, in their order, by their exact lines."""
    found: list[str] = []
    for number, key in enumerate(keys(customer, ".parquet")):
        path = directory / f"{number}.parquet"
        path.write_bytes(customer.account.download(key))
        found += [line for (line,) in duckdb.execute("select event from read_parquet(?)", [str(path)]).fetchall()]
    events = [json.loads(line) for line in found]
    return [event for event in events if not is_change(event)]


def export_as_parquet(customer: Customer, sent: list[str], directory: Path) -> None:
    export_until(customer, lambda: len(parquet_events(customer, directory)), len(sent), "events in Parquet")


def test_an_export_as_parquet_holds_every_line_and_typed_columns(
    customers: CustomerFactory, verifier: Verifier, tmp_path: Path
) -> None:
    customer = customers.with_role()
    change_format(customer, "PARQUET")
    sent = customer.tenant.send(make_events(60))
    export_as_parquet(customer, sent, tmp_path)
    assert parquet_events(customer, tmp_path) == customer.tenant.stored_events()
    [key, *_] = keys(customer, ".parquet")
    head = customer.account.s3.head_object(Bucket=customer.account.bucket, Key=key)
    assert head["ContentType"] == "application/vnd.apache.parquet"
    statement = "select id, tenantId from read_parquet(?) where id in (select unnest(?))"
    rows = duckdb.execute(statement, [f"{tmp_path}/*.parquet", sent]).fetchall()
    assert sorted(rows) == sorted((event_id, customer.tenant.name) for event_id in sent)
    status, report = verifier.bucket(customer.account, customer.id, "--deep")
    assert (status, report["verdict"], report["breaks"]) == (COMPLETE, "COMPLETE", []), report
    # With the audit events of creating and editing the configuration.
    assert report["objects"]["events"] == len(sent) + 2
    assert report["objects"]["inflated"] == report["objects"]["count"]


LAKE_CLASSES = {"3001", "3002", "3004", "6003"}
OWN_RULES = {"classes": [{"action": "QUERY", "class": "ENTITY_MANAGEMENT", "activity": "Read"}]}


def lake_keys(customer: Customer) -> list[str]:
    """Returns the keys of the export's objects in the partitions of Security Lake, which exports share."""
    found = customer.account.objects(f"{customer.account.prefix}region=")
    return sorted(entry["Key"] for entry in found if f"/{customer.id}_" in entry["Key"])


def ocsf_records(customer: Customer, directory: Path) -> list[tuple[int, str]]:
    """Returns class and line of each record."""
    found: list[tuple[int, str]] = []
    for number, key in enumerate(lake_keys(customer)):
        path = directory / f"{number}.parquet"
        path.write_bytes(customer.account.download(key))
        rows = duckdb.execute("select class_uid, raw_data from read_parquet(?)", [str(path)]).fetchall()
        assert {class_uid for class_uid, _ in rows} == {int(key.rsplit("_", 2)[1])}, key
        found += rows
    return found


def export_to_lake(customer: Customer, sent: list[str], directory: Path) -> None:
    """Changes the format, and exports until the sent events have arrived as records."""
    updated = customer.tenant.administrator.update_assumed_role(customer.id, format="OCSF_PARQUET", ocsf=OWN_RULES)
    assert updated["format"] == "OCSF_PARQUET"
    export_until(customer, lambda: len(ocsf_records(customer, directory)), len(sent), "records of OCSF")


def test_an_export_to_security_lake_has_each_line_in_a_record_of_one_class(
    customers: CustomerFactory, verifier: Verifier, tmp_path: Path
) -> None:
    customer = customers.with_role()
    sent = customer.tenant.send(make_events(60))
    export_to_lake(customer, sent, tmp_path)
    records = ocsf_records(customer, tmp_path)
    events = [json.loads(line) for _, line in records]
    assert sorted(event["id"] for event in events if not is_change(event)) == sorted(sent)
    assert {class_uid for class_uid, line in records if json.loads(line).get("action") == "QUERY"} <= {3004}
    for key in lake_keys(customer):
        day, name = key.split("/")[-2:]
        assert day.startswith("eventDay=") and "/accountId=external/" in key
        assert name.rsplit("_", 2)[1] in LAKE_CLASSES
    assert keys(customer, ".parquet") == []
    copy = download(customer.account, customer.id, tmp_path / "copy")
    for status, report in (
        verifier.bucket(customer.account, customer.id, "--deep"),
        verifier.folder(copy, "--deep"),
    ):
        assert (status, report["verdict"], report["breaks"]) == (COMPLETE, "COMPLETE", []), report
        assert report["objects"]["events"] == len(records)
        assert report["objects"]["inflated"] == report["objects"]["count"]

    # DuckDB reads the lines of all classes in one view, and the command itself the same lines.
    found = read_copy(verifier, "query", "SELECT id, action FROM audit_events", copy, "--output", "json")
    rows = sorted((row["id"], row["action"]) for row in json.loads(found))
    assert rows == sorted((event["id"], event["action"]) for event in events)
    lines = read_copy(verifier, "search", copy, "--output", "json").splitlines()
    assert sorted(lines) == sorted(line for _, line in records)


def read_copy(verifier: Verifier, *arguments: str | Path) -> str:
    """Runs a command over a copy, which it verifies first; returns what it prints."""
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    outcome = subprocess.run(
        [verifier.command, *arguments, "--public-key", verifier.public_key],
        text=True,
        capture_output=True,
        check=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        env={"PATH": path},
    )
    return outcome.stdout


def test_a_lost_object_in_security_lake_is_repaired(
    customers: CustomerFactory, verifier: Verifier, command: Path, tmp_path: Path
) -> None:
    customer = customers.with_role()
    sent = customer.tenant.send(make_events(15))
    export_to_lake(customer, sent, tmp_path)
    [key, *_] = lake_keys(customer)
    check_repair(customer, key, verifier, command, tmp_path)


def test_a_scheduled_export_is_handed_to_the_converter(customers: CustomerFactory) -> None:
    """Its runs go through the queue of scheduled conversions, which no request uses."""
    customer = customers.with_role(interval="EVERY_12_HOURS")
    customer.wait_until_at_rest()
    change_format(customer, "NDJSON_ZSTD")
    sent = customer.tenant.send(make_events(10))
    request = customer.run_request(customer.settled_through()) | {"trigger": "SCHEDULE"}
    customer.stack.client("sqs").send_message(QueueUrl=customer.stack.queues["runs"], MessageBody=json.dumps(request))
    wait_until(lambda: len(zstd_ids(customer)) >= len(sent), "events in zstd", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    customer.wait_until_at_rest()
    assert zstd_ids(customer) == sent
    assert keys(customer, ".ndjson.gz") == []


def check_repair(customer: Customer, key: str, verifier: Verifier, command: Path, tmp_path: Path) -> None:
    """Deletes an object, and checks that a repair brings the same bytes back."""
    lost = customer.account.download(key)
    customer.account.s3.delete_object(Bucket=customer.account.bucket, Key=key)
    token_file = tmp_path / "token"
    token_file.write_text(customer.tenant.administrator.token)
    stored = customer.stored()
    times = ("--from", stored["createdAt"]["S"], "--to", stored["exportedThrough"]["S"])
    wait = ("--wait", "--timeout", "4m", "--output", "json")
    service = ("--url", customer.stack.api_url, "--token-file", token_file)
    outcome = subprocess.run(
        [command, "config", "repair", customer.id, *times, *wait, *service],
        text=True,
        capture_output=True,
        check=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    repair = json.loads(outcome.stdout)
    assert (repair["status"], repair["repaired"]) == ("SUCCEEDED", 1), repair
    assert customer.account.download(key) == lost
    status, report = verifier.bucket(customer.account, customer.id, "--deep")
    assert (status, report["breaks"]) == (COMPLETE, [])


def test_a_lost_object_of_zstd_is_repaired(
    customers: CustomerFactory, verifier: Verifier, command: Path, tmp_path: Path
) -> None:
    customer = customers.with_role()
    change_format(customer, "NDJSON_ZSTD")
    sent = customer.tenant.send(make_events(15))
    export_as_zstd(customer, sent)
    [key, *_] = keys(customer, ".ndjson.zst")
    check_repair(customer, key, verifier, command, tmp_path)


def test_a_lost_parquet_file_is_repaired(
    customers: CustomerFactory, verifier: Verifier, command: Path, tmp_path: Path
) -> None:
    customer = customers.with_role()
    change_format(customer, "PARQUET")
    sent = customer.tenant.send(make_events(15))
    export_as_parquet(customer, sent, tmp_path)
    [key, *_] = keys(customer, ".parquet")
    check_repair(customer, key, verifier, command, tmp_path)
    assert {event["id"] for event in parquet_events(customer, tmp_path)} == set(sent)
