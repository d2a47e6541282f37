"""The exporter is killed with SIGKILL at random moments, at least 100 times, while it exports 200,000 events. Afterwards the
bucket is exactly right: every event once and in order, no object written twice, and the chain of digests verifies.

The process is the deployed program with the deployed configuration and role (exporter_process.py); everything else is the
running stack. `CRASH_SEED=…` repeats the moments of a run, as far as the timing of a process can be repeated.
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
from collections.abc import Callable
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
# The limit of exports. Each is killed until it completes; some take more kills than others.
MAX_EXPORTS = 120
# Far longer than an undisturbed run takes.
RUN_SECONDS = 180
# The limit of kills of one run, so that the test ends whatever the moments are.
ATTEMPTS_OF_ONE = 40
GENERATE_SECONDS = 180
SEND_SECONDS = 360
# The first test took 6 minutes on two processors, beside the others.
TEST_SECONDS = 2_400
# The share of kills after which another invocation asks for the run.
SHARE_OF_STRANGERS = 0.1
# The share of moments drawn by time. The others are drawn by request, so that short steps are hit as well.
SHARE_BY_TIME = 0.75
# Moments are drawn over more than the duration of an undisturbed run, so that its last steps are hit.
OVERTIME = 1.1
# A request and its response take a few milliseconds.
MAX_DELAY_SECONDS = 0.01
UNDISTURBED = Moment(RUN_SECONDS)
# The longest time until another process receives the message of a killed one.
WORST_SILENCE_SECONDS = 120
# After this many requests a run has hidden its message and holds the lease.
REQUESTS_BEFORE_KILL = 8
LONG_POLL_SECONDS = 5
# The time that a poll may take longer than that on a slow machine. The queue's own timeout is far longer.
SLOW_POLL_SECONDS = 60
PROCESSED: dict[str, list[Any]] = {"batchItemFailures": []}

Items = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Stored:
    """The content of the tenant's blocks, inflated by zlib instead of the service's code."""

    raw_length: int
    raw_sha256: str
    through: str
    """The end of a window that contains all events."""
    cuts: list[str]
    """Possible ends of windows in between: the time at which each block was received."""


def assert_processed(outcome: Outcome | None) -> None:
    """Asserts that the exporter has reported its message as processed."""
    assert outcome is not None
    assert (outcome.kind, json.loads(outcome.body)) == (OutcomeKind.RESPONSE, PROCESSED)


@dataclass
class Crashes:
    """Consecutive exports, and statistics of their kills."""

    stack: Stack
    exporter: Exporter
    chance: random.Random
    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    strangers: int = 0

    def export(self, customer: Customer, through: str) -> tuple[float, int]:
        """Exports undisturbed; returns the duration in seconds, including the start of the process, and the number of requests."""
        began = time.monotonic()
        payload = as_batch(customer.run_request(through))
        outcome, requests = self.exporter.invoke(self.exporter.invocation(payload), UNDISTURBED)
        assert_processed(outcome)
        return time.monotonic() - began, requests

    def export_with_kills(self, customer: Customer, through: str, moment: Callable[[], Moment]) -> float | None:
        """Exports with a kill at each of these moments, until the run completes before one of them.

        Returns the duration in seconds if the first attempt completed.
        """
        # The lease lasts 90 s and identifies its holder by the invocation's request id. With the same id the next process
        # gets it at once, as a retry of the invocation would.
        invocation = self.exporter.invocation(as_batch(customer.run_request(through)))
        before = self.items(customer)
        for attempt in range(ATTEMPTS_OF_ONE):
            # The last attempt is not killed.
            began = time.monotonic()
            outcome, _ = self.exporter.invoke(invocation, moment() if attempt < ATTEMPTS_OF_ONE - 1 else UNDISTURBED)
            duration = time.monotonic() - began
            after = self.items(customer)
            if outcome is not None:
                assert_processed(outcome)
                assert not is_leased(after)
                return None if attempt else duration
            self.kills[place(before, after)] += 1
            if is_leased(after) and self.chance.random() < SHARE_OF_STRANGERS:
                after = self.let_a_stranger_try(customer, through, after)
            before = after
        raise AssertionError(f"no answer in {RUN_SECONDS} s")

    def let_a_stranger_try(self, customer: Customer, through: str, before: Items) -> Items:
        """Checks that an invocation with another request id leaves the run to the killed holder of the lease."""
        payload = as_batch(customer.run_request(through))
        outcome, _ = self.exporter.invoke(self.exporter.invocation(payload), UNDISTURBED)
        assert_processed(outcome)
        after = self.items(customer)
        noted = {"rerunThrough": {"S": through}}
        assert after == before | {"state": before["state"] | noted}
        self.strangers += 1
        return after

    def items(self, customer: Customer) -> Items:
        """Returns the configuration's items in the runs table, by name."""
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
    """Names the step that a process had reached when it was killed."""
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
def test_an_exporter_killed_at_random_moments(
    stack: Stack,
    customers: CustomerFactory,
    command: Path,
    dev_tools: Path,
    record: Record,
    tenant: Tenant,
    tmp_path: Path,
) -> None:
    began = time.monotonic()
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(2**32))
    print(f"\nCRASH_SEED={seed}")
    chance = random.Random(seed)
    stored = send(stack, command, dev_tools, tenant, tmp_path)
    report_progress(began, f"{EVENTS:,} events are stored")

    account = customers.account(ROLE_ACCOUNT)
    account.s3.put_bucket_versioning(Bucket=account.bucket, VersioningConfiguration={"Status": "Enabled"})
    verifier = Verifier.create(stack, command, tmp_path)
    log = tmp_path / "exporter.log"
    crashes = Crashes(stack, Exporter.deployed(stack, log), chance)
    with contextlib.ExitStack() as stack_of_configurations:

        def customer(path: str) -> Customer:
            # With a role: a configuration with an access key is tested when it is created, which would start the export on
            # the stack's exporter.
            made = customers.with_role(
                tenant=tenant, account=replace(account, path=path), interval="EVERY_24_HOURS", startFrom="earliest"
            )
            # The schedule must not run it once it fires again.
            stack_of_configurations.callback(tenant.administrator.delete, made.id)
            return made

        exported = [customer("undisturbed")]
        duration, requests = crashes.export(exported[0], stored.through)
        report_progress(began, f"an undisturbed run takes {duration:.2f} s and {requests} requests")

        def moment() -> Moment:
            if chance.random() < SHARE_BY_TIME:
                return Moment(chance.uniform(0, OVERTIME * duration))
            return Moment(RUN_SECONDS, chance.randint(1, requests), chance.uniform(0, MAX_DELAY_SECONDS))

        while crashes.kills.total() < KILLS:
            assert len(exported) <= MAX_EXPORTS, crashes.kills
            made = customer(f"killed-{len(exported):02}")
            # One window or two, so that the chain of digests is tested as well.
            cuts = chance.sample(stored.cuts, chance.randint(0, 1))
            for through in [*cuts, stored.through]:
                completed = crashes.export_with_kills(made, through, moment)
                if completed is not None and not cuts:
                    # If the machine is faster than during the first run, later moments would kill nothing.
                    duration = min(duration, completed)
            exported.append(made)
        report_progress(
            began, f"{crashes.kills.total()} kills in {len(exported) - 1} exports, {crashes.strangers} strangers"
        )
        for place, count in sorted(crashes.kills.items()):
            print(f"  {count:4} times {place[2:]}")

        for made in exported:
            assert_exactly_right(made, stored)
            status, report = verifier.bucket(made.account, made.id, "--deep", "--expect-through", stored.through)
            assert (status, report["verdict"], report["isWhole"]) == (COMPLETE, "COMPLETE", True), report
            assert report["objects"]["events"] == EVENTS
        assert_nothing_written_twice(account, len(exported))
    # The process's log is searched for secrets as well.
    record.answers.append(log.read_text())
    report_progress(began, "everything is exactly right")


@pytest.mark.timeout(TEST_SECONDS)
def test_the_message_of_a_killed_exporter_shows_again_within_two_minutes(
    stack: Stack, customers: CustomerFactory, record: Record, tmp_path: Path
) -> None:
    customer = customers.with_role(interval="EVERY_24_HOURS", startFrom="earliest")
    # A queue like the stack's runs queue, but without its exporter: only this test receives from it.
    sqs = stack.client("sqs")
    deployed = sqs.get_queue_attributes(QueueUrl=stack.queues["runs"], AttributeNames=["VisibilityTimeout"])
    hidden = deployed["Attributes"]["VisibilityTimeout"]
    queue = sqs.create_queue(QueueName=f"killed-{uuid.uuid4()}", Attributes={"VisibilityTimeout": hidden})["QueueUrl"]
    try:
        time.sleep(SETTLE_SECONDS)
        through = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=SETTLE_SECONDS)
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(customer.run_request(timestamp(through))))
        log = tmp_path / "exporter.log"
        # The role may only change messages of the stack's queues.
        root = account_root(stack.account)
        credentials = {"AWS_ACCESS_KEY_ID": root.access_key_id, "AWS_SECRET_ACCESS_KEY": root.secret_access_key}
        exporter = Exporter.deployed(stack, log)
        environment = exporter.environment | credentials | {"MANUAL_RUN_QUEUE_URL": queue}
        environment.pop("AWS_SESSION_TOKEN")
        exporter = replace(exporter, environment=environment)

        first = receive(sqs, queue, SLOW_POLL_SECONDS)
        moment = Moment(RUN_SECONDS, REQUESTS_BEFORE_KILL, is_exact=True)
        outcome, _ = exporter.invoke(exporter.invocation(first), moment)
        killed = time.monotonic()
        items = Crashes(stack, exporter, random.Random()).items(customer)
        assert outcome is None, outcome
        assert is_leased(items), items

        # A long poll that started earlier may end without the message.
        longest = WORST_SILENCE_SECONDS + LONG_POLL_SECONDS + SLOW_POLL_SECONDS
        assert int(hidden) > longest
        second = receive(sqs, queue, longest)
        assert time.monotonic() - killed <= longest
        assert second["Records"][0]["messageId"] == first["Records"][0]["messageId"]
        # The lease has expired by then, so the run continues at once.
        outcome, _ = exporter.invoke(exporter.invocation(second), UNDISTURBED)
        assert_processed(outcome)
        text = log.read_text()
        assert '"alarm":"RUN_CRASHED"' in text
        record.answers.append(text)
    finally:
        sqs.delete_queue(QueueUrl=queue)


def receive(sqs: Any, queue: str, seconds: float) -> dict[str, Any]:
    """Waits for the next message; returns it as Lambda passes it to the function."""
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


def report_progress(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s: {text}", flush=True)


def send(stack: Stack, command: Path, dev_tools: Path, tenant: Tenant, directory: Path) -> Stored:
    """Sends the events and waits until all of them can be exported."""
    events, token = directory / "events.ndjson", directory / "token"
    token.touch(mode=0o600)
    token.write_text(tenant.write_token)
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    with events.open("wb") as output:
        subprocess.run(
            [
                dev_tools, "events", "generate", "--tenant", tenant.name, "--count", str(EVENTS),
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
    """Asserts that the export equals the stored bytes: every event once, and in order."""
    length, digest = 0, hashlib.sha256()
    for key in customer.account.data_keys(customer.id):
        raw = gzip.decompress(customer.account.download(key))
        length += len(raw)
        digest.update(raw)
    assert (length, digest.hexdigest()) == (stored.raw_length, stored.raw_sha256), customer.account.path


def assert_nothing_written_twice(account: CustomerAccount, exports: int) -> None:
    """Asserts that the versioned bucket has one version of every object, the marker of connection tests included.

    An export has at least an object, a digest and its signature.
    """
    pages = account.s3.get_paginator("list_object_versions").paginate(Bucket=account.bucket)
    found = [(entry["Key"], entry) for page in pages for entry in page.get("Versions", [])]
    assert all(entry["VersionId"] != "null" for _, entry in found)
    versions = collections.Counter(key for key, _ in found)
    assert len(versions) > 3 * exports
    assert {key: count for key, count in versions.items() if count > 1} == {}
