"""Notices: what changes about an export becomes one event on the bus, and reaches the webhooks from before the change.

The schedules of the housekeeper fire beside the tests, and other workers invoke it, so a notice may be published twice, with one ID.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from infra.local.stack import Stack, wait_until
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    KEY_ACCOUNT,
    PATIENCE_SECONDS,
    ROLE_ACCOUNT,
    Customer,
    CustomerFactory,
    Record,
    Tenant,
    create_queue,
    lines_of_log_group,
    log_group,
    log_lines,
    make_events,
    messages_of_the_alarms_topic,
)
from tests.e2e.receiver import new_secret, receiving

Invoke = Callable[[str, Any], dict[str, Any]]

# A long poll would hide how long the bus takes from nobody, and delay each look.
POLL_SECONDS = 1
STARTED_MILLISECONDS = int(time.time() * 1_000)
# The receives of one look at the queue, of up to ten messages each.
MAX_RECEIVES = 20


@dataclass
class Watcher:
    """A queue with the notices of a tenant, as a consumer of the bus sees them."""

    stack: Stack
    invoke: Invoke
    queue: str
    # By ID: copies of a notice are one.
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)

    def look(self) -> None:
        """Reads what has arrived. Every event has the form that docs/NOTICES.md describes."""
        sqs = self.stack.client("sqs")
        for _ in range(MAX_RECEIVES):
            answer = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=POLL_SECONDS)
            messages = answer.get("Messages", [])
            if not messages:
                return
            for message in messages:
                event = json.loads(message["Body"])
                notice = event["detail"]
                assert (event["source"], event["detail-type"]) == ("audit-export", notice["kind"])
                assert notice["version"] == 1
                # A copy is the same notice.
                assert self.notices.setdefault(notice["id"], notice) == notice
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def of(self, configuration_id: str) -> list[dict[str, Any]]:
        """Returns the notices of an export in the order in which they happened. The order of IDs is that of times."""
        found = [notice for notice in self.notices.values() if notice["configurationId"] == configuration_id]
        return sorted(found, key=lambda notice: notice["id"])

    def kinds(self, configuration_id: str) -> list[str]:
        return [notice["kind"] for notice in self.of(configuration_id)]

    def sweep(self) -> None:
        self.invoke("housekeeper", {"sweep": {}})

    def publish(self) -> None:
        self.invoke("housekeeper", {"publishNotices": {}})
        self.look()

    def wait_for(self, configuration_id: str, kind: str) -> dict[str, Any]:
        """Sweeps and publishes until there is a notice of a kind."""

        def found() -> dict[str, Any] | None:
            self.sweep()
            self.publish()
            return next((notice for notice in self.of(configuration_id) if notice["kind"] == kind), None)

        return wait_until(found, f"the notice {kind} of {configuration_id}", timeout_seconds=PATIENCE_SECONDS)


@pytest.fixture
def watcher(stack: Stack, tenant: Tenant, invoke: Invoke) -> Iterator[Watcher]:
    """Routes the notices of the tenant to a queue, as docs/NOTICES.md describes it for other targets."""
    sqs, events = stack.client("sqs"), stack.client("events")
    name = f"notices-{uuid.uuid4().hex[:12]}"
    bus = f"{stack.description['stackName']}-notices"
    queue, arn = create_queue(sqs, "notices", "events.amazonaws.com")
    pattern = {"source": ["audit-export"], "detail": {"tenantId": [tenant.name]}}
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    try:
        yield Watcher(stack, invoke, queue)
    finally:
        events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
        events.delete_rule(Name=name, EventBusName=bus)
        sqs.delete_queue(QueueUrl=queue)


def deliver(customer: Customer) -> None:
    """Exports events, until the service knows that the export works."""
    customer.run_export(customer.tenant.send(make_events(3)))

    def works() -> bool:
        stored = customer.stored()
        return "lastExportAt" in stored and stored["connectionStatus"]["S"] == "SUCCESS"

    wait_until(works, f"an export of {customer.id}", timeout_seconds=EXPORT_TIMEOUT_SECONDS)


def test_a_failure_and_its_end_are_one_notice_each_however_often_it_is_swept(
    customers: CustomerFactory, tenant: Tenant, watcher: Watcher
) -> None:
    missing = f"missing-{uuid.uuid4().hex}"
    customer = customers.with_access_key(tenant=tenant, bucketName=missing)
    assert customer.configuration["connectionStatus"] == "FAILED"
    failing = watcher.wait_for(customer.id, "EXPORT_FAILING")
    assert (failing["tenantId"], failing["configurationId"]) == (tenant.name, customer.id)
    assert failing["detail"]["code"] == "BUCKET_NOT_FOUND"
    assert missing in failing["detail"]["message"]
    assert failing["detail"]["action"].endswith("Then test the connection.")
    for _ in range(3):
        watcher.sweep()
        watcher.publish()
    assert watcher.kinds(customer.id) == ["EXPORT_FAILING"]

    repaired = tenant.administrator.update_access_key(
        customer.id, bucketName=customer.account.destination["bucketName"]
    )
    assert repaired["connectionStatus"] == "SUCCESS"
    recovered = watcher.wait_for(customer.id, "EXPORT_RECOVERED")
    assert recovered["detail"]["ended"] == ["EXPORT_FAILING"]
    assert recovered["occurredAt"] > failing["occurredAt"]
    moved = watcher.wait_for(customer.id, "EXPORT_DESTINATION_CHANGED")
    # It had delivered nothing from where it was moved.
    assert moved["detail"]["isLastExport"] is False
    for _ in range(3):
        watcher.sweep()
        watcher.publish()
    assert watcher.kinds(customer.id) == ["EXPORT_FAILING", "EXPORT_DESTINATION_CHANGED", "EXPORT_RECOVERED"]


def lines_of_last_exports(stack: Stack, tenant: Tenant) -> list[dict[str, Any]]:
    """Returns the lines of the alarm.

    The schedule may have published before the watcher, and what a scheduled invocation writes is in MiniStack's log group alone.
    """
    lines = lines_of_log_group(stack, log_group(stack, "housekeeper"), STARTED_MILLISECONDS)
    in_group = [json.loads(line) for line in lines if line.startswith("{") and tenant.name in line]
    found = log_lines(stack, tenant.name) + in_group
    return [line for line in found if line.get("alarm") == "LAST_EXPORT_STOPPED"]


def test_the_end_of_the_last_export_is_known_on_two_channels(
    customers: CustomerFactory, tenant: Tenant, stack: Stack, watcher: Watcher
) -> None:
    first = customers.with_access_key(tenant=tenant)
    last = customers.with_access_key(tenant=tenant)
    deliver(last)
    administrator = tenant.administrator
    administrator.disable(first.id)
    administrator.enable(first.id)
    administrator.disable(first.id)
    administrator.delete(first.id)
    administrator.delete(last.id)
    watcher.wait_for(first.id, "EXPORT_DELETED")
    deleted = watcher.wait_for(last.id, "EXPORT_DELETED")
    assert deleted["detail"]["isLastExport"] is True
    assert "It was the last one" in deleted["detail"]["message"]
    # What other exports still work does not depend on the order of publishing.
    of_first = [(notice["kind"], notice["detail"]["isLastExport"]) for notice in watcher.of(first.id)]
    assert sorted(of_first) == [
        ("EXPORT_DELETED", False),
        ("EXPORT_DISABLED", False),
        ("EXPORT_DISABLED", False),
        ("EXPORT_ENABLED", False),
    ]

    found = wait_until(
        partial(lines_of_last_exports, stack, tenant), "the line of the last export", timeout_seconds=PATIENCE_SECONDS
    )
    assert {(line["configuration"], line["notice"]) for line in found} == {(last.id, deleted["id"])}


def test_receivers_from_before_a_change_get_its_notice(
    customers: CustomerFactory, tenant: Tenant, watcher: Watcher, record: Record
) -> None:
    secret = new_secret()
    record.secrets.add(secret)
    with receiving() as receiver:
        webhook = {"url": receiver.url, "secret": secret}
        customer = customers.with_access_key(tenant=tenant, notifications=[webhook])
        # An insider removes the receiver, and then stops the export.
        tenant.administrator.update_access_key(customer.id, notifications=[])
        changed = watcher.wait_for(customer.id, "NOTIFICATIONS_CHANGED")
        [request, *_] = receiver.wait_for(changed["id"], 1, PATIENCE_SECONDS)
        assert request.verified(secret) == changed
        tenant.administrator.disable(customer.id)
        disabled = watcher.wait_for(customer.id, "EXPORT_DISABLED")
        assert disabled["detail"]["isLastExport"] is True
        assert receiver.with_id(disabled["id"]) == []


def test_receivers_from_before_a_move_know_where_the_export_went(
    customers: CustomerFactory, tenant: Tenant, watcher: Watcher, record: Record
) -> None:
    secret = new_secret()
    record.secrets.add(secret)
    elsewhere = customers.account(KEY_ACCOUNT, path="elsewhere")
    with receiving() as receiver:
        webhook = {"url": receiver.url, "secret": secret}
        customer = customers.with_access_key(tenant=tenant, notifications=[webhook])
        before = customer.account.bucket
        deliver(customer)
        # An insider moves the export and removes the receiver at once. The user can't write there, which the next test finds.
        tenant.administrator.update_access_key(customer.id, notifications=[], force=True, **elsewhere.destination)
        moved = watcher.wait_for(customer.id, "EXPORT_DESTINATION_CHANGED")
        [request, *_] = receiver.wait_for(moved["id"], 1, PATIENCE_SECONDS)
        assert request.verified(secret) == moved
    facts = {"changedFields", "bucketBefore", "bucketAfter", "configurationVersion", "isLastExport"}
    assert {name: value for name, value in moved["detail"].items() if name in facts} == {
        "changedFields": ["bucketName", "bucketPath"],
        "bucketBefore": before,
        "bucketAfter": elsewhere.bucket,
        "configurationVersion": 2,
        "isLastExport": True,
    }


def test_a_role_that_does_not_exist_is_the_end_of_the_last_export(
    customers: CustomerFactory, tenant: Tenant, stack: Stack, watcher: Watcher
) -> None:
    customer = customers.with_access_key(tenant=tenant)
    deliver(customer)
    none = f"arn:aws:iam::{customer.account.account}:role/none-{uuid.uuid4().hex[:8]}"
    tenant.administrator.update_assumed_role(customer.id, roleArn=none, force=True)
    replaced = watcher.wait_for(customer.id, "EXPORT_DESTINATION_CHANGED")["detail"]
    assert (replaced["changedFields"], replaced["isLastExport"]) == (["roleArn"], True)

    wait_until(
        partial(lines_of_last_exports, stack, tenant), "the line of the last export", timeout_seconds=PATIENCE_SECONDS
    )


def test_no_decoy_hides_the_end_of_the_last_export(
    customers: CustomerFactory, tenant: Tenant, watcher: Watcher
) -> None:
    real = customers.with_access_key(tenant=tenant)
    deliver(real)
    refused = customers.with_access_key(tenant=tenant, bucketName=f"missing-{uuid.uuid4().hex}")
    assert refused.configuration["connectionStatus"] == "FAILED"
    # This one works, in the insider's account.
    deliver(customers.with_access_key(tenant=tenant, account=customers.account(ROLE_ACCOUNT)))
    tenant.administrator.disable(real.id)
    disabled = watcher.wait_for(real.id, "EXPORT_DISABLED")
    assert disabled["detail"]["isLastExport"] is True


def test_each_end_is_a_message_on_the_topic_of_the_alarms(
    customers: CustomerFactory, tenant: Tenant, stack: Stack, watcher: Watcher
) -> None:
    customer = customers.with_access_key(tenant=tenant)
    with messages_of_the_alarms_topic(stack) as texts:
        tenant.administrator.disable(customer.id)
        tenant.administrator.enable(customer.id)
        tenant.administrator.delete(customer.id)
        watcher.wait_for(customer.id, "EXPORT_DELETED")
        ends = [notice for notice in watcher.of(customer.id) if notice["detail"].get("isLastExport")]
        assert [notice["kind"] for notice in ends] == ["EXPORT_DISABLED", "EXPORT_DELETED"]

        def messages() -> list[str]:
            return [text for text in texts() if tenant.name in text]

        wait_until(lambda: len(messages()) >= len(ends), "a message of each end", timeout_seconds=PATIENCE_SECONDS)
        for notice in ends:
            # A notice may be published twice.
            text = next(text for text in messages() if notice["id"] in text)
            detail = notice["detail"]
            author = f"by {detail['changedBy']} at {notice['occurredAt']}"
            for part in (notice["kind"], f"tenant {tenant.name}", customer.id, author, detail["message"]):
                assert part in text, text
