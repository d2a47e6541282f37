"""The housekeeper: the log line of the sweep, the expiry of a deleted configuration's history, and the erasure of a tenant."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.local.stack import Stack, wait_until
from infra.local.verification import Verifier
from tests.e2e.harness import (
    DAY_SECONDS,
    PATIENCE_SECONDS,
    Customer,
    CustomerFactory,
    Tenant,
    log_lines,
    make_events,
    to_lines,
)

Invoke = Callable[[str, Any], dict[str, Any]]

OPENSSL_SECONDS = 60
# The default of HistoryDays in template.yaml.
HISTORY_SECONDS = 400 * DAY_SECONDS
# The limit of invocations for one tenant. Each erases a local table completely.
MAX_INVOCATIONS = 10
KEYS = {"events": "partition", "configurations": "tenantId", "runs": "run"}


def exported(customers: CustomerFactory, tenant: Tenant | None = None) -> Customer:
    """Returns a customer with events in the bucket, whose export is disabled and does not run."""
    customer = customers.with_access_key(tenant=tenant)
    sent = customer.tenant.send(make_events(5))
    customer.run_export(sent)
    customer.tenant.administrator.disable(customer.id)
    return customer


def test_a_sweep_counts_a_refused_export_and_says_so_in_the_log(
    customers: CustomerFactory, stack: Stack, invoke: Invoke
) -> None:
    refused = customers.with_access_key(bucketName=f"missing-{uuid.uuid4().hex}")
    assert refused.configuration["connectionStatus"] == "FAILED"
    answer = invoke("housekeeper", {"sweep": {}})
    assert answer["isComplete"]
    report = answer["report"]
    assert report["configurations"] >= 1
    assert report["refused_configurations"] >= 1
    assert 0 <= report["refused_tenants_percent"] <= 100
    # No export of the local stack is older than the stack; the retention is 90 days.
    assert (report["largest_lag_seconds"] < DAY_SECONDS, report["retention_used_percent"]) == (True, 0)
    names = {
        "configurations",
        "largest_lag_seconds",
        "healthy_configurations",
        "never_run_configurations",
        "delayed_configurations",
        "failing_configurations",
        "refused_configurations",
        "refused_tenants_percent",
        "retention_used_percent",
        "refused_retention_used_percent",
    }
    assert set(report) == names
    # Each enabled export has one health.
    health = ("healthy", "never_run", "delayed", "failing", "refused")
    assert sum(report[f"{name}_configurations"] for name in health) == report["configurations"]

    def is_logged() -> bool:
        lines = log_lines(stack, '"the sweep is done"')
        return any({name: line.get(name) for name in names} == report for line in lines)

    wait_until(is_logged, "the line of the sweep", timeout_seconds=PATIENCE_SECONDS)


def test_completed_windows_expire_and_the_state_does_not(customers: CustomerFactory) -> None:
    customer = exported(customers)
    items = customer.run_items()
    completed = [name for name in items if name.startswith(("digest#", "job#"))]
    assert len(completed) >= 2
    for name in completed:
        assert abs(int(items[name]["expiresAt"]["N"]) - time.time() - HISTORY_SECONDS) < DAY_SECONDS, name
    assert "expiresAt" not in items["state"]


def test_remains_of_a_deleted_configuration_expire_after_a_sweep(
    customers: CustomerFactory, stack: Stack, invoke: Invoke
) -> None:
    customer = exported(customers)
    assert any("expiresAt" not in item for item in customer.run_items().values())
    administrator = customer.tenant.administrator
    administrator.delete(customer.id)
    # The tombstone is not listed as a configuration.
    assert administrator.list() == []

    def is_expiring() -> bool:
        invoke("housekeeper", {"sweep": {}})
        return all("expiresAt" in item for item in customer.run_items().values())

    wait_until(is_expiring, "an expiry of every item", timeout_seconds=PATIENCE_SECONDS)
    for name, item in customer.run_items().items():
        assert abs(int(item["expiresAt"]["N"]) - time.time() - HISTORY_SECONDS) < DAY_SECONDS, name
    left = items_of(stack, customer.tenant.name)["configurations"]
    assert [item["id"]["S"] for item in left if item["id"]["S"].startswith("tombstone#")] == []


def items_of(stack: Stack, tenant: str) -> dict[str, list[dict[str, Any]]]:
    """Returns a tenant's items in each table, from a scan of the whole table."""

    def of_tenant(key: str) -> bool:
        return key == tenant or key.startswith(f"{tenant}#")

    client = stack.client("dynamodb")
    found: dict[str, list[dict[str, Any]]] = {}
    for table, key in KEYS.items():
        pages = client.get_paginator("scan").paginate(TableName=stack.tables[table], ConsistentRead=True)
        found[table] = [item for page in pages for item in page["Items"] if of_tenant(item[key]["S"])]
    return found


def erase(invoke: Invoke, tenant: str) -> dict[str, Any]:
    request = {"tenantId": tenant, "reason": "ticket 4711"}
    for _ in range(MAX_INVOCATIONS):
        answer = invoke("housekeeper", {"eraseTenant": request})
        assert answer["tenantId"] == tenant
        if "statement" in answer:
            assert "position" not in answer
            return answer
    raise AssertionError(f"{tenant} is not erased after {MAX_INVOCATIONS} invocations")


def newest_digest(customer: Customer) -> bytes:
    prefix = f"{customer.account.prefix}{customer.id}/_digests/"
    keys = [entry["Key"] for entry in customer.account.objects(prefix) if entry["Key"].endswith(".json")]
    return customer.account.download(max(keys))


def openssl_accepts(directory: Path, public_key: Path, statement: bytes, signature: bytes) -> bool:
    """Checks a signature with the command in docs/OPERATIONS.md."""
    (directory / "statement.json").write_bytes(statement)
    (directory / "statement.sig").write_bytes(signature)
    command: list[str | Path] = [
        "openssl",
        "dgst",
        "-sha256",
        "-verify",
        public_key,
        "-signature",
        "statement.sig",
        "statement.json",
    ]
    return subprocess.run(command, cwd=directory, timeout=OPENSSL_SECONDS, check=False).returncode == 0


def test_an_erased_tenant_is_gone_from_every_table_and_others_go_on(
    customers: CustomerFactory,
    make_tenant: Callable[..., Tenant],
    stack: Stack,
    invoke: Invoke,
    command: Path,
    tmp_path: Path,
) -> None:
    # A tenant whose name is a prefix of the other's.
    name = f"tenant-{uuid.uuid4().hex[:12]}"
    tenant, neighbour = make_tenant(name), make_tenant(f"{name}-2")
    deleted, kept = exported(customers, tenant), exported(customers, tenant)
    tenant.administrator.delete(deleted.id)
    other = customers.with_access_key(tenant=neighbour)
    sent = neighbour.send(make_events(3))
    once = tenant.post_events(to_lines(make_events(1)), Idempotency_Key="once")
    assert once.status_code == 202
    before = items_of(stack, name)
    assert all(before.values()), {table: len(items) for table, items in before.items()}
    untouched = len(items_of(stack, neighbour.name)["events"])

    answer = erase(invoke, name)
    assert items_of(stack, name) == {table: [] for table in KEYS}
    statement = base64.b64decode(answer["statement"])
    signature = base64.b64decode(answer["signature"])
    content = json.loads(statement)
    assert (content["kind"], content["version"], content["tenantId"], content["reason"]) == (
        "TENANT_ERASURE",
        2,
        name,
        "ticket 4711",
    )
    assert content["counts"] == answer["counts"]
    assert content["counts"]["configurations"] == 1
    blocks = [item for item in before["events"] if "block" in item]
    assert (content["counts"]["blocks"], content["counts"]["eventRecords"]) == (
        len(blocks),
        len(before["events"]) - len(blocks),
    )
    assert content["counts"]["runRecords"] == len(before["runs"])
    assert content["counts"]["segments"] == 0
    heads = {found["configurationId"]: found["headDigest"] for found in content["configurations"]}
    # The deleted configuration as well: its items in the runs table have the digest.
    assert heads == {customer.id: hashlib.sha256(newest_digest(customer)).hexdigest() for customer in (deleted, kept)}
    verifier = Verifier.create(stack, command, tmp_path)
    assert openssl_accepts(tmp_path, verifier.public_key, statement, signature)
    assert not openssl_accepts(tmp_path, verifier.public_key, statement.replace(b"4711", b"4712"), signature)

    # A repetition returns the same statement as long as nothing new is found.
    assert erase(invoke, name) == answer

    assert len(items_of(stack, neighbour.name)["events"]) >= untouched
    other.run_export(sent)
    assert sorted(other.exported_ids()) == sorted(sent)


def test_an_erasure_needs_a_tenant_and_a_reason(stack: Stack) -> None:
    client = stack.client("lambda")
    for request in ({"tenantId": "a#b", "reason": "x"}, {"tenantId": "acme", "reason": " "}, {"tenantId": "acme"}):
        answer = client.invoke(
            FunctionName=stack.functions["housekeeper"], Payload=json.dumps({"eraseTenant": request}).encode()
        )
        assert "FunctionError" in answer, request
