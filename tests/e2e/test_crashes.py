"""The exporter is killed with SIGKILL at random moments, at least 100 times, while it exports 200,000 events. Afterwards the
bucket is exactly right: every event once and in order, no object written twice, and the chain of digests verifies.

The process is the deployed program with the deployed configuration and role (runtime_api.py); everything around it is the
running stack. `CRASH_SEED=…` replays the moments of a run, as far as a process can be made to repeat itself.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import gzip
import hashlib
import json
import os
import random
import subprocess
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from infra.local.runtime_api import Outcome, OutcomeKind
from infra.local.stack import CustomerAccount, Stack, account_root
from infra.local.verification import COMPLETE, Verifier
from tests.e2e.exporter_process import Exporter, Moment
from tests.e2e.harness import ROLE_ACCOUNT, SETTLE_SECONDS, Customer, CustomerFactory, Record, Tenant, as_batch

EVENTS = 200_000
KILLS = 100
# Each is killed until it is through; some take more kills than others.
MAX_EXPORTS = 60
# Far more than a run takes that nobody disturbs.
RUN_SECONDS = 60
# Whatever the moments: a run that is killed again and again has to end the test, not to prolong it.
ATTEMPTS_OF_ONE = 40
GENERATE_SECONDS = 60
SEND_SECONDS = 120
TEST_SECONDS = 600
# So often another invocation asks for the run whose holder was killed.
SHARE_OF_STRANGERS = 0.1
# Of the moments; the others are drawn over the requests of an undisturbed run, so that its short steps are hit as well.
SHARE_BY_TIME = 0.75
# These moments are drawn over more than the duration of an undisturbed run, or its last steps would hardly ever be hit.
OVERTIME = 1.1
# A request and its answer take a few milliseconds.
MAX_DELAY_SECONDS = 0.01
UNDISTURBED = Moment(RUN_SECONDS)
# Of a process that was killed, until another one gets its message.
WORST_SILENCE_SECONDS = 120
# By then a run has hidden its message and holds the lease.
REQUESTS_BEFORE_KILL = 8
LONG_POLL_SECONDS = 5
PROCESSED: dict[str, list[Any]] = {"batchItemFailures": []}

Items = dict[str, dict[str, Any]]


@pytest.fixture
def schedule_stands_still(stack: Stack) -> Iterator[None]:
    """Keeps the stack's own exporter away from the configurations with this interval: one process shall run them."""
    scheduler = stack.client("scheduler")
    group = stack.description["stackName"]
    names = [schedule["Name"] for schedule in scheduler.list_schedules(GroupName=group)["Schedules"]]
    [name] = [name for name in names if "Every24Hours" in name]
    schedule = scheduler.get_schedule(GroupName=group, Name=name)
    fields = ("FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression", "ScheduleExpressionTimezone", "Target")
    unchanged = {field: schedule[field] for field in fields if field in schedule}
    scheduler.update_schedule(**unchanged, State="DISABLED")
    yield
    scheduler.update_schedule(**unchanged, State="ENABLED")


@dataclass(frozen=True)
class Stored:
    """What the tenant's blocks hold, once inflated by another implementation than the service's."""

    raw_length: int
    raw_sha256: str
    through: str
    """The end of an export that has it all."""
    cuts: list[str]
    """Ends of windows in between: when each block was received."""


def assert_processed(outcome: Outcome | None) -> None:
    """Asserts that the exporter has reported its message as processed."""
    assert outcome is not None
    assert (outcome.kind, json.loads(outcome.body)) == (OutcomeKind.RESPONSE, PROCESSED)


@dataclass
class Crashes:
    """One export after the other, and what became of them."""

    stack: Stack
    exporter: Exporter
    chance: random.Random
    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    strangers: int = 0

    def export(self, customer: Customer, through: str) -> tuple[float, int]:
        """Exports undisturbed; returns how many seconds it took, the start of the process included, and its requests."""
        began = time.monotonic()
        payload = as_batch(customer.run_request(through))
        outcome, requests = self.exporter.invoke(self.exporter.invocation(payload), UNDISTURBED)
        assert_processed(outcome)
        return time.monotonic() - began, requests

    def export_with_kills(self, customer: Customer, through: str, moment: Callable[[], Moment]) -> None:
        """Exports with a kill at each of these moments, until the run answers before one of them."""
        # The lease knows its holder by the invocation's request id, and lasts 90 s. Under the same id the next process
        # gets it at once, as a retry of the invocation would.
        invocation = self.exporter.invocation(as_batch(customer.run_request(through)))
        before = self.items(customer)
        for attempt in range(ATTEMPTS_OF_ONE):
            # The last one may end in peace.
            outcome, _ = self.exporter.invoke(invocation, moment() if attempt < ATTEMPTS_OF_ONE - 1 else UNDISTURBED)
            after = self.items(customer)
            if outcome is not None:
                assert_processed(outcome)
                assert not is_leased(after)
                return
            self.kills[place(before, after)] += 1
            if is_leased(after) and self.chance.random() < SHARE_OF_STRANGERS:
                after = self.let_a_stranger_try(customer, through, after)
            before = after
        raise AssertionError(f"no answer in {RUN_SECONDS} s")

    def let_a_stranger_try(self, customer: Customer, through: str, before: Items) -> Items:
        """Under another request id, the run is left to the holder of the lease, dead as it is, until the lease ends."""
        payload = as_batch(customer.run_request(through))
        outcome, _ = self.exporter.invoke(self.exporter.invocation(payload), UNDISTURBED)
        assert_processed(outcome)
        after = self.items(customer)
        noted = {"rerunThrough": {"S": through}}
        assert after == before | {"state": before["state"] | noted}
        self.strangers += 1
        return after

    def items(self, customer: Customer) -> Items:
        """The run table's items of the configuration, by their names."""
        answer = self.stack.client("dynamodb").query(
            TableName=self.stack.tables["runs"],
            KeyConditionExpression="#r = :r",
            ExpressionAttributeNames={"#r": "run"},
            ExpressionAttributeValues={":r": {"S": f"{customer.tenant.name}#{customer.id}"}},
            ConsistentRead=True,
        )
        return {item["item"]["S"]: item for item in answer["Items"]}


def is_leased(items: Items) -> bool:
    return "leaseHolder" in items.get("state", {})


def place(before: Items, after: Items) -> str:
    """How far a process had come when it was killed."""
    if after.get("state", {}).get("fencingToken") == before.get("state", {}).get("fencingToken"):
        return "1 before it had the lease"
    windows = [sum(name.startswith("job#") for name in items) for items in (before, after)]
    if not is_leased(after):
        return "7 with the lease released"
    if windows[0] < windows[1]:
        return "6 with the cursor moved"
    if f"digest#{windows[1]:010}" in after:
        return "5 with the digest sealed"
    if intents := sum(name.startswith(f"intent#{windows[1]:010}.") for name in after):
        return f"4 with {intents} object{'s' * (intents > 1)} intended"
    return "3 with the window stored" if "openWindow" in after["state"] else "2 with the lease"


@pytest.mark.requires("quick calls")
@pytest.mark.timeout(TEST_SECONDS)
@pytest.mark.usefixtures("schedule_stands_still")
def test_an_exporter_killed_at_random_moments(
    stack: Stack,
    customers: CustomerFactory,
    command: Path,
    record: Record,
    tenant: Tenant,
    tmp_path: Path,
) -> None:
    began = time.monotonic()
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(2**32))
    print(f"\nCRASH_SEED={seed}")
    chance = random.Random(seed)
    stored = send(stack, command, tenant, tmp_path)
    tell(began, f"{EVENTS:,} events are stored")

    account = customers.account(ROLE_ACCOUNT)
    account.s3.put_bucket_versioning(Bucket=account.bucket, VersioningConfiguration={"Status": "Enabled"})
    verifier = Verifier.create(stack, command, tmp_path)
    log = tmp_path / "exporter.log"
    crashes = Crashes(stack, Exporter.deployed(stack, log), chance)
    with contextlib.ExitStack() as stack_of_configurations:

        def customer(path: str) -> Customer:
            # With a role: a connection that is tested as it is created would start the export that is due, on the stack's
            # own exporter.
            made = customers.with_role(
                tenant=tenant, account=replace(account, path=path), interval="EVERY_24_HOURS", startFrom="earliest"
            )
            # The schedule, when it goes on, shall find none of them.
            stack_of_configurations.callback(tenant.administrator.delete, made.id)
            return made

        exported = [customer("undisturbed")]
        duration, requests = crashes.export(exported[0], stored.through)
        tell(began, f"an undisturbed run takes {duration:.2f} s and {requests} requests")

        def moment() -> Moment:
            if chance.random() < SHARE_BY_TIME:
                return Moment(chance.uniform(0, OVERTIME * duration))
            return Moment(RUN_SECONDS, chance.randint(1, requests), chance.uniform(0, MAX_DELAY_SECONDS))

        while crashes.kills.total() < KILLS:
            assert len(exported) <= MAX_EXPORTS, crashes.kills
            made = customer(f"killed-{len(exported):02}")
            # In one window or in two: the chain of digests has to survive, too.
            for through in [*chance.sample(stored.cuts, chance.randint(0, 1)), stored.through]:
                crashes.export_with_kills(made, through, moment)
            exported.append(made)
        tell(began, f"{crashes.kills.total()} kills in {len(exported) - 1} exports, {crashes.strangers} strangers")
        for place, count in sorted(crashes.kills.items()):
            print(f"  {count:4} times {place[2:]}")

        for made in exported:
            assert_exactly_right(made, stored)
            status, report = verifier.bucket(made.account, made.id, "--deep", "--expect-through", stored.through)
            assert (status, report["verdict"], report["isWhole"]) == (COMPLETE, "COMPLETE", True), report
            assert report["objects"]["events"] == EVENTS
        assert_nothing_written_twice(account, len(exported))
    # The process's own words are answers too.
    record.answers.append(log.read_text())
    tell(began, "everything is exactly right")


@pytest.mark.timeout(TEST_SECONDS)
@pytest.mark.usefixtures("schedule_stands_still")
def test_the_message_of_a_killed_exporter_shows_again_within_two_minutes(
    stack: Stack, customers: CustomerFactory, record: Record, tmp_path: Path
) -> None:
    customer = customers.with_role(interval="EVERY_24_HOURS", startFrom="earliest")
    # A queue like that of the stack, but without its exporter: what is received here is for this test's process alone.
    sqs = stack.client("sqs")
    deployed = sqs.get_queue_attributes(QueueUrl=stack.queues["runs"], AttributeNames=["VisibilityTimeout"])
    hidden = deployed["Attributes"]["VisibilityTimeout"]
    assert int(hidden) > WORST_SILENCE_SECONDS
    queue = sqs.create_queue(QueueName=f"killed-{uuid.uuid4()}", Attributes={"VisibilityTimeout": hidden})["QueueUrl"]
    try:
        time.sleep(SETTLE_SECONDS)
        through = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=SETTLE_SECONDS)
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(customer.run_request(timestamp(through))))
        log = tmp_path / "exporter.log"
        # The role may change messages of the stack's own queues only.
        root = account_root(stack.account)
        credentials = {"AWS_ACCESS_KEY_ID": root.access_key_id, "AWS_SECRET_ACCESS_KEY": root.secret_access_key}
        exporter = Exporter.deployed(stack, log)
        environment = exporter.environment | credentials | {"MANUAL_RUN_QUEUE_URL": queue}
        environment.pop("AWS_SESSION_TOKEN")
        exporter = replace(exporter, environment=environment)

        first = receive(sqs, queue, 0)
        outcome, _ = exporter.invoke(exporter.invocation(first), Moment(RUN_SECONDS, REQUESTS_BEFORE_KILL))
        killed = time.monotonic()
        items = Crashes(stack, exporter, random.Random()).items(customer)
        assert outcome is None, outcome
        assert is_leased(items), items

        # A long poll that began before may end without the message.
        second = receive(sqs, queue, WORST_SILENCE_SECONDS + LONG_POLL_SECONDS)
        assert time.monotonic() - killed <= WORST_SILENCE_SECONDS + LONG_POLL_SECONDS
        assert second["Records"][0]["messageId"] == first["Records"][0]["messageId"]
        # The lease has expired by then: the run goes on at once.
        outcome, _ = exporter.invoke(exporter.invocation(second), UNDISTURBED)
        assert_processed(outcome)
        text = log.read_text()
        assert '"alarm":"RUN_CRASHED"' in text
        record.answers.append(text)
    finally:
        sqs.delete_queue(QueueUrl=queue)


def receive(sqs: Any, queue: str, seconds: float) -> dict[str, Any]:
    """The next message, as Lambda hands it to the function; waits so long for it."""
    deadline = time.monotonic() + seconds
    while True:
        found = sqs.receive_message(
            QueueUrl=queue, WaitTimeSeconds=LONG_POLL_SECONDS, MessageSystemAttributeNames=["ApproximateReceiveCount"]
        ).get("Messages", [])
        if found:
            [message] = found
            batch = as_batch(json.loads(message["Body"]))
            batch["Records"][0] |= {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "attributes": message["Attributes"],
            }
            return batch
        assert time.monotonic() < deadline, f"no message in {seconds} s"


def tell(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s: {text}", flush=True)


def send(stack: Stack, command: Path, tenant: Tenant, directory: Path) -> Stored:
    """Sends the events and waits until an export can have them all."""
    events, token = directory / "events.ndjson", directory / "token"
    token.touch(mode=0o600)
    token.write_text(tenant.write_token)
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    with events.open("wb") as output:
        subprocess.run(
            [
                command, "events", "generate", "--tenant", tenant.name, "--count", str(EVENTS),
                "--seed", str(random.randrange(2**32)), "--start", start.isoformat(timespec="seconds"),
            ],
            stdout=output, check=True, timeout=GENERATE_SECONDS,
        )  # fmt: skip
    subprocess.run(
        [command, "events", "send", events, "--url", stack.api_url, "--token-file", token],
        stdout=subprocess.DEVNULL, check=True, timeout=SEND_SECONDS,
    )  # fmt: skip
    time.sleep(SETTLE_SECONDS)
    through = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=SETTLE_SECONDS)
    blocks = tenant.stored_blocks()
    raw = b"".join(inflate(block["block"]["B"]) for block in blocks)
    with events.open("rb") as lines:
        sent = {json.loads(line)["id"] for line in lines}
    received = [json.loads(line)["id"] for line in raw.splitlines()]
    assert len(sent) == len(received) == EVENTS
    assert set(received) == sent
    cuts = [received_at(block["blockId"]["S"]) for block in blocks[1:]]
    return Stored(len(raw), hashlib.sha256(raw).hexdigest(), timestamp(through), cuts)


def timestamp(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def received_at(block_id: str) -> str:
    """The time in a ULID: its first ten characters, in Crockford's base 32, count milliseconds."""
    milliseconds = 0
    for character in block_id[:10]:
        milliseconds = milliseconds * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    return timestamp(datetime.datetime.fromtimestamp(milliseconds / 1_000, datetime.UTC))


def inflate(block: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(block)


def assert_exactly_right(customer: Customer, stored: Stored) -> None:
    """Not a byte differs from what was stored: so every event is there once, and in order."""
    length, digest = 0, hashlib.sha256()
    for key in customer.account.data_keys(customer.id):
        raw = gzip.decompress(customer.account.download(key))
        length += len(raw)
        digest.update(raw)
    assert (length, digest.hexdigest()) == (stored.raw_length, stored.raw_sha256), customer.account.path


def assert_nothing_written_twice(account: CustomerAccount, exports: int) -> None:
    """The bucket keeps every version of every object: there is one of each, the connection tests' marker included.
    An export has at least one object, a digest and its signature."""
    pages = account.s3.get_paginator("list_object_versions").paginate(Bucket=account.bucket)
    found = [(entry["Key"], entry) for page in pages for entry in page.get("Versions", [])]
    assert all(entry["VersionId"] != "null" for _, entry in found)
    versions = collections.Counter(key for key, _ in found)
    assert len(versions) > 3 * exports
    assert {key: count for key, count in versions.items() if count > 1} == {}
