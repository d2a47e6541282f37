"""`audit-export-operator` against the deployed stack: what operators see, move, approve and erase."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.settings import STACK_NAME, aws_environment
from infra.local.stack import Credentials, Stack
from infra.local.verification import Verifier
from tests.e2e.harness import PATIENCE_SECONDS, Customer, CustomerFactory, Record, Tenant, make_events

COMMAND_TIMEOUT_SECONDS = 120
# The exit codes, as `audit-export-operator --help` lists them.
REFUSED, DENIED, FILE_FAILED, UNHEALTHY, NOT_FOUND, NOT_CONFIRMED = 3, 4, 5, 6, 8, 11
# The audit event of creating the configuration.
EVENTS_OF_CREATION = 1
MOVED_MESSAGES = 12
LARGEST_BATCH = 10
# MiniStack asks for these with the resource "*", and does not know the condition key kms:ResourceAliases.
NOT_EVALUATED = {"cloudwatch:DescribeAlarms", "kms:DescribeKey", "kms:GetKeyRotationStatus", "scheduler:GetSchedule"}


@dataclass
class Outcome:
    exit_code: int
    output: str
    errors: str

    def json(self) -> Any:
        assert self.exit_code == 0, self
        return json.loads(self.output)


@dataclass
class Operator:
    """The program with the credentials of the service's account, or with others."""

    command: Path
    stack: Stack
    record: Record

    def __call__(self, *arguments: str | Path, **environment: str) -> Outcome:
        variables = {"AUDIT_EXPORT_STACK": STACK_NAME} | environment
        ended = subprocess.run(
            [self.command, *arguments],
            env=aws_environment(self.stack.endpoint) | variables,
            stdin=subprocess.DEVNULL,
            text=True,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
        self.record.answers.append(ended.stdout + ended.stderr)
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    def as_user(self, credentials: Credentials, *arguments: str) -> Outcome:
        return self(
            *arguments,
            AWS_ACCESS_KEY_ID=credentials.access_key_id,
            AWS_SECRET_ACCESS_KEY=credentials.secret_access_key,
        )

    def checks(self, outcome: Outcome) -> dict[str, dict[str, Any]]:
        """Returns the checks of doctor by their names."""
        assert outcome.exit_code in (0, UNHEALTHY), outcome
        checks = {check["check"]: check for check in json.loads(outcome.output)}
        assert outcome.exit_code == (0 if all(check["isGood"] for check in checks.values()) else UNHEALTHY)
        return checks


@pytest.fixture
def operator(operator_command: Path, stack: Stack, record: Record) -> Operator:
    return Operator(operator_command, stack, record)


@pytest.fixture(scope="module")
def exported(customers: CustomerFactory) -> Customer:
    """A disabled export of one window."""
    customer = customers.with_access_key()
    sent = customer.tenant.send(make_events(5))
    customer.run_export(sent)
    customer.tenant.administrator.disable(customer.id)
    return customer


def digest_keys(customer: Customer) -> list[str]:
    """Returns the keys of the digests, each of which is written after its signature."""
    prefix = f"{customer.account.prefix}{customer.id}/_digests/"
    return sorted(entry["Key"] for entry in customer.account.objects(prefix) if entry["Key"].endswith(".json"))


def test_status_shows_a_failing_export_among_those_of_all_tenants(
    operator: Operator, customers: CustomerFactory
) -> None:
    failing = customers.with_access_key(bucketName=f"missing-{uuid.uuid4().hex}")
    assert failing.configuration["connectionStatus"] == "FAILED"
    everyone = operator("status", "--unhealthy", "--limit", "10000", "--output", "json").json()
    [shown] = [one for one in everyone["configurations"] if one["configurationId"] == failing.id]
    assert (shown["tenantId"], shown["health"], shown["connectionStatus"]) == (failing.tenant.name, "FAILING", "FAILED")
    assert shown["connectionError"]["code"] == failing.configuration["connectionError"]["code"]
    assert {one["health"] for one in everyone["configurations"]} <= {"FAILING", "DELAYED"}
    assert everyone["totals"]["failing"] >= 1

    alone = operator("status", "--tenant", failing.tenant.name)
    assert alone.exit_code == 0, alone
    assert f"FAILING  {failing.tenant.name}  " in alone.output
    assert failing.id in alone.output


def test_status_of_a_disabled_export(operator: Operator, exported: Customer) -> None:
    answer = operator("status", "--tenant", exported.tenant.name, "--output", "json").json()
    [shown] = answer["configurations"]
    assert (shown["configurationId"], shown["health"], shown["nextExportAt"]) == (exported.id, "DISABLED", None)
    assert shown["exportedThrough"] is not None
    assert (answer["totals"]["configurations"], answer["totals"]["disabled"]) == (1, 1)


def test_doctor_looks_at_every_part_of_the_stack(operator: Operator, stack: Stack) -> None:
    checks = operator.checks(operator("doctor", "--output", "json"))
    schedules = [name for name in checks if name.endswith("Schedule")]
    # The tests keep most schedules disabled (infra/local/schedules.py).
    scheduler, group = stack.client("scheduler"), stack.description["stackName"]
    entries = scheduler.list_schedules(GroupName=group)["Schedules"]
    states = [scheduler.get_schedule(GroupName=group, Name=entry["Name"])["State"] for entry in entries]
    assert len(schedules) == len(states) == 8
    assert sum(checks[name]["isGood"] for name in schedules) == states.count("ENABLED") > 0
    for name in ["SecretKey", "SigningKey", "clock"]:
        assert checks[name]["isGood"], checks[name]
    # What other tests leave in queues and exports, and what emulators don't set of tables, is shown, whatever it is.
    for name, shown in {
        "exports": " failing, ",
        "archive": " tenants, at most ",
        "RunsQueue": " waiting, ",
        "ConversionQueue": " waiting, ",
        "EventsDeadLetterQueue": " messages",
        "ManualConversionDeadLetterQueue": " messages",
        "alarms": " in ALARM, ",
        "ExportRunsTable": "ACTIVE, expiry ",
        "Lambda's concurrency": " unreserved",
    }.items():
        assert shown in checks[name]["detail"], checks[name]
    table = operator("doctor").output
    assert table.count("✓ ") + table.count("✗ ") == len(checks)


@pytest.mark.requires("iam enforcement")
def test_the_read_only_policy_permits_to_look_and_nothing_else(
    operator: Operator, stack: Stack, record: Record
) -> None:
    policy = operator("policy", "read-only", "--account", stack.account).json()
    name = f"operator-{uuid.uuid4().hex[:12]}"
    iam = stack.client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="operator", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    record.secrets.add(key["SecretAccessKey"])
    user = Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    checks = operator.checks(operator.as_user(user, "doctor", "--output", "json"))
    marker = "the permission "
    missing = {
        check["detail"].removeprefix(marker).split()[0]
        for check in checks.values()
        if check["detail"].startswith(marker)
    }
    assert missing <= NOT_EVALUATED, checks
    assert operator.as_user(user, "status", "--output", "json").exit_code == 0

    block = ("acme", "01M805D1C10000000000000007", "--reason", "a test", "--yes")
    refused = operator.as_user(user, "skip-block", *block)
    assert (refused.exit_code, "lambda:InvokeFunction is missing" in refused.errors) == (DENIED, True), refused


@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("runs", "runs"),
        ("manual-runs", "manualRuns"),
        ("conversions", "conversions"),
        ("manual-conversions", "manualConversions"),
        ("webhooks", "webhooks"),
    ],
)
def test_redrive_finds_the_queues_of_the_stack(operator: Operator, stack: Stack, name: str, queue: str) -> None:
    dry = operator("redrive", name, "--dry-run", "--output", "json").json()
    names = [url.split("/")[-1] for url in (dry["queue"], dry["destination"])]
    assert names == [stack.queues[key].split("/")[-1] for key in (f"{queue}DeadLetter", queue)]
    assert dry["moved"] == 0


def test_redrive_moves_messages_with_their_attributes(operator: Operator, stack: Stack) -> None:
    sqs = stack.client("sqs")
    name = f"redrive-{uuid.uuid4().hex[:12]}"
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    redrive_policy = {"deadLetterTargetArn": attributes["QueueArn"], "maxReceiveCount": 3}
    live = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive_policy)})["QueueUrl"]
    tenant = {"tenantId": {"DataType": "String", "StringValue": "acme"}}
    bodies = {f"message {number}" for number in range(MOVED_MESSAGES)}
    for body in bodies:
        sqs.send_message(QueueUrl=dead, MessageBody=body, MessageAttributes=tenant)
    queues = ("--queue-url", dead, "--destination-url", live)

    dry = operator("redrive", *queues, "--dry-run", "--output", "json").json()
    assert (dry["found"], dry["moved"]) == (MOVED_MESSAGES, 0)
    assert operator("redrive", *queues).exit_code == NOT_CONFIRMED
    done = operator("redrive", *queues, "--yes", "--output", "json").json()
    assert (done["found"], done["moved"]) == (MOVED_MESSAGES, MOVED_MESSAGES)

    arrived: dict[str, Any] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(arrived) < MOVED_MESSAGES and time.monotonic() < deadline:
        answer = sqs.receive_message(
            QueueUrl=live, MaxNumberOfMessages=LARGEST_BATCH, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        )
        arrived |= {message["Body"]: message["MessageAttributes"] for message in answer.get("Messages", [])}
    assert set(arrived) == bodies
    assert all(found["tenantId"]["StringValue"] == "acme" for found in arrived.values())
    assert operator("redrive", *queues, "--yes", "--output", "json").json()["found"] == 0


def test_a_block_that_no_run_found_corrupt_is_not_skipped(operator: Operator, tenant: Tenant) -> None:
    block = (tenant.name, "01M805D1C10000000000000007", "--reason", "a test")
    assert operator("skip-block", *block).exit_code == NOT_CONFIRMED
    refused = operator("skip-block", *block, "--yes")
    assert refused.exit_code == REFUSED
    assert f"no run of {tenant.name} has found the block" in refused.errors


def test_a_tenant_is_shown_and_erased(operator: Operator, customers: CustomerFactory, tmp_path: Path) -> None:
    customer = customers.with_access_key()
    # The connection test at the creation may have started a run, which must not write during the erasure.
    customer.wait_until_at_rest()
    name = customer.tenant.name
    customer.tenant.send(make_events(7))
    shown = operator("tenant", "show", name, "--output", "json").json()
    assert shown["stored"]["events"] == 7 + EVENTS_OF_CREATION
    assert shown["stored"]["isComplete"]
    assert [one["configurationId"] for one in shown["configurations"]] == [customer.id]
    text = operator("tenant", "show", name)
    assert (text.exit_code, customer.id in text.output) == (0, True)
    # The events of today are not counted.
    [cost] = operator("tenant", "cost", name, "--output", "json").json()["tenants"]
    assert (cost["tenantId"], list(cost["enabledExports"].values())) == (name, [1])
    assert cost["dollars"]["export"] > 0

    statement = tmp_path / "statement.json"
    erase = ("tenant", "erase", name, "--reason", "a test", "--statement", statement)
    assert operator(*erase).exit_code == NOT_CONFIRMED
    assert operator(*erase, "--confirm", "another-tenant").exit_code == NOT_CONFIRMED
    assert operator("tenant", "show", name).exit_code == 0
    erased = operator(*erase, "--confirm", name, "--output", "json").json()
    assert (erased["tenantId"], erased["configurations"]) == (name, 1)
    document = json.loads(statement.read_bytes())
    assert (document["kind"], document["tenantId"], document["reason"]) == ("TENANT_ERASURE", name, "a test")
    assert statement.with_name("statement.json.sig").stat().st_size > 0
    assert operator("tenant", "show", name).exit_code == NOT_FOUND
    # The statement of an erasure is not overwritten.
    assert operator(*erase, "--confirm", name).exit_code == FILE_FAILED
    assert json.loads(statement.read_bytes()) == document


def test_a_digest_is_shown_with_the_check_of_its_signature(
    operator: Operator, exported: Customer, stack: Stack, command: Path, tmp_path: Path
) -> None:
    public_key = Verifier.create(stack, command, tmp_path).public_key
    account, key = exported.account, digest_keys(exported)[0]
    credentials = {"AWS_ACCESS_KEY_ID": account.account, "AWS_SECRET_ACCESS_KEY": "root", "AWS_REGION": account.region}
    arguments = ("digest", "show", f"s3://{account.bucket}/{key}", "--public-key", public_key, "--output", "json")
    shown = operator(*arguments, **credentials).json()
    assert (shown["signature"], shown["digest"]["sequence"]) == ("VALID", 0)
    assert shown["sha256"] == hashlib.sha256(account.download(key)).hexdigest()

    file = tmp_path / "digest.json"
    file.write_bytes(account.download(key).replace(b'"sequence":0', b'"sequence":1'))
    file.with_name("digest.json.sig").write_bytes(account.download(f"{key}.sig"))
    changed = operator("digest", "show", file, "--public-key", public_key)
    assert (changed.exit_code, "the signature is WRONG" in changed.errors) == (UNHEALTHY, True), changed
