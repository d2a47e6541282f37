"""The tenants and customers of the end-to-end tests, each of which belongs to one test, and the record of every secret used and
every answer received.

Nothing here stands in for a part of the service: every answer comes from the deployed functions.
"""

from __future__ import annotations

import datetime
import json
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from infra.local.emulators.interface import Capability
from infra.local.settings import REGION, TOKEN_AUDIENCE, TOKEN_ISSUER
from infra.local.stack import (
    CHANGES,
    REQUEST_TIMEOUT_SECONDS,
    Administrator,
    Credentials,
    CustomerAccount,
    Stack,
    wait_until,
)

ROLE_ACCOUNT = "222222222222"
KEY_ACCOUNT = "333333333333"
SHARDS = 16
# The local stack settles for 3 s: a run exports events that were received before that.
SETTLE_SECONDS = 3.5
# The slots of the local stack, whatever the interval.
SLOT_SECONDS = 10
# An export takes about a second. A run that fails for a moment is tried again after up to 20 s and up to 40 s, and a Region that
# did not answer is left alone for up to 90 s: the limit covers them on a slow machine.
EXPORT_TIMEOUT_SECONDS = 180
# The limit for everything else that happens by itself within seconds: log lines, messages of queues, states of alarms.
PATIENCE_SECONDS = 120
# BACKLOG_FRESHNESS in functions/api/src/service/backlog.rs: the time for which the last count is returned.
BACKLOG_FRESHNESS_SECONDS = 10
MINUTE_SECONDS = 60
# The time before midnight UTC in which no test starts that expects one object: an object has events of one day only.
NEAR_MIDNIGHT_SECONDS = 60
DAY_SECONDS = 24 * 3_600
TOKEN_LIFETIME_SECONDS = 3_600
# What an answer of FilterLogEvents has at most.
LOG_EVENTS_AT_A_TIME = 10_000


@dataclass
class Record:
    """The secrets in use, and everything that the service returned."""

    secrets: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)

    def keep(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self.answers.append(f"{dict(answer.headers)}\n{answer.text}")

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"secrets": sorted(self.secrets), "answers": self.answers}))

    def add(self, path: Path) -> None:
        kept = json.loads(path.read_text())
        self.secrets.update(kept["secrets"])
        self.answers.extend(kept["answers"])


@dataclass
class TokenFactory:
    """Signs valid and invalid tokens with the key of the local stack."""

    record: Record
    private_key: str = field(repr=False)
    key_id: str

    def claims(self, tenant: Any, permissions: Any, **changes: Any) -> dict[str, Any]:
        """Returns the claims of a valid token with `changes`; None removes a claim."""
        now = int(time.time())
        claims = {
            "iss": TOKEN_ISSUER,
            "aud": TOKEN_AUDIENCE,
            "sub": "administrator@example.com",
            "iat": now,
            "exp": now + TOKEN_LIFETIME_SECONDS,
            "tenant_id": tenant,
            "permissions": permissions,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], headers: dict[str, Any] | None = None) -> str:
        token = jwt.encode(claims, self.private_key, "ES256", {"kid": self.key_id} | (headers or {}))
        return self.remember(token)

    def remember(self, token: str) -> str:
        self.record.secrets.add(token)
        return token

    def __call__(self, tenant: str, *permissions: str, **changes: Any) -> str:
        return self.sign(self.claims(tenant, list(permissions), **changes))


def make_events(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": str(uuid.uuid4()),
            "action": "QUERY",
            "actionStatus": "SUCCESS",
            "actor": {"id": "u-1", "name": "Zoë O'Brien", "type": "USER_ACTOR"},
            "eventTimestamp": "2026-03-01T12:00:00.000Z",
            "targets": [{"id": number, "type": "DATASOURCE"}],
        }
        | changes
        for number in range(count)
    ]


def is_change(event: dict[str, Any]) -> bool:
    """Checks whether the service wrote the event for a change to a configuration. Such events are stored among the sent ones."""
    return event.get("targetType") == CHANGES


def pass_midnight() -> None:
    """Waits for the next day (UTC) if it begins soon."""
    left = DAY_SECONDS - time.time() % DAY_SECONDS
    if left < NEAR_MIDNIGHT_SECONDS:
        time.sleep(left)


def wait_for_a_new_slot() -> None:
    """Waits until a slot begins.

    A connection test that succeeds after a failure, or as the first, starts the export that is due. Nothing is due for a
    configuration of this slot until the slot has ended and settled.
    """
    time.sleep(SLOT_SECONDS - time.time() % SLOT_SECONDS)


def wait_for_a_new_count() -> None:
    """Waits until the next request counts a backlog: the last count is old by then, and the allowance of counts is unused."""
    time.sleep(max(BACKLOG_FRESHNESS_SECONDS + 1, MINUTE_SECONDS - time.time() % MINUTE_SECONDS))


def log_lines(stack: Stack, *words: str) -> list[dict[str, Any]]:
    """Returns the log lines of the functions that contain all of `words`, the oldest first."""
    text = Path(stack.description["logs"]).read_text(errors="replace")
    lines = (line for line in text.splitlines() if all(word in line for word in words))
    found = []
    for line in lines:
        _, brace, rest = line.partition("{")
        try:
            found.append(json.loads(brace + rest))
        # The line is not of a function, or not complete yet.
        except ValueError:
            continue
    return found


def log_group(stack: Stack, function: str) -> str:
    """Returns the name of a function's log group."""
    return f"/audit-export/{stack.description['stackName']}/{function}"


def lines_of_log_group(stack: Stack, group: str, since_milliseconds: int = 0) -> list[str]:
    """Returns the lines of a log group that are at least as new, the oldest first.

    An answer has at most the oldest 10,000 events; MiniStack gives no token for the rest, so the search goes on at the last.
    """
    paginator = stack.client("logs").get_paginator("filter_log_events")
    found: list[dict[str, Any]] = []
    while True:
        pages = paginator.paginate(logGroupName=group, startTime=since_milliseconds)
        events = [event for page in pages for event in page["events"]]
        found = [event for event in found if event["timestamp"] < since_milliseconds] + events
        if len(events) < LOG_EVENTS_AT_A_TIME:
            return [line for event in found for line in event["message"].splitlines()]
        assert events[-1]["timestamp"] > since_milliseconds, f"{group} has too many events of one millisecond"
        since_milliseconds = events[-1]["timestamp"]


@contextmanager
def changed_variables(stack: Stack, *functions: str) -> Iterator[Callable[[dict[str, str]], None]]:
    """Yields a function that sets variables of deployed functions, as a deployment does, and restores them at the end."""
    client = stack.client("lambda")
    names = [stack.functions[name] for name in functions]
    before = {name: client.get_function_configuration(FunctionName=name)["Environment"]["Variables"] for name in names}

    def change(variables: dict[str, str]) -> None:
        for name in names:
            client.update_function_configuration(FunctionName=name, Environment={"Variables": before[name] | variables})
            client.get_waiter("function_updated_v2").wait(FunctionName=name)

    try:
        yield change
    finally:
        change({})


def create_queue(sqs: Any, prefix: str, service: str, condition: dict[str, Any] | None = None) -> tuple[str, str]:
    """Creates a queue that a service of AWS may send to. Returns its URL and its ARN."""
    url = sqs.create_queue(QueueName=f"{prefix}-{uuid.uuid4().hex[:12]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    } | ({"Condition": condition} if condition else {})
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn


@contextmanager
def messages_of_the_alarms_topic(stack: Stack) -> Iterator[Callable[[], list[str]]]:
    """Subscribes a queue to the topic. Yields a function that returns the texts of all messages so far."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    cloudformation = stack.client("cloudformation")
    (described,) = cloudformation.describe_stacks(StackName=stack.description["stackName"])["Stacks"]
    topic = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}["AlarmTopicArn"]
    url, arn = create_queue(sqs, "alarms", "sns.amazonaws.com", {"ArnEquals": {"aws:SourceArn": topic}})
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    texts: list[str] = []

    def receive() -> list[str]:
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in batch:
                texts.append(json.loads(message["Body"])["Message"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return texts

    try:
        yield receive
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)


def to_lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@dataclass
class Tenant:
    """A tenant that only one test uses. Sends events, administers exports, and reads what is stored."""

    stack: Stack
    http: requests.Session
    name: str
    write_token: str = field(repr=False)
    administrator: Administrator
    last_sent: float = 0.0

    def post_events(
        self, body: bytes, content_type: str | None = "application/x-ndjson", **headers: str
    ) -> requests.Response:
        """Posts any body. Underscores in the names of `headers` stand for hyphens."""
        sent = {"authorization": f"Bearer {self.write_token}"}
        if content_type is not None:
            sent["content-type"] = content_type
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.post(self.stack.events_url, data=body, headers=sent, timeout=REQUEST_TIMEOUT_SECONDS)
        self.last_sent = time.monotonic()
        return answer

    def send(self, events: list[dict[str, Any]]) -> list[str]:
        """Sends valid events; returns their ids."""
        answer = self.post_events(to_lines(events))
        assert (answer.status_code, answer.json()) == (202, {"accepted": len(events)}), answer.text
        return [event["id"] for event in events]

    def stored_blocks(self) -> list[dict[str, Any]]:
        """Returns the tenant's blocks, sorted by id. Those of changes to configurations are included."""
        client = self.stack.client("dynamodb")
        blocks: list[dict[str, Any]] = []
        for shard in range(SHARDS):
            pages = client.get_paginator("query").paginate(
                TableName=self.stack.tables["events"],
                KeyConditionExpression="#p = :p",
                ExpressionAttributeNames={"#p": "partition"},
                ExpressionAttributeValues={":p": {"S": f"{self.name}#{shard:02}"}},
                ConsistentRead=True,
            )
            blocks.extend(item for page in pages for item in page["Items"])
        return sorted(blocks, key=lambda item: item["blockId"]["S"])

    def stored_events(self) -> list[dict[str, Any]]:
        """Returns the stored events that were sent."""
        return [event for event in self._stored() if not is_change(event)]

    def stored_changes(self) -> list[dict[str, Any]]:
        """Returns the stored events that the service wrote for changes to configurations."""
        return [event for event in self._stored() if is_change(event)]

    def stored_lines(self) -> list[bytes]:
        """Returns the lines in the tenant's blocks, inflated by zlib instead of the service's code."""
        raw = b"".join(zlib.decompressobj(-15).decompress(item["block"]["B"]) for item in self.stored_blocks())
        return raw.splitlines()

    def _stored(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stored_lines()]

    def stored_ids(self) -> list[str]:
        return [event["id"] for event in self.stored_events()]


@dataclass
class Customer:
    """A tenant with an account, a bucket and a configuration."""

    tenant: Tenant
    account: CustomerAccount
    configuration: dict[str, Any]
    role_name: str | None = None
    credentials: Credentials | None = None

    @property
    def access_key(self) -> Credentials:
        """The access key; fails for a customer with a role."""
        assert self.credentials is not None
        return self.credentials

    @property
    def id(self) -> str:
        return self.configuration["id"]

    @property
    def stack(self) -> Stack:
        return self.tenant.stack

    def stored(self) -> dict[str, Any]:
        """Returns the configuration's item in the table; empty if it was deleted."""
        key = {"tenantId": {"S": self.tenant.name}, "id": {"S": self.id}}
        table = self.stack.tables["configurations"]
        return self.stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})

    def run_items(self) -> dict[str, dict[str, Any]]:
        """Returns the configuration's items in the runs table, by name."""
        pages = (
            self.stack.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.stack.tables["runs"],
                KeyConditionExpression="#run = :run",
                ExpressionAttributeNames={"#run": "run"},
                ExpressionAttributeValues={":run": {"S": f"{self.tenant.name}#{self.id}"}},
                ConsistentRead=True,
            )
        )
        return {item["item"]["S"]: item for page in pages for item in page["Items"]}

    def exported(self) -> list[dict[str, Any]]:
        """Returns the events in the bucket that were sent, in the order of the objects and their lines."""
        return [event for event in self._exported() if not is_change(event)]

    def exported_changes(self) -> list[dict[str, Any]]:
        """Returns the events in the bucket that the service wrote for changes to configurations."""
        return [event for event in self._exported() if is_change(event)]

    def _exported(self) -> list[dict[str, Any]]:
        lines = [
            line
            for key in self.account.data_keys(self.id)
            for line in zlib.decompress(self.account.download(key), wbits=31).splitlines()
        ]
        return [json.loads(line) for line in lines]

    def exported_ids(self) -> list[str]:
        return [event["id"] for event in self.exported()]

    def settle(self, after_seconds: float = SETTLE_SECONDS) -> None:
        """Waits until the events that were sent can be exported."""
        time.sleep(max(0.0, self.tenant.last_sent + after_seconds - time.monotonic()))

    def settled_through(self) -> str:
        """Waits until the events that were sent have settled; returns the end of a window that contains all of them."""
        self.settle()
        through = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=SETTLE_SECONDS)
        return through.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def run_export(
        self, expected_ids: list[str], timeout_seconds: float = EXPORT_TIMEOUT_SECONDS
    ) -> list[dict[str, Any]]:
        """Exports now, waits until the expected number of events has arrived and the run has ended, and returns the events.

        The digest of the events is in the bucket by then, too.
        """
        self.settle()
        self.tenant.administrator.run(self.id)
        self.wait_for(len(expected_ids), timeout_seconds)
        self.wait_until_at_rest()
        return self.exported()

    def is_idle(self) -> bool:
        """Checks that no run is requested or going on."""
        return "requestedThrough" not in self.stored() and "leaseHolder" not in self.run_items().get("state", {})

    def wait_until_idle(self) -> None:
        """Waits for the end of all runs that were requested, by a person or by a connection test, whether they succeed or not."""
        wait_until(self.is_idle, f"the end of the runs of {self.id}", timeout_seconds=EXPORT_TIMEOUT_SECONDS)

    def wait_until_at_rest(self) -> None:
        """Waits until no run goes on and no window is open.

        A change to a configuration interrupts a run. Its window then stays open until the next run, which a disabled
        configuration does not get.
        """
        wait_until(
            lambda: self.is_idle() and "openWindow" not in self.run_items().get("state", {}),
            f"the end of all windows of {self.id}",
            timeout_seconds=EXPORT_TIMEOUT_SECONDS,
        )

    def ended_runs(self, through: str = "") -> int:
        """Returns the number of messages for a run (up to `through`) that the exporter is done with, according to the log."""
        ends = {
            "the run is complete",
            "another run continues the export",
            "the configuration is disabled or deleted",
            "the customer has to change something",
        }
        lines = log_lines(self.stack, self.id, through)
        return sum(line.get("message") in ends and line.get("configuration") == self.id for line in lines)

    def run_request(self, through: str) -> dict[str, str]:
        """Returns a message of the run queue."""
        return {"tenantId": self.tenant.name, "configurationId": self.id, "through": through, "trigger": "MANUAL"}

    def wait_for(self, count: int, timeout_seconds: float = EXPORT_TIMEOUT_SECONDS) -> None:
        wait_until(
            lambda: len(self.exported()) >= count,
            f"{count} events in {self.account.bucket}",
            timeout_seconds=timeout_seconds,
            interval_seconds=0.5,
        )


@dataclass
class CustomerFactory:
    """Sets customers up as the documentation describes; `changes` introduces mistakes."""

    stack: Stack
    record: Record
    make_tenant: Callable[..., Tenant]

    def account(self, account: str, region: str = "us-east-1", **bucket: Any) -> CustomerAccount:
        """Creates a bucket.

        Skips the test on an emulator without checksums: it would store the bytes of every connection test, which fails then.
        """
        self.need(Capability.CHECKSUMS)
        return CustomerAccount.create(self.stack, account, region, **bucket)

    def with_role(
        self,
        *,
        tenant: Tenant | None = None,
        account: CustomerAccount | None = None,
        policy: dict[str, Any] | None = None,
        trust: Callable[[CustomerAccount, str], dict[str, Any]] | None = None,
        create_role: bool = True,
        interval: str = "EVERY_24_HOURS",
        **changes: Any,
    ) -> Customer:
        """Creates a customer with a role, whose connection isn't tested yet.

        Skips the test on an emulator without trust policies: the service would refuse every role as too open.
        """
        self.need(Capability.TRUST_POLICIES)
        account = account or self.account(ROLE_ACCOUNT, "eu-west-1", path="audit/export")
        tenant = tenant or self.make_tenant()
        role_name = f"audit-export-{uuid.uuid4().hex[:12]}"
        data = {"interval": interval, "roleArn": account.role_arn(role_name)} | account.destination | changes
        configuration = tenant.administrator.create_assumed_role(**data)
        if create_role:
            external_id = configuration["externalId"]
            document = trust(account, external_id) if trust else None
            account.create_role(role_name, external_id, policy=policy, trust=document)
        return Customer(tenant, account, configuration, role_name=role_name)

    def need(self, capability: Capability) -> None:
        if reason := self.stack.why_without(capability):
            pytest.skip(f"{capability}: {reason}")

    def user(self, account: CustomerAccount, policy: dict[str, Any] | None = None) -> Credentials:
        credentials = account.create_user(f"audit-export-{uuid.uuid4().hex[:12]}", policy=policy)
        self.record.secrets.add(credentials.secret_access_key)
        return credentials

    def with_access_key(
        self,
        *,
        tenant: Tenant | None = None,
        account: CustomerAccount | None = None,
        policy: dict[str, Any] | None = None,
        credentials: Credentials | None = None,
        interval: str = "EVERY_24_HOURS",
        **changes: Any,
    ) -> Customer:
        """Creates a customer with an access key, whose connection was tested when the configuration was created."""
        account = account or self.account(KEY_ACCOUNT)
        tenant = tenant or self.make_tenant()
        credentials = credentials or self.user(account, policy)
        self.record.secrets.add(credentials.secret_access_key)
        data = {
            "interval": interval,
            "accessKeyId": credentials.access_key_id,
            "secretAccessKey": credentials.secret_access_key,
        }
        configuration = tenant.administrator.create_access_key(**(data | account.destination | changes))
        return Customer(tenant, account, configuration, credentials=credentials)


def as_batch(request: dict[str, str]) -> dict[str, Any]:
    """Returns the event with which Lambda passes a queue's message to a function."""
    message = {
        "messageId": str(uuid.uuid4()),
        # Of no message: a failed run can't delay its next attempt, and only logs that.
        "receiptHandle": "none",
        "body": json.dumps(request),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": REGION,
    }
    return {"Records": [message]}
