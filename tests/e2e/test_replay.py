"""Replays: a past period is exported again under a path of its own, and neither export disturbs the other."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import CustomerAccount, Stack
from infra.local.verification import COMPLETE, Verifier, download
from tests.e2e.harness import (
    SETTLE_SECONDS,
    SLOT_SECONDS,
    Customer,
    CustomerFactory,
    Record,
    changed_variables,
    log_lines,
    make_events,
)
from tests.e2e.test_archive import READ_FROM_TABLE_SECONDS, SHORT_SPANS, archive, delete_blocks
from tests.e2e.test_cli import CONNECTION_FAILED, NOT_FOUND, REFUSED, UNKNOWN_ID, CommandLine

PATH = "replays/siem"
# Two replays of a period have two paths.
SECOND_PATH = f"{PATH}-2"
# The command has to end before the harness ends it.
WAIT = ["--wait", "--timeout", "100s"]
EVENTS_OF_A_BATCH = 20


def boundary(seconds: float) -> str:
    """Returns a time in the notation of the API."""
    time_of = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return time_of.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclasses.dataclass
class Period:
    """A disabled export of several windows, and a period that contains all of them but the last."""

    customer: Customer
    start: str
    end: str

    @property
    def arguments(self) -> list[str]:
        return ["--from", self.start, "--to", self.end, "--bucket-path", PATH]

    def replayed(self) -> CustomerAccount:
        """Returns the account with the path of the replay."""
        return dataclasses.replace(self.customer.account, path=PATH)

    def main_objects(self) -> dict[str, str]:
        """Returns all objects of the export itself with their entity tags."""
        prefix = self.customer.account.prefix
        return {entry["Key"]: entry["ETag"] for entry in self.customer.account.objects(prefix)}

    def main_items(self) -> dict[str, dict[str, Any]]:
        """Returns the items of the export's own runs."""
        items = self.customer.run_items()
        return {name: item for name, item in items.items() if not name.startswith("replay#")}

    def main_configuration(self) -> dict[str, Any]:
        """Returns the item of the configuration without the count of requests for replays."""
        return {name: value for name, value in self.customer.stored().items() if name != "replayRequests"}


@pytest.fixture
def exported(customers: CustomerFactory) -> Period:
    customer = customers.with_role()
    tenant = customer.tenant
    start = math.floor(time.time() / SLOT_SECONDS) * SLOT_SECONDS - SLOT_SECONDS
    sent: list[str] = []
    for _ in range(2):
        sent += tenant.send(make_events(EVENTS_OF_A_BATCH))
        customer.run_export(sent)
    end = math.ceil(time.time() / SLOT_SECONDS) * SLOT_SECONDS
    time.sleep(max(0.0, end + SETTLE_SECONDS - time.time()))
    # Beyond the period: it must not be replayed.
    sent += tenant.send(make_events(EVENTS_OF_A_BATCH))
    customer.run_export(sent)
    tenant.administrator.disable(customer.id)
    customer.wait_until_at_rest()
    return Period(customer, boundary(start), boundary(end))


@pytest.fixture
def program(command: Path, record: Record, stack: Stack, tmp_path: Path) -> Callable[[Customer], CommandLine]:
    """Makes a command line with a profile for the customer's tenant."""

    def make(customer: Customer) -> CommandLine:
        line = CommandLine(command, tmp_path, record)
        token_file = line.write("token", customer.tenant.administrator.token + "\n")
        line("profile", "set", "local", "--url", stack.api_url, "--token-file", token_file).succeeded()
        return line

    return make


def allow_replays(cli: CommandLine, customer: Customer, path: str = PATH) -> None:
    """Attaches the policy that the command line prints for the path."""
    policies = ["config", "policies", customer.id, "--replay-path", path, "--document", "iam"]
    assert customer.role_name is not None
    customer.account.client("iam").put_role_policy(
        RoleName=customer.role_name, PolicyName="audit-export", PolicyDocument=cli(*policies).succeeded()
    )


def lines_of(account: CustomerAccount, export_id: str) -> list[bytes]:
    return [
        line
        for key in account.data_keys(export_id)
        for line in zlib.decompress(account.download(key), wbits=31).splitlines()
    ]


def received_before(lines: list[bytes], end: str) -> list[bytes]:
    return [line for line in lines if json.loads(line)["receivedTimestamp"] < end]


def files_of(account: CustomerAccount, export_id: str) -> list[bytes]:
    return [account.download(key) for key in account.data_keys(export_id)]


def test_what_is_in_segments_alone_is_replayed_and_exported_from_the_earliest_event_as_from_the_table(
    exported: Period,
    customers: CustomerFactory,
    program: Callable[[Customer], CommandLine],
    verifier: Verifier,
    stack: Stack,
    tmp_path: Path,
) -> None:
    """The deployed exporter has the short times of the archive for a while. They are right for all tenants."""
    customer, tenant = exported.customer, exported.customer.tenant
    cli = program(customer)
    allow_replays(cli, customer)
    replay = [
        "config",
        "replay",
        customer.id,
        "--from",
        exported.start,
        "--to",
        exported.end,
        *WAIT,
        "--output",
        "json",
    ]
    sent = customer.exported_ids()
    of_table = cli(*replay, "--bucket-path", PATH).json()
    whole = customers.with_role(tenant=tenant, startFrom="earliest")
    whole.run_export(sent)
    tenant.administrator.disable(whole.id)
    whole.wait_until_at_rest()

    archive(stack, tenant, tmp_path / "processes.log")
    assert delete_blocks(stack, tenant) >= 3
    assert tenant.stored_blocks() == []
    with changed_variables(stack, "exporter") as change:
        change(SHORT_SPANS)
        time.sleep(READ_FROM_TABLE_SECONDS)
        allow_replays(cli, customer, SECOND_PATH)
        of_archive = cli(*replay, "--bucket-path", SECOND_PATH).json()
        again = customers.with_role(tenant=tenant, startFrom="earliest")
        again.run_export(sent)

    assert (of_archive["status"], of_archive["events"]) == ("SUCCEEDED", of_table["events"])
    files = files_of(dataclasses.replace(customer.account, path=SECOND_PATH), of_archive["id"])
    assert len(files) > 0
    assert files == files_of(exported.replayed(), of_table["id"])
    assert [event["id"] for event in again.exported()] == sent
    assert again.exported() == whole.exported() == customer.exported()
    status, report = verifier.bucket(again.account, again.id)
    assert status == COMPLETE, report


def test_a_replay_holds_exactly_the_period_and_leaves_the_export_alone(
    exported: Period, program: Callable[[Customer], CommandLine], verifier: Verifier, stack: Stack, tmp_path: Path
) -> None:
    customer = exported.customer
    cli = program(customer)
    allow_replays(cli, customer)
    before = (exported.main_objects(), exported.main_items(), exported.main_configuration())

    replay = cli("config", "replay", customer.id, *exported.arguments, *WAIT, "--output", "json").json()
    assert (replay["status"], replay["percent"], replay["error"]) == ("SUCCEEDED", 100, None)
    assert replay["exportedThrough"] == exported.end
    assert replay["place"] == f"s3://{customer.account.bucket}/{PATH}/{replay['id']}"
    assert (exported.main_objects(), exported.main_items(), exported.main_configuration()) == before

    original = received_before(lines_of(customer.account, customer.id), exported.end)
    replayed = lines_of(exported.replayed(), replay["id"])
    assert len(replayed) >= 2 * EVENTS_OF_A_BATCH
    assert replayed == original
    assert (replay["events"], replay["objects"]) == (
        len(replayed),
        len(exported.replayed().data_keys(replay["id"])),
    )

    options = ["--deep", "--require-whole", "--expect-through", exported.end]
    copy = download(exported.replayed(), replay["id"], tmp_path)
    for status, report in (
        verifier.bucket(exported.replayed(), replay["id"], *options),
        verifier.folder(copy, *options),
    ):
        assert (status, report["breaks"], report["configurationId"]) == (COMPLETE, [], replay["id"]), report
        assert report["objects"]["events"] == len(replayed)
    status, report = verifier.bucket(customer.account, customer.id, "--deep", "--require-whole", "--require-proven")
    assert (status, report["breaks"]) == (COMPLETE, []), report

    # The jobs of the export are its own, and all items of the replay expire.
    jobs = cli("config", "jobs", customer.id, "--output", "json").json()
    assert {job["exportConfigurationId"] for job in jobs} == {customer.id}
    items = customer.run_items()
    of_replay = {name: item for name, item in items.items() if name.startswith(f"replay#{replay['id']}#")}
    assert f"replay#{replay['id']}#state" in of_replay
    assert all("expiresAt" in item for item in of_replay.values())
    listed = cli("config", "replays", customer.id).succeeded()
    assert replay["id"] in listed
    assert "SUCCEEDED" in listed

    # A person copied data to a new place, which the tenant's own audit log says.
    [event] = [event for event in customer.tenant.stored_changes() if event["action"] == "REPLAY"]
    assert event["auditPayload"]["replay"]["bucketPath"] == PATH
    assert log_lines(stack, replay["id"], "RETENTION_GAP") == []


@pytest.mark.requires("iam enforcement")
def test_a_replay_that_may_not_write_says_so_and_continues_when_it_may(
    exported: Period, program: Callable[[Customer], CommandLine]
) -> None:
    customer = exported.customer
    cli = program(customer)
    before = exported.main_configuration()
    request = ["config", "replay", customer.id, *exported.arguments, *WAIT]
    refused = cli(*request)
    assert "WRITE_DENIED" in refused.failed(CONNECTION_FAILED)
    assert "--replay-path" in refused.output
    # The connection of the export works as before.
    assert exported.main_configuration() == before
    [failed] = cli("config", "replays", customer.id, "--output", "json").json()
    assert (failed["status"], failed["error"]["code"]) == ("FAILED", "WRITE_DENIED")
    assert exported.replayed().data_keys(failed["id"]) == []

    allow_replays(cli, customer)
    continued = cli(*request, "--output", "json").json()
    assert (continued["id"], continued["status"]) == (failed["id"], "SUCCEEDED")
    assert lines_of(exported.replayed(), continued["id"])

    # What has ended can't be cancelled, and its path is taken.
    cancelled = cli("config", "replay-cancel", customer.id, continued["id"], "--output", "json").json()
    assert cancelled["status"] == "SUCCEEDED"
    assert "REPLAY_PATH_OVERLAPS" in cli(*request).failed(REFUSED)


def test_a_cancelled_replay_keeps_its_record_and_another_one_may_follow(
    exported: Period, program: Callable[[Customer], CommandLine]
) -> None:
    customer = exported.customer
    cli = program(customer)
    allow_replays(cli, customer)
    requested = cli("config", "replay", customer.id, *exported.arguments, "--output", "json").json()
    cancelled = cli("config", "replay-cancel", customer.id, requested["id"], "--output", "json").json()
    # It may have ended before.
    assert cancelled["status"] in {"CANCELLED", "SUCCEEDED"}
    elsewhere = ["--from", exported.start, "--to", exported.end, "--bucket-path", f"{PATH}-2"]
    policies = ["config", "policies", customer.id, "--replay-path", "replays", "--document", "iam"]
    customer.account.client("iam").put_role_policy(
        RoleName=customer.role_name or "", PolicyName="audit-export", PolicyDocument=cli(*policies).succeeded()
    )
    other = cli("config", "replay", customer.id, *elsewhere, *WAIT, "--output", "json").json()
    assert other["status"] == "SUCCEEDED"
    listed = cli("config", "replays", customer.id, "--output", "json").json()
    assert [replay["id"] for replay in listed] == [other["id"], requested["id"]]


def test_a_request_that_can_not_be_met_is_refused(exported: Period, program: Callable[[Customer], CommandLine]) -> None:
    customer = exported.customer
    cli = program(customer)
    later = boundary(math.ceil(time.time() / SLOT_SECONDS) * SLOT_SECONDS + 10 * SLOT_SECONDS)
    uneven = exported.start.replace(".000Z", ".500Z")
    inside = f"{customer.account.path}/replay"
    for start, end, path, code in [
        (uneven, exported.end, PATH, "REPLAY_TIME_INVALID"),
        (exported.start, later, PATH, "REPLAY_PERIOD_INVALID"),
        (exported.end, exported.end, PATH, "REPLAY_PERIOD_INVALID"),
        (exported.start, exported.end, inside, "REPLAY_PATH_OVERLAPS"),
        (exported.start, exported.end, "/replays", "BUCKET_PATH_INVALID"),
    ]:
        period = ["--from", start, "--to", end, "--bucket-path", path]
        assert code in cli("config", "replay", customer.id, *period).failed(REFUSED)
    assert cli("config", "replays", customer.id, "--output", "json").json() == []
    unknown = cli("config", "replay", UNKNOWN_ID, *exported.arguments)
    assert "NOT_FOUND" in unknown.failed(NOT_FOUND)
