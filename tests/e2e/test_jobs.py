"""Jobs and tasks, which match the bucket; the backlog of events not yet exported; the time of the next export."""

from __future__ import annotations

import base64
import datetime
import itertools
import json
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.stack import Administrator, Credentials, GraphQlFailed, Stack, wait_until
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    SLOT_SECONDS,
    Customer,
    CustomerFactory,
    Tenant,
    make_events,
    wait_for_a_new_count,
)

JOB_FIELDS = """id exportConfigurationId startTimestamp endTimestamp startedAt endedAt attempts status failureReason
    objects events bytes gap { startTimestamp }"""
TASK_FIELDS = """id startTimestamp endTimestamp attempts offset limit status failureReason objects events bytes
    objectKey"""
SLOT_SETTLE_SECONDS = 3
# Beyond the minute after which the allowance of counts starts again.
COUNT_TIMEOUT_SECONDS = 120
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def all_jobs(administrator: Administrator, configuration_id: str) -> list[dict[str, Any]]:
    query = f"query($id: ID!) {{ getAllExportJobs(exportConfigurationId: $id) {{ {JOB_FIELDS} }} }}"
    return administrator.execute(query, {"id": configuration_id})["getAllExportJobs"]


def all_tasks(administrator: Administrator, job_id: str) -> list[dict[str, Any]]:
    query = f"query($id: ID!) {{ getAllExportJobTasks(exportJobId: $id) {{ {TASK_FIELDS} }} }}"
    return administrator.execute(query, {"id": job_id})["getAllExportJobTasks"]


def pages(
    administrator: Administrator, field: str, argument: str, value: str | None, first: int
) -> Iterator[list[dict[str, Any]]]:
    """Returns the nodes of all pages of a connection."""
    variables: dict[str, Any] = {"after": None}
    declared, given = "$after: String", f"first: {first}, after: $after"
    if value is not None:
        variables["value"] = value
        declared, given = f"$value: ID!, {declared}", f"{argument}: $value, {given}"
    query = f"query({declared}) {{ {field}({given}) {{ edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
    while True:
        page = administrator.execute(query, variables)[field]
        yield [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return
        variables["after"] = page["pageInfo"]["endCursor"]


def outlook(administrator: Administrator, configuration_id: str) -> dict[str, Any]:
    query = """query($id: ID!) { getExportConfiguration(id: $id) {
        enabled exportedThrough startFrom nextExportAt backlog { events oldest isComplete countedAt } } }"""
    return administrator.execute(query, {"id": configuration_id})["getExportConfiguration"]


def fresh_outlook(administrator: Administrator, configuration_id: str) -> dict[str, Any]:
    """Returns the outlook with a backlog that was counted after the call."""
    called_at = datetime.datetime.now(datetime.UTC)

    def counted() -> dict[str, Any] | None:
        answer = outlook(administrator, configuration_id)
        return answer if moment(answer["backlog"]["countedAt"]) >= called_at else None

    return wait_until(counted, "a new count", timeout_seconds=COUNT_TIMEOUT_SECONDS, interval_seconds=1)


def exported_jobs(customer: Customer, events: int) -> list[dict[str, Any]]:
    """Waits until all jobs are done and `events` of the sent events are exported; returns the jobs, the oldest first."""

    def done() -> list[dict[str, Any]] | None:
        jobs = all_jobs(customer.tenant.administrator, customer.id)
        is_done = jobs and all(job["status"] == "SUCCEEDED" for job in jobs)
        return jobs if is_done and len(customer.exported()) >= events else None

    jobs = wait_until(done, "all jobs to be done", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    return jobs[::-1]


def received_at(block_id: str) -> datetime.datetime:
    """Returns the time in a ULID."""
    milliseconds = 0
    for digit in block_id[:10]:
        milliseconds = milliseconds * 32 + CROCKFORD.index(digit)
    return datetime.datetime.fromtimestamp(milliseconds / 1_000, datetime.UTC)


def moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def waiting(tenant: Tenant, since: str) -> tuple[int, datetime.datetime | None]:
    """Returns the number of stored events from a time on, and the time at which the oldest was received."""
    blocks = [block for block in tenant.stored_blocks() if received_at(block["blockId"]["S"]) >= moment(since)]
    oldest = received_at(blocks[0]["blockId"]["S"]) if blocks else None
    return sum(int(block["eventCount"]["N"]) for block in blocks), oldest


# ----------------------------------------------------------------------------------------------------------------------
# Jobs and tasks
# ----------------------------------------------------------------------------------------------------------------------


def test_jobs_and_tasks_are_what_is_in_the_bucket(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    sent: list[str] = []
    for count in (30, 1, 200):
        sent += customer.tenant.send(make_events(count))
        customer.run_export(sent)
    jobs = exported_jobs(customer, len(sent))
    keys: list[str] = []
    for job in jobs:
        tasks = all_tasks(administrator, job["id"])
        assert job["exportConfigurationId"] == customer.id
        assert (len(tasks), sum(task["objects"] for task in tasks)) == (job["objects"], job["objects"])
        assert sum(task["events"] for task in tasks) == job["events"]
        assert sum(task["bytes"] for task in tasks) == job["bytes"]
        offset = 0
        for number, task in enumerate(tasks):
            stored = customer.account.download(task["objectKey"])
            assert task["id"] == f"{job['id']}.{number}"
            assert (task["status"], task["failureReason"]) == ("SUCCEEDED", None)
            assert (task["offset"], task["limit"], task["events"]) == (offset, task["events"], task["events"])
            assert (len(stored), len(zlib.decompress(stored, wbits=31).splitlines())) == (task["bytes"], task["events"])
            assert job["startTimestamp"] <= task["startTimestamp"] <= task["endTimestamp"] < job["endTimestamp"]
            offset += task["limit"]
            keys.append(task["objectKey"])
        assert job["startedAt"] <= job["endedAt"]
        assert (job["gap"], job["failureReason"]) == (None, None)
        assert job["attempts"] >= 1
    # Together they name every file once, and their windows adjoin.
    assert keys == customer.account.data_keys(customer.id)
    assert [job["id"] for job in jobs] == [f"{customer.id}.{number}" for number in range(len(jobs))]
    assert jobs[0]["startTimestamp"] == customer.configuration["startFrom"]
    for earlier, later in itertools.pairwise(jobs):
        assert earlier["endTimestamp"] == later["startTimestamp"]
    assert len(jobs) >= 3


def test_cursors_give_each_once(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    sent: list[str] = []
    for _ in range(3):
        sent += customer.tenant.send(make_events(2))
        customer.run_export(sent)
    exported_jobs(customer, len(sent))
    administrator.disable(customer.id)
    jobs = exported_jobs(customer, len(sent))[::-1]
    for first in (1, 2, 100):
        found = list(pages(administrator, "exportJobs", "exportConfigurationId", customer.id, first))
        assert all(len(page) == first for page in found[:-1])
        assert [job["id"] for page in found for job in page] == [job["id"] for job in jobs], first
    for job in jobs:
        tasks = [task["id"] for task in all_tasks(administrator, job["id"])]
        found = list(pages(administrator, "exportJobTasks", "exportJobId", job["id"], 1))
        assert [task["id"] for page in found for task in page] == tasks
    others = [customers.with_role(tenant=customer.tenant, create_role=False).id for _ in range(3)]
    for first in (1, 2, 4):
        found = list(pages(administrator, "exportConfigurations", "", None, first))
        assert [node["id"] for page in found for node in page] == [customer.id, *others], first


@pytest.mark.requires("iam enforcement")
def test_a_bucket_that_fails_is_reported_and_repaired(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    # Tested, so that the next run opens a window before it fails. The test may start a run.
    assert administrator.test(customer.id)["connectionStatus"] == "SUCCESS"
    customer.wait_until_at_rest()
    iam = customer.account.client("iam")
    iam.delete_role_policy(RoleName=customer.role_name, PolicyName="audit-export")
    sent = customer.tenant.send(make_events(5))
    customer.settle()
    administrator.run(customer.id)

    def newest_failed() -> dict[str, Any] | None:
        jobs = all_jobs(administrator, customer.id)
        return jobs[0] if jobs and jobs[0]["status"] == "FAILED" else None

    wait_until(newest_failed, "a job to fail", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    customer.wait_until_idle()
    failed = all_jobs(administrator, customer.id)[0]
    error = administrator.get(customer.id)["connectionError"]
    assert (error["code"], failed["failureReason"]) == ("WRITE_DENIED", error["message"])
    assert (failed["endedAt"], failed["objects"], failed["events"]) == (None, 0, 0)
    assert failed["endTimestamp"] is not None
    for task in all_tasks(administrator, failed["id"]):
        assert (task["status"], task["failureReason"]) == ("FAILED", error["message"])

    iam.put_role_policy(
        RoleName=customer.role_name,
        PolicyName="audit-export",
        PolicyDocument=json.dumps(customer.account.export_policy()),
    )
    customer.run_export(sent)
    jobs = exported_jobs(customer, len(sent))
    (mended,) = [job for job in jobs if job["id"] == failed["id"]]
    assert (mended["startTimestamp"], mended["startedAt"]) == (failed["startTimestamp"], failed["startedAt"])
    assert mended["attempts"] > failed["attempts"] >= 1
    tasks = all_tasks(administrator, mended["id"])
    assert tasks[0]["attempts"] >= 2


@pytest.mark.requires("trust policies")
def test_a_run_that_can_not_begin_is_a_failed_job(customers: CustomerFactory) -> None:
    customer = customers.with_role(create_role=False)
    administrator = customer.tenant.administrator
    assert all_jobs(administrator, customer.id) == []
    customer.tenant.send(make_events(1))
    customer.settle()
    administrator.run(customer.id)

    def is_failed() -> bool:
        return any(job["status"] == "FAILED" for job in all_jobs(administrator, customer.id))

    wait_until(is_failed, "a job to fail", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    customer.wait_until_idle()
    (job,) = all_jobs(administrator, customer.id)
    error = administrator.get(customer.id)["connectionError"]
    assert (error["code"], job["failureReason"]) == ("ROLE_NOT_ASSUMABLE", error["message"])
    assert (job["endTimestamp"], job["startedAt"], job["endedAt"]) == (None, None, None)
    assert (job["startTimestamp"], job["id"]) == (customer.configuration["startFrom"], f"{customer.id}.0")
    assert all_tasks(administrator, job["id"]) == []


def test_data_of_another_tenant_is_not_found(customers: CustomerFactory, make_tenant: Callable[..., Tenant]) -> None:
    customer = customers.with_role()
    sent = customer.tenant.send(make_events(2))
    customer.run_export(sent)
    own = customer.tenant.administrator
    job = exported_jobs(customer, len(sent))[0]
    stranger = make_tenant().administrator
    for query, value in (
        ("query($v: ID!) { getAllExportJobs(exportConfigurationId: $v) { id } }", customer.id),
        ("query($v: ID!) { exportJobs(exportConfigurationId: $v) { nodes { id } } }", customer.id),
        ("query($v: ID!) { getAllExportJobTasks(exportJobId: $v) { id } }", job["id"]),
        ("query($v: ID!) { exportJobTasks(exportJobId: $v) { nodes { id } } }", job["id"]),
    ):
        own.execute(query, {"v": value})
        with pytest.raises(GraphQlFailed) as failed:
            stranger.execute(query, {"v": value})
        assert failed.value.codes == ["NOT_FOUND"], query
        assert customer.id not in str(failed.value)
    # A cursor is a position, in whichever list it is used.
    query = "query($after: String) { exportConfigurations(after: $after) { edges { cursor node { id } } } }"
    (edge,) = own.execute(query)["exportConfigurations"]["edges"]
    assert stranger.execute(query, {"after": edge["cursor"]})["exportConfigurations"]["edges"] == []
    for bad in ("", "17", edge["cursor"][:-3], base64.urlsafe_b64encode(customer.tenant.name.encode()).decode()):
        with pytest.raises(GraphQlFailed) as failed:
            own.execute(query, {"after": bad})
        assert failed.value.codes == ["CURSOR_INVALID"], bad


# ----------------------------------------------------------------------------------------------------------------------
# Backlog and next export
# ----------------------------------------------------------------------------------------------------------------------


def test_the_backlog_is_what_is_not_exported(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    tenant, administrator = customer.tenant, customer.tenant.administrator
    # Disabled, so that no schedule exports it meanwhile.
    administrator.disable(customer.id)
    sent = [event_id for _ in range(10) for event_id in tenant.send(make_events(7))]
    before = fresh_outlook(administrator, customer.id)
    events, oldest = waiting(tenant, before["startFrom"])
    assert events >= len(sent)
    assert (before["backlog"]["events"], before["backlog"]["isComplete"]) == (events, True)
    assert moment(before["backlog"]["oldest"]) == oldest

    administrator.enable(customer.id)
    # The event of enabling it settles as well.
    tenant.last_sent = time.monotonic()
    customer.run_export(sent)
    empty = fresh_outlook(administrator, customer.id)["backlog"]
    assert (empty["events"], empty["oldest"], empty["isComplete"]) == (0, None, True)

    # Between two windows: one that is open now would stay open until it is enabled again.
    administrator.disable(customer.id)
    tenant.send(make_events(3))
    after = fresh_outlook(administrator, customer.id)
    events, _ = waiting(tenant, after["exportedThrough"])
    assert events >= 3
    assert after["backlog"]["events"] == events
    wait_for_a_new_count()
    query = "mutation($id: ID!) { deleteExportConfiguration(id: $id) { backlog { events isComplete } } }"
    deleted = administrator.execute(query, {"id": customer.id})["deleteExportConfiguration"]
    # The event of the deletion is included.
    assert deleted["backlog"] == {"events": waiting(tenant, after["exportedThrough"])[0], "isComplete": True}


def test_the_next_export_is_shown_unless_it_is_disabled(customers: CustomerFactory) -> None:
    customer = customers.with_role(create_role=False)
    administrator = customer.tenant.administrator
    asked_at = datetime.datetime.now(datetime.UTC)
    next_export_at = moment(outlook(administrator, customer.id)["nextExportAt"])
    answered_at = datetime.datetime.now(datetime.UTC)
    boundary = next_export_at.timestamp() - SLOT_SETTLE_SECONDS
    assert boundary % SLOT_SECONDS == 0
    assert moment(customer.configuration["startFrom"]).timestamp() < boundary
    assert asked_at < next_export_at
    assert (next_export_at - answered_at).total_seconds() <= SLOT_SECONDS + SLOT_SETTLE_SECONDS
    administrator.disable(customer.id)
    assert outlook(administrator, customer.id)["nextExportAt"] is None


@pytest.mark.requires("iam enforcement")
def test_the_api_may_count_events_and_not_read_them(stack: Stack, customers: CustomerFactory) -> None:
    """Tests the policies of the api's role with a user, because a test can't assume a function's role."""
    customer = customers.with_role(create_role=False)
    customer.tenant.send(make_events(2))
    partition = customer.tenant.stored_blocks()[0]["partition"]["S"]
    iam = stack.client("iam")
    role = stack.client("lambda").get_function_configuration(FunctionName=stack.functions["api"])["Role"].split("/")[-1]
    user = f"like-the-api-{uuid.uuid4().hex[:12]}"
    iam.create_user(UserName=user)
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    customers.record.secrets.add(key["SecretAccessKey"])
    events = stack.client("dynamodb", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    request = {
        "TableName": stack.tables["events"],
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "partition"},
        "ExpressionAttributeValues": {":p": {"S": partition}},
    }
    counting = {"Select": "SPECIFIC_ATTRIBUTES", "ProjectionExpression": "blockId, eventCount"}
    (found, *_) = events.query(**(request | counting))["Items"]
    assert set(found) == {"blockId", "eventCount"}
    for reading in (
        {},
        {"Select": "ALL_ATTRIBUTES"},
        {"Select": "SPECIFIC_ATTRIBUTES", "ProjectionExpression": "blockId, block"},
        {"ProjectionExpression": "block"},
        {
            "ProjectionExpression": "blockId, #b",
            "ExpressionAttributeNames": {"#p": "partition", "#b": "block"},
        },
    ):
        with pytest.raises(ClientError) as denied:
            events.query(**(request | reading))
        assert denied.value.response["Error"]["Code"] == "AccessDeniedException", reading
    key_of_block = {"partition": {"S": partition}, "blockId": found["blockId"]}
    reads: list[Callable[[], Any]] = [
        lambda: events.get_item(TableName=stack.tables["events"], Key=key_of_block, ProjectionExpression="blockId"),
        lambda: events.scan(TableName=stack.tables["events"], ProjectionExpression="blockId"),
    ]
    for read in reads:
        with pytest.raises(ClientError) as denied:
            read()
        assert denied.value.response["Error"]["Code"] == "AccessDeniedException"
