"""`config repair`: files that a customer lost are put back byte for byte, and what can't be put back is named."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack
from infra.local.verification import BROKEN, COMPLETE, Verifier
from tests.e2e.harness import Customer, CustomerFactory, make_events

COMMAND_TIMEOUT_SECONDS = 300
# The program's own limit, below the test's.
WAIT = ("--wait", "--timeout", "4m")
DONE = 0
FAILED = 7
NOT_FOUND = 8
INCOMPLETE = 15
WINDOWS = 2
EVENTS_OF_A_WINDOW = 40

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def exported(customers: CustomerFactory) -> Customer:
    """A disabled export of two windows with events, each with its signed digest."""
    customer = customers.with_role()
    sent: list[str] = []
    for _ in range(WINDOWS):
        sent += customer.tenant.send(make_events(EVENTS_OF_A_WINDOW))
        customer.run_export(sent)
    customer.tenant.administrator.disable(customer.id)
    customer.wait_until_at_rest()
    return customer


@pytest.fixture
def audit_export(exported: Customer, stack: Stack, command: Path, tmp_path: Path) -> Run:
    """The command line, with a token of the customer's administrator."""
    token_file = tmp_path / "token"
    token_file.write_text(exported.tenant.administrator.token)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *arguments, "--url", stack.api_url, "--token-file", token_file],
            text=True,
            capture_output=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        )

    return run


def files(customer: Customer) -> dict[str, bytes]:
    """Returns everything that was exported, by key."""
    account = customer.account
    entries = account.objects(f"{account.prefix}{customer.id}/")
    return {entry["Key"]: account.download(entry["Key"]) for entry in entries}


def remove(customer: Customer, *keys: str) -> None:
    for key in keys:
        customer.account.s3.delete_object(Bucket=customer.account.bucket, Key=key)


def whole_range(customer: Customer) -> tuple[str, ...]:
    """Returns the arguments for the times of all windows."""
    stored = customer.stored()
    return ("--from", stored["createdAt"]["S"], "--to", stored["exportedThrough"]["S"])


def repair_commands(report: dict[str, Any], need: str) -> list[list[str]]:
    """Returns the arguments of the commands that `verify --repair` printed."""
    commands = [shlex.split(entry["command"]) for entry in report["repairs"] if entry["need"] == need]
    assert all(program == "audit-export" for program, *_ in commands), commands
    return [arguments for _, *arguments in commands]


def test_the_printed_commands_put_back_what_is_missing(
    exported: Customer, verifier: Verifier, audit_export: Run
) -> None:
    whole = files(exported)
    data = sorted(key for key in whole if key.endswith(".ndjson.gz"))
    digests = sorted(key for key in whole if "/_digests/" in key)
    # The first object, and the first digest with its signature.
    remove(exported, data[0], *digests[:2])
    status, report = verifier.bucket(exported.account, exported.id, "--repair")
    assert status == BROKEN, report
    # The objects of a missing digest are unknown until it is back.
    while status == BROKEN:
        commands = repair_commands(report, "MISSING")
        assert commands, report
        assert repair_commands(report, "ALTERED") == []
        for arguments in commands:
            outcome = audit_export(*arguments)
            assert outcome.returncode == DONE, outcome.stdout + outcome.stderr
            assert "SUCCEEDED" in outcome.stdout
        before = report["breaks"]
        status, report = verifier.bucket(exported.account, exported.id, "--repair")
        assert status == COMPLETE or report["breaks"] != before, report
    assert (status, report["verdict"], report["repairs"]) == (COMPLETE, "COMPLETE", []), report
    assert files(exported) == whole

    repaired = [event for event in exported.tenant.stored_changes() if event["action"] == "REPAIR"]
    assert repaired, "each repair is an audit event"
    assert repaired[0]["auditPayload"]["repair"]["overwrite"] is False
    assert repaired[0]["targets"][0]["id"] == exported.id


# Row: versioning off
def test_an_altered_file_is_replaced_only_on_request(exported: Customer, verifier: Verifier, audit_export: Run) -> None:
    account, whole = exported.account, files(exported)
    key = account.data_keys(exported.id)[0]
    account.s3.put_object(Bucket=account.bucket, Key=key, Body=b"altered")

    outcome = audit_export("config", "repair", exported.id, *whole_range(exported), *WAIT, "--output", "json")
    repair = json.loads(outcome.stdout)
    assert (outcome.returncode, repair["status"], repair["repaired"]) == (DONE, "SUCCEEDED", 0), repair
    assert repair["present"] == repair["checked"] == len(whole)
    assert account.download(key) == b"altered"

    status, report = verifier.bucket(account, exported.id, "--repair")
    assert (status, report["breaks"][0]["code"]) == (BROKEN, "ALTERED_OBJECT"), report
    [arguments] = repair_commands(report, "ALTERED")
    assert "--overwrite" in arguments
    outcome = audit_export(*arguments)
    assert outcome.returncode == DONE, outcome.stdout + outcome.stderr
    assert files(exported) == whole
    assert verifier.bucket(account, exported.id)[0] == COMPLETE


def move(customer: Customer, audit_export: Run) -> None:
    """Moves the export to another path, and its role's policy with it."""
    customer.tenant.administrator.update_assumed_role(customer.id, bucketPath="moved", force=True)
    policy = audit_export("config", "policies", customer.id, "--document", "iam")
    assert policy.returncode == DONE, policy.stderr
    customer.account.client("iam").put_role_policy(
        RoleName=customer.role_name, PolicyName="audit-export", PolicyDocument=policy.stdout
    )


def test_what_is_in_an_earlier_place_is_named_and_left_alone(exported: Customer, audit_export: Run) -> None:
    whole = files(exported)
    lost = exported.account.data_keys(exported.id)[0]
    times = whole_range(exported)
    move(exported, audit_export)
    remove(exported, lost)
    outcome = audit_export("config", "repair", exported.id, *times, *WAIT, "--output", "json")
    repair = json.loads(outcome.stdout)
    assert (outcome.returncode, repair["status"]) == (INCOMPLETE, "INCOMPLETE"), repair
    assert (repair["repaired"], repair["unrepaired"]) == (0, len(whole)), repair
    named = {entry["objectKey"]: entry["reason"] for entry in repair["unrepairedFiles"]}
    assert named == dict.fromkeys(whole, "OTHER_DESTINATION")
    assert lost not in files(exported)

    shown = audit_export("config", "repair", exported.id)
    assert shown.returncode == DONE
    assert f"OTHER_DESTINATION: s3://{exported.account.bucket}/{lost}" in shown.stdout


@pytest.mark.requires("iam enforcement")
def test_a_repair_tests_a_changed_connection_first(exported: Customer, audit_export: Run) -> None:
    lost = exported.account.data_keys(exported.id)[0]
    times = whole_range(exported)
    # The role's policy permits the earlier path only.
    exported.tenant.administrator.update_assumed_role(exported.id, bucketPath="moved", force=True)
    remove(exported, lost)
    left = files(exported)
    outcome = audit_export("config", "repair", exported.id, *times, *WAIT, "--output", "json")
    repair = json.loads(outcome.stdout)
    assert (outcome.returncode, repair["status"], repair["checked"]) == (FAILED, "FAILED", 0), repair
    assert repair["error"]["code"] == "WRITE_DENIED", repair
    assert files(exported) == left


def test_a_damaged_digest_in_the_service_is_named_and_others_are_repaired(
    exported: Customer, stack: Stack, audit_export: Run
) -> None:
    times = whole_range(exported)
    data = exported.account.data_keys(exported.id)
    remove(exported, data[0], data[-1])
    # As if somebody had written to the table.
    first = min(name for name in exported.run_items() if name.startswith("digest#"))
    stack.client("dynamodb").update_item(
        TableName=stack.tables["runs"],
        Key={"run": {"S": f"{exported.tenant.name}#{exported.id}"}, "item": {"S": first}},
        UpdateExpression="SET digest = :damaged",
        ExpressionAttributeValues={":damaged": {"B": b"{"}},
    )
    outcome = audit_export("config", "repair", exported.id, *times, *WAIT, "--output", "json")
    repair = json.loads(outcome.stdout)
    assert (outcome.returncode, repair["status"], repair["repaired"]) == (INCOMPLETE, "INCOMPLETE", 1), repair
    [named] = repair["unrepairedFiles"]
    assert (named["reason"], named["objectKey"] in files(exported)) == ("CONTENT_CHANGED", True), repair
    assert data[-1] in files(exported)
    assert data[0] not in files(exported)


def test_events_that_were_deleted_can_not_be_put_back(exported: Customer, stack: Stack, audit_export: Run) -> None:
    lost = exported.account.data_keys(exported.id)[0]
    remove(exported, lost)
    # As if somebody had deleted the blocks: they are within their retention.
    for block in exported.tenant.stored_blocks():
        key = {name: block[name] for name in ("partition", "blockId")}
        stack.client("dynamodb").delete_item(TableName=stack.tables["events"], Key=key)
    outcome = audit_export("config", "repair", exported.id, *whole_range(exported), *WAIT, "--output", "json")
    repair = json.loads(outcome.stdout)
    assert (outcome.returncode, repair["status"], repair["repaired"]) == (INCOMPLETE, "INCOMPLETE", 0), repair
    named = {entry["objectKey"]: entry["reason"] for entry in repair["unrepairedFiles"]}
    assert named == dict.fromkeys([*exported.account.data_keys(exported.id), lost], "CONTENT_CHANGED")
    # Digests and signatures need no blocks.
    assert repair["present"] == sum("/_digests/" in key for key in files(exported))


def test_only_a_valid_range_of_an_own_export_is_repaired(
    exported: Customer, customers: CustomerFactory, audit_export: Run
) -> None:
    none = audit_export("config", "repair", exported.id)
    assert none.returncode == NOT_FOUND, none.stdout + none.stderr
    backwards = ("--from", "2026-11-22T00:00:00Z", "--to", "2026-11-21T00:00:00Z")
    refused = audit_export("config", "repair", exported.id, *backwards)
    assert refused.returncode == 3
    assert "RANGE_INVALID" in refused.stderr or "later than from" in refused.stderr, refused.stderr
    stranger = customers.with_role()
    foreign = audit_export("config", "repair", stranger.id, *whole_range(exported))
    assert foreign.returncode == NOT_FOUND, foreign.stdout + foreign.stderr
