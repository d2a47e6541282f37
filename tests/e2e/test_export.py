"""Exports are complete, once, in order, in the right bucket, and run by the schedule."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.local.schedules import FIRING_INTERVAL
from infra.local.stack import MARKER, Stack, wait_until
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    PATIENCE_SECONDS,
    SETTLE_SECONDS,
    SLOT_SECONDS,
    Customer,
    CustomerFactory,
    Tenant,
    as_batch,
    is_change,
    log_lines,
    make_events,
    pass_midnight,
)

# A schedule of the local stack fires each minute, and exports what had been received 10 s before.
SCHEDULE_TIMEOUT_SECONDS = EXPORT_TIMEOUT_SECONDS + 60
DATA_KEY = re.compile(
    r"(?P<prefix>.*)date=(?P<date>\d{4}-\d\d-\d\d)/"
    r"(?P<first>\d{8}T\d{9}Z_[0-9A-Z]{26})-(?P<last>\d{8}T\d{9}Z_[0-9A-Z]{26})\.ndjson\.gz"
)

Make = Callable[..., Customer]


@pytest.fixture(scope="module", autouse=True)
def scheduled(customers: CustomerFactory) -> tuple[Customer, list[str]]:
    """A customer that only the schedule exports for: created first and checked last."""
    customer = customers.with_role(interval=FIRING_INTERVAL)
    assert customer.tenant.administrator.test(customer.id)["connectionStatus"] == "SUCCESS"
    return customer, customer.tenant.send(make_events(25))


@pytest.fixture(params=["with_role", "with_access_key"])
def make_customer(request: pytest.FixtureRequest, customers: CustomerFactory) -> Make:
    """A customer with a role or an access key and the documented permissions, whose connection was not tested by hand."""
    return getattr(customers, request.param)


def download_all(customer: Customer, directory: Path) -> list[Path]:
    paths = []
    for key in customer.account.data_keys(customer.id):
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(customer.account.download(key))
        paths.append(path)
    return paths


# ----------------------------------------------------------------------------------------------------------------------
# Complete, once, in order
# ----------------------------------------------------------------------------------------------------------------------


def test_every_event_arrives_once_and_in_order(make_customer: Make, tmp_path: Path) -> None:
    customer = make_customer()
    # Many small requests: blocks in several shards, received at several times.
    sent = [event_id for _ in range(30) for event_id in customer.tenant.send(make_events(40))]
    exported = customer.run_export(sent)
    assert [event["id"] for event in exported] == sent
    assert {event["tenantId"] for event in exported} == {customer.tenant.name}
    received = [event["receivedTimestamp"] for event in exported]
    assert received == sorted(received)
    # The bytes are equal to the stored ones.
    assert exported == customer.tenant.stored_events()

    paths = download_all(customer, tmp_path)
    for path in paths:
        subprocess.run(["gzip", "-t", path], check=True)
    lines = subprocess.run(["zcat", *paths], stdout=subprocess.PIPE, check=True).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["id"] for event in events if not is_change(event)] == sent


def test_files_are_a_hive_partitioned_table(customers: CustomerFactory, tmp_path: Path) -> None:
    customer = customers.with_role()
    sent = customer.tenant.send(make_events(200))
    customer.run_export(sent)
    download_all(customer, tmp_path)
    files = f"{tmp_path}/{customer.account.prefix}{customer.id}/*/*.ndjson.gz"
    query = (
        "select count(*), count(distinct id), min(date)::text, max(tenantId) from read_json(?, hive_partitioning=true)"
        " where action = 'QUERY'"
    )
    [(count, ids, date, tenant)] = duckdb.execute(query, [files]).fetchall()
    assert (count, ids, tenant) == (200, 200, customer.tenant.name)
    assert date == customer.exported()[0]["receivedTimestamp"][:10]


def test_keys_are_readable_and_nothing_else_is_written(make_customer: Make) -> None:
    customer = make_customer()
    sent = customer.tenant.send(make_events(3))
    customer.run_export(sent)
    blocks = [block["blockId"]["S"] for block in customer.tenant.stored_blocks()]
    keys = [DATA_KEY.fullmatch(key) for key in customer.account.data_keys(customer.id)]
    names = [found for found in keys if found]
    assert len(names) == len(keys)
    # One run exports one file for each day. The connection test at the creation may have started another run.
    assert len(names) <= len({found["date"] for found in names}) + 1
    for found in names:
        assert found["prefix"] == f"{customer.account.prefix}{customer.id}/"
        assert found["first"].startswith(found["date"].replace("-", ""))
    assert (names[0]["first"][-26:], names[-1]["last"][-26:]) == (blocks[0], blocks[-1])
    allowed = (f"{customer.account.prefix}{customer.id}/", customer.account.prefix + MARKER)
    assert all(entry["Key"].startswith(allowed) for entry in customer.account.objects())


def test_every_object_has_the_type_of_what_it_is(make_customer: Make) -> None:
    customer = make_customer()
    customer.run_export(customer.tenant.send(make_events(3)))
    account = customer.account
    found: dict[str, set[str]] = {}
    for entry in account.objects():
        head = account.s3.head_object(Bucket=account.bucket, Key=entry["Key"])
        assert "ContentEncoding" not in head
        found.setdefault(entry["Key"].rpartition("/")[2].partition(".")[2], set()).add(head["ContentType"])
    assert found == {
        "ndjson.gz": {"application/gzip"},
        "json": {"application/json"},
        "json.sig": {"application/octet-stream"},
        MARKER.removeprefix("."): {"text/plain; charset=utf-8"},
    }


def test_a_second_run_exports_only_what_is_new(make_customer: Make) -> None:
    customer = make_customer()
    first = customer.tenant.send(make_events(20))
    customer.run_export(first)
    keys = customer.account.data_keys(customer.id)
    etags = {entry["Key"]: entry["ETag"] for entry in customer.account.objects()}
    second = customer.tenant.send(make_events(20))
    exported = customer.run_export(first + second)
    assert [event["id"] for event in exported] == first + second
    assert customer.account.data_keys(customer.id)[: len(keys)] == keys
    assert len(customer.account.data_keys(customer.id)) > len(keys)
    for entry in customer.account.objects():
        if entry["Key"] in keys:
            assert entry["ETag"] == etags[entry["Key"]]


def test_an_object_is_put_at_once_however_full_it_is(customers: CustomerFactory) -> None:
    """36 MB of events that hardly compress: several full objects, and no multipart upload that could be left unfinished."""
    customer = customers.with_access_key()
    sent = []
    for _ in range(12):
        noise = [base64.b64encode(os.urandom(75_000)).decode() for _ in range(30)]
        sent += customer.tenant.send([make_events(1, auditPayload=text)[0] for text in noise])
    exported = customer.run_export(sent)
    assert [event["id"] for event in exported] == sent
    sizes = {}
    for key in customer.account.data_keys(customer.id):
        head = customer.account.s3.head_object(Bucket=customer.account.bucket, Key=key)
        sizes[key] = (head["ContentLength"], head["ETag"])
    assert len(sizes) >= 2
    largest, _ = max(sizes.values())
    assert largest > 8 * 1_024 * 1_024
    # The entity tag of a multipart upload ends with the number of parts.
    assert not any("-" in etag for _, etag in sizes.values()), sizes


# ----------------------------------------------------------------------------------------------------------------------
# Which events
# ----------------------------------------------------------------------------------------------------------------------


def test_each_tenant_gets_its_own(customers: CustomerFactory) -> None:
    # Two customers in one account, and two buckets of one tenant.
    one, other = customers.with_role(), customers.with_role()
    third = customers.with_access_key(tenant=one.tenant)
    of_one, of_other = one.tenant.send(make_events(7)), other.tenant.send(make_events(9))
    assert [event["id"] for event in one.run_export(of_one)] == of_one
    assert [event["id"] for event in other.run_export(of_other)] == of_other
    assert [event["id"] for event in third.run_export(of_one)] == of_one


def test_an_export_starts_at_its_start_from(customers: CustomerFactory, tenant: Tenant) -> None:
    before = tenant.send(make_events(5))
    time.sleep(0.05)
    from_now = customers.with_access_key(tenant=tenant)
    everything = customers.with_access_key(tenant=tenant, startFrom="earliest")
    after = tenant.send(make_events(5))
    assert [event["id"] for event in everything.run_export(before + after)] == before + after
    assert [event["id"] for event in from_now.run_export(after)] == after


def test_events_received_while_disabled_are_exported_after_enabling(
    customers: CustomerFactory, invoke: Callable[[str, Any], Any]
) -> None:
    customer = customers.with_access_key()
    customer.tenant.administrator.disable(customer.id)
    sent = customer.tenant.send(make_events(4))
    # Invoked directly, so that the run has ended with the response.
    assert not invoke("exporter", as_batch(customer.run_request(customer.settled_through()))).get("batchItemFailures")
    assert customer.exported_ids() == []
    customer.tenant.administrator.enable(customer.id)
    assert [event["id"] for event in customer.run_export(sent)] == sent


# ----------------------------------------------------------------------------------------------------------------------
# Failures
# ----------------------------------------------------------------------------------------------------------------------


def test_the_same_message_again_does_nothing(
    customers: CustomerFactory, stack: Stack, invoke: Callable[[str, Any], Any]
) -> None:
    customer = customers.with_access_key()
    # The connection test at the creation may have started a run.
    customer.wait_until_at_rest()
    sent = customer.tenant.send(make_events(11))
    through = customer.settled_through()
    request = customer.run_request(through)
    for _ in range(3):
        answer = invoke("exporter", as_batch(request))
        assert not answer.get("batchItemFailures"), answer
        assert customer.exported_ids() == sent
        etags = {entry["Key"]: (entry["ETag"], entry["LastModified"]) for entry in customer.account.objects()}
    # Through the queue as well, twice at the same time.
    sqs = stack.client("sqs")
    for _ in range(2):
        sqs.send_message(QueueUrl=stack.queues["runs"], MessageBody=json.dumps(request))
    wait_until(
        lambda: customer.ended_runs(through) >= 3 + 2, "the messages' runs", timeout_seconds=EXPORT_TIMEOUT_SECONDS
    )
    customer.wait_until_at_rest()
    assert etags == {entry["Key"]: (entry["ETag"], entry["LastModified"]) for entry in customer.account.objects()}
    assert customer.exported_ids() == sent


def test_the_same_firing_again_does_nothing(customers: CustomerFactory, invoke: Callable[[str, Any], Any]) -> None:
    customer = customers.with_access_key(interval="EVERY_12_HOURS")
    sent = customer.tenant.send(make_events(6))
    # Waits until a slot after the events has ended and settled.
    customer.settle(SLOT_SECONDS + SETTLE_SECONDS)
    fired = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    dispatch = {"dispatch": {"interval": "EVERY_12_HOURS", "scheduledTime": fired}}
    answers = [invoke("exporter", dispatch) for _ in range(2)]
    # Other tests enable and disable configurations of this interval meanwhile: the count may differ.
    assert all(answer["dispatched"] >= 1 for answer in answers)
    through = answers[0]["through"]
    assert answers[1]["through"] == through
    assert through.endswith("0.000Z")
    wait_until(lambda: customer.ended_runs(through) >= 2, "both runs", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    customer.wait_until_at_rest()
    assert customer.exported_ids() == sent


def test_a_foreign_object_is_never_overwritten(customers: CustomerFactory, invoke: Callable[[str, Any], Any]) -> None:
    """An object of somebody else is where the export will write. The export must not change it."""
    # The object that is foreseen has the events of one day.
    pass_midnight()
    # With a role, whose connection is not tested when it is created: that might start a run.
    customer = customers.with_role()
    customer.tenant.administrator.disable(customer.id)
    customer.tenant.send(make_events(3))
    blocks = [block["blockId"]["S"] for block in customer.tenant.stored_blocks()]
    # The events of creating and disabling the configuration, and the sent ones.
    assert len(blocks) == 3
    received = [customer.tenant.stored_changes()[0], customer.tenant.stored_events()[0]]
    first, last = (
        f"{re.sub(r'[-:.]', '', event['receivedTimestamp'])}_{block}"
        for event, block in zip(received, (blocks[0], blocks[-1]), strict=True)
    )
    date = received[1]["receivedTimestamp"][:10]
    key = f"{customer.account.prefix}{customer.id}/date={date}/{first}-{last}.ndjson.gz"
    customer.account.s3.put_object(Bucket=customer.account.bucket, Key=key, Body=b"foreign")
    # Before the event of enabling it, with which the object would have another name.
    through = customer.settled_through()
    customer.tenant.administrator.enable(customer.id)
    assert not invoke("exporter", as_batch(customer.run_request(through))).get("batchItemFailures")
    # The export has met the object.
    wait_until(
        lambda: log_lines(customer.stack, customer.id, "UNEXPECTED_OBJECT", key),
        "the alarm about the object",
        timeout_seconds=PATIENCE_SECONDS,
    )
    assert customer.account.download(key) == b"foreign"


def run_and_fail(customer: Customer) -> dict[str, Any]:
    """Exports the sent events, waits until the configuration shows the failure, and returns it."""
    customer.settle()
    administrator = customer.tenant.administrator
    administrator.run(customer.id)
    failed = wait_until(
        lambda: (now := administrator.get(customer.id))["connectionStatus"] == "FAILED" and now,
        "the failure to be shown",
        timeout_seconds=EXPORT_TIMEOUT_SECONDS,
    )
    customer.wait_until_idle()
    return failed


@pytest.mark.requires("iam enforcement")
def test_a_broken_permission_is_reported_and_loses_nothing(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    first = customer.tenant.send(make_events(5))
    customer.run_export(first)
    iam = customer.account.client("iam")
    iam.delete_role_policy(RoleName=customer.role_name, PolicyName="audit-export")
    second = customer.tenant.send(make_events(5))
    failed = run_and_fail(customer)
    assert failed["connectionError"]["code"] == "WRITE_DENIED"
    assert customer.exported_ids() == first
    iam.put_role_policy(
        RoleName=customer.role_name,
        PolicyName="audit-export",
        PolicyDocument=json.dumps(customer.account.export_policy()),
    )
    assert [event["id"] for event in customer.run_export(first + second)] == first + second


@pytest.mark.requires("iam enforcement")
def test_a_repaired_connection_starts_the_export_that_is_due(customers: CustomerFactory) -> None:
    customer = customers.with_role(startFrom="earliest")
    administrator = customer.tenant.administrator
    iam = customer.account.client("iam")
    iam.delete_role_policy(RoleName=customer.role_name, PolicyName="audit-export")
    sent = customer.tenant.send(make_events(5))
    failed = run_and_fail(customer)
    assert failed["connectionError"]["code"] == "WRITE_DENIED"
    # The failed run has ended, and the schedule of this interval stands still: only the test can start the export. The sent
    # events are before a settled boundary.
    customer.settle(SLOT_SECONDS + SETTLE_SECONDS)
    assert customer.exported_ids() == []
    iam.put_role_policy(
        RoleName=customer.role_name,
        PolicyName="audit-export",
        PolicyDocument=json.dumps(customer.account.export_policy()),
    )
    assert administrator.get(customer.id)["connectionStatus"] == "FAILED"
    assert administrator.test(customer.id)["connectionStatus"] == "SUCCESS"
    customer.wait_for(len(sent))
    customer.wait_until_at_rest()
    assert customer.exported_ids() == sent
    assert administrator.get(customer.id)["connectionStatus"] == "SUCCESS"


def test_a_trust_policy_that_was_opened_up_stops_the_export(customers: CustomerFactory) -> None:
    """A run tests the connection first if it was never tested: nothing is written with a role that others could use."""
    customer = customers.with_role(trust=lambda account, _: account.trust_policy(None))
    customer.tenant.send(make_events(2))
    failed = run_and_fail(customer)
    assert failed["connectionError"]["code"] == "TRUST_POLICY_TOO_OPEN"
    assert customer.account.objects() == []


# ----------------------------------------------------------------------------------------------------------------------
# The schedule
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.requires("schedule firing")
def test_the_schedule_exports_by_itself(scheduled: tuple[Customer, list[str]]) -> None:
    customer, sent = scheduled
    customer.wait_for(len(sent), SCHEDULE_TIMEOUT_SECONDS)
    assert customer.exported_ids() == sent
    assert customer.tenant.administrator.get(customer.id)["connectionStatus"] == "SUCCESS"
