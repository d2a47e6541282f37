"""The archive: events are exported from segments after their blocks are gone from the table, and an erasure deletes the segments.

Archiver and exporter run as processes outside of the emulator (exporter_process.py), whose spans last a second instead of an hour,
so that what was sent some seconds ago is read from the archive. The deployed functions have the real times, and are not affected.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.runtime_api import OutcomeKind
from infra.local.stack import Stack
from infra.local.verification import COMPLETE, Verifier
from tests.e2e.exporter_process import Exporter, Moment
from tests.e2e.harness import SETTLE_SECONDS, Customer, CustomerFactory, Tenant, as_batch, make_events
from tests.e2e.test_housekeeper import erase

SPAN_SECONDS = 1
SHORT_SPANS = {"DEVELOPMENT_ARCHIVE_SECONDS": str(SPAN_SECONDS)}
# What is younger is read from the table.
READ_FROM_TABLE_SECONDS = 2 * SPAN_SECONDS
BATCHES = 3
# Far longer than a pass over the tenants of all tests takes.
PROCESS_SECONDS = 180


def run(program: Exporter, payload: dict[str, Any]) -> Any:
    """Runs one invocation; returns its answer."""
    outcome, _ = program.invoke(program.invocation(payload), Moment(PROCESS_SECONDS))
    assert outcome is not None
    assert outcome.kind == OutcomeKind.RESPONSE, outcome
    return json.loads(outcome.body)


def partition(stack: Stack, key: str) -> list[dict[str, Any]]:
    pages = (
        stack.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=stack.tables["events"],
            KeyConditionExpression="#partition = :partition",
            ExpressionAttributeNames={"#partition": "partition"},
            ExpressionAttributeValues={":partition": {"S": key}},
            ConsistentRead=True,
        )
    )
    return [item for page in pages for item in page["Items"]]


def row_of(stack: Stack, tenant: str) -> dict[str, Any]:
    """Returns the tenant's registry row."""
    rows = [row for shard in range(16) for row in partition(stack, f"#archive#{shard:x}")]
    (row,) = [row for row in rows if row["blockId"]["S"] == tenant]
    return row


def versions(stack: Stack, tenant: str) -> list[dict[str, Any]]:
    """Returns all versions of the tenant's segments, and the markers of deletions."""
    found: list[dict[str, Any]] = []
    for page in (
        stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=stack.description["archiveBucket"])
    ):
        found += [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [version for version in found if version["Key"].split("/")[1] == tenant]


def archive(stack: Stack, tenant: Tenant, log: Path) -> list[dict[str, Any]]:
    """Waits until everything that the tenant has sent can be archived, archives it, and returns the segments."""
    newest = tenant.stored_blocks()[-1]["blockId"]["S"]
    time.sleep(SETTLE_SECONDS + 2 * SPAN_SECONDS)
    answer = run(Exporter.deployed(stack, log, "archiver", **SHORT_SPANS), {"archive": {}})
    assert answer["isComplete"]
    assert row_of(stack, tenant.name)["archivedThrough"]["S"] > newest
    return partition(stack, f"{tenant.name}#archive")


def delete_blocks(stack: Stack, tenant: Tenant) -> int:
    """Deletes the tenant's blocks, as time to live does."""
    blocks = tenant.stored_blocks()
    for block in blocks:
        stack.client("dynamodb").delete_item(
            TableName=stack.tables["events"], Key={name: block[name] for name in ("partition", "blockId")}
        )
    return len(blocks)


def export(stack: Stack, customer: Customer, log: Path) -> None:
    program = Exporter.deployed(stack, log, **SHORT_SPANS)
    payload = as_batch(customer.run_request(customer.settled_through()))
    assert run(program, payload) == {"batchItemFailures": []}


def test_what_is_archived_is_exported_from_segments_and_erased_with_its_tenant(
    customers: CustomerFactory,
    stack: Stack,
    invoke: Callable[[str, Any], dict[str, Any]],
    command: Path,
    tmp_path: Path,
) -> None:
    customer = customers.with_access_key()
    tenant, log = customer.tenant, tmp_path / "processes.log"
    sent: list[str] = []
    for _ in range(BATCHES):
        sent += tenant.send(make_events(20))
        time.sleep(2 * SPAN_SECONDS)
    # The archive of a new tenant has not stored anything yet, so its events are kept in any case.
    assert row_of(stack, tenant.name)["archivedFrom"] == row_of(stack, tenant.name)["segmentsThrough"]
    for block in tenant.stored_blocks():
        assert 103 < (int(block["expiresAt"]["N"]) - time.time()) / (24 * 3_600) < 105
    lines = tenant.stored_lines()

    segments = archive(stack, tenant, log)
    assert len(segments) >= BATCHES
    bucket = stack.description["archiveBucket"]
    for segment in segments:
        content = stack.client("s3").get_object(Bucket=bucket, Key=segment["objectKey"]["S"])["Body"].read()
        assert hashlib.sha256(content).hexdigest() == segment["sha256"]["S"]
        assert len(content) == int(segment["length"]["N"])
    assert sum(int(segment["eventCount"]["N"]) for segment in segments) == len(lines)

    assert delete_blocks(stack, tenant) == sum(int(segment["blocks"]["N"]) for segment in segments)
    time.sleep(READ_FROM_TABLE_SECONDS)
    # A new export would be run at once by the deployed exporter, whose real times say that young events are in the table.
    more = tenant.send(make_events(5))
    export(stack, customer, log)
    assert sorted(customer.exported_ids()) == sorted(sent + more)
    status, report = Verifier.create(stack, command, tmp_path).bucket(customer.account, customer.id)
    assert status == COMPLETE, report

    keys = {segment["objectKey"]["S"] for segment in segments}
    assert {version["Key"] for version in versions(stack, tenant.name)} == keys
    statement = erase(invoke, tenant.name)
    assert statement["counts"]["segments"] == len(keys)
    assert versions(stack, tenant.name) == []
    assert partition(stack, f"{tenant.name}#archive") == []
    # The row stays for ingest. It begins later than the one before, so that no archiver of that one can move it.
    assert row_of(stack, tenant.name)["archivedFrom"]["S"] > min(segment["firstBlock"]["S"] for segment in segments)
