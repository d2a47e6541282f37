"""The command line as an administrator uses it: the real program against the deployed service.

Its output is compared with the API's responses, and searched for secrets, here and at the end of all tests.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import CustomerAccount, Stack, wait_until
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    KEY_ACCOUNT,
    ROLE_ACCOUNT,
    SETTLE_SECONDS,
    CustomerFactory,
    Record,
    Tenant,
    TokenFactory,
    make_events,
    wait_for_a_new_count,
)
from tests.e2e.pseudo_terminal import PseudoTerminal

COMMAND_TIMEOUT_SECONDS = 120
UNKNOWN_ID = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b"
# An hour ahead of UTC, two in summer, in the notation that works without a time zone database.
TIME_ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"
SHELLS = ["bash", "zsh", "fish", "powershell", "elvish"]

# Exit statuses, as `audit-export --help` lists them.
UNAVAILABLE, WRONG_ARGUMENTS, REFUSED, TOKEN_REFUSED, FILE_FAILED = 1, 2, 3, 4, 5
CONNECTION_FAILED, NOT_FOUND, CONFLICT, NOT_CONFIRMED = 7, 8, 9, 11
UNHEALTHY = 14


@dataclass
class Outcome:
    """The result of a command."""

    exit_code: int
    output: str
    errors: str

    def json(self) -> Any:
        assert self.exit_code == 0, self.errors
        return json.loads(self.output)

    def succeeded(self) -> str:
        assert self.exit_code == 0, self.errors
        return self.output

    def failed(self, exit_code: int) -> str:
        assert self.exit_code == exit_code, (self.exit_code, self.output, self.errors)
        assert self.errors.startswith("error: "), self.errors
        return self.errors


@dataclass
class CommandLine:
    """The program with the home directory of one administrator."""

    command: Path
    home: Path
    record: Record
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self, changes: dict[str, str]) -> dict[str, str]:
        own = {"HOME": str(self.home), "PATH": os.environ["PATH"], "TZ": TIME_ZONE}
        return own | self.environment | changes

    def __call__(self, *arguments: str | Path, stdin: str = "", **environment: str) -> Outcome:
        ended = subprocess.run(
            [self.command, *arguments],
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
            env=self.variables(environment),
        )
        self.record.answers.extend([ended.stdout, ended.stderr])
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    def at_terminal(self, *arguments: str | Path, question: str = "", answer: str = "") -> tuple[int, str]:
        """Types `answer` at the question, if one is expected; returns the exit status and the terminal's output."""
        with PseudoTerminal([self.command, *arguments], self.variables({}), self.home) as terminal:
            if question:
                terminal.expect(question)
                terminal.type(answer)
            status, text = terminal.wait(), terminal.raw.decode()
        self.record.answers.append(text)
        return status, text

    def write(self, name: str, content: Any, mode: int = 0o600) -> Path:
        path = self.home / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        return path


@pytest.fixture
def bare(command: Path, record: Record, tmp_path: Path) -> CommandLine:
    """A command line without a profile."""
    return CommandLine(command, tmp_path, record)


@pytest.fixture
def cli(bare: CommandLine, stack: Stack, tenant: Tenant) -> CommandLine:
    """A command line with a profile for the tenant."""
    token_file = bare.write("token", tenant.administrator.token + "\n")
    bare("profile", "set", "local", "--url", stack.api_url, "--token-file", token_file).succeeded()
    return bare


@pytest.fixture
def account(customers: CustomerFactory) -> CustomerAccount:
    return customers.account(ROLE_ACCOUNT, "eu-west-1", path="audit/export")


@pytest.fixture
def role_name() -> str:
    return f"audit-export-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def role_file(cli: CommandLine, account: CustomerAccount, role_name: str) -> Path:
    """A file with a role, in the form of the product's documentation."""
    content = {"interval": "EVERY_24_HOURS", "roleArn": account.role_arn(role_name)} | account.destination
    return cli.write("exportConfig.json", content)


# ----------------------------------------------------------------------------------------------------------------------
# The life cycle of a configuration
# ----------------------------------------------------------------------------------------------------------------------


def test_nothing_is_configured(cli: CommandLine) -> None:
    shown = cli("config", "list").succeeded()
    assert shown.startswith("0 export configurations\n")
    assert "audit-export config create" in shown
    assert cli("config", "list", "--output", "json").json() == []
    assert cli("exportConfig", "list").succeeded() == shown


def test_the_status_of_an_export_is_shown(
    cli: CommandLine, customers: CustomerFactory, tenant: Tenant, make_tenant: Callable[..., Tenant]
) -> None:
    customer = customers.with_access_key(tenant=tenant)
    # No scheduled run changes the status of a disabled export.
    tenant.administrator.disable(customer.id)
    status = ["config", "status", customer.id]
    shown = cli(*status).succeeded()
    for part in [customer.id, f"s3://{customer.account.bucket}", "DISABLED", "retention used", "Enable the export"]:
        assert part in shown, shown
    document = cli(*status, "--output", "json").json()["status"]
    assert (document["health"], document["lagSeconds"], document["nextExportAt"]) == ("DISABLED", 0, None)
    assert document["advice"] in shown
    unhealthy = cli(*status, "--exit-code")
    assert unhealthy.output == shown
    assert "DISABLED" in unhealthy.failed(UNHEALTHY)
    [listed] = cli("config", "list", "--output", "json").json()
    assert listed["status"] == document

    tenant.administrator.enable(customer.id)
    # The connection test at the creation may have started a run.
    assert cli(*status, "--exit-code", "--output", "json").json()["status"]["health"] in {"NEVER_RUN", "OK"}

    foreign = customers.with_access_key(tenant=make_tenant())
    refusals = {cli("config", "status", id_, "--exit-code").failed(NOT_FOUND) for id_ in (foreign.id, UNKNOWN_ID)}
    # The same for an export of another tenant and for one that does not exist.
    [refusal] = refusals
    assert "NOT_FOUND" in refusal


def test_a_list_fits_a_terminal_of_80_columns(cli: CommandLine, customers: CustomerFactory, tenant: Tenant) -> None:
    customer = customers.with_access_key(tenant=tenant)
    tenant.administrator.disable(customer.id)
    with PseudoTerminal([cli.command, "config", "list"], cli.variables({}), cli.home, columns=80) as terminal:
        assert terminal.wait() == 0
        lines = terminal.shown.splitlines()
    cli.record.answers.extend(lines)
    assert all(len(line) <= 80 for line in lines), lines
    assert lines[0].split() == ["ID", "HEALTH", "LAG", "NEXT", "EXPORT"]
    assert lines[1].split() == [customer.id, "DISABLED", "-", "-"]
    assert lines[2].startswith("  s3://")


def test_a_configuration_with_a_role_lives(
    cli: CommandLine, tenant: Tenant, account: CustomerAccount, role_name: str, role_file: Path
) -> None:
    created = cli("config", "create", role_file).succeeded()
    configuration = tenant.administrator.list()[0]
    configuration_id = configuration["id"]
    for part in [
        f"Created export configuration {configuration_id}",
        f"s3://{account.bucket}/audit/export",
        "PENDING",
        "Next:",
        "The first export begins",
        "Z (",
        " CET)" if time.gmtime().tm_mon in (11, 12, 1, 2) else " CE",
    ]:
        assert part in created, created
    # The output has the external ID that the trust policy needs.
    assert configuration["externalId"] in created

    shown = cli("config", "get", configuration_id, "--output", "json").json()
    assert {name: shown[name] for name in configuration} == configuration
    listed = cli("config", "list").succeeded()
    assert configuration_id in listed
    assert "1 export configuration\n" in listed

    # The role does not exist yet.
    failed = cli("config", "test", configuration_id)
    assert "FAILED" in failed.output
    assert "ROLE_NOT_ASSUMABLE" in failed.failed(CONNECTION_FAILED)
    policies = cli("config", "policies", configuration_id, "--output", "json").json()
    documents = {
        name: json.loads(cli("config", "policies", configuration_id, "--document", name).succeeded())
        for name in ["iam", "trust", "bucket"]
    }
    assert documents["iam"] == json.loads(policies["iamPolicy"]["document"])
    account.create_role(role_name, configuration["externalId"], policy=documents["iam"], trust=documents["trust"])
    assert "SUCCESS" in cli("config", "test", configuration_id).succeeded()
    assert tenant.administrator.get(configuration_id)["connectionStatus"] == "SUCCESS"
    assert "no KMS key" in cli("config", "policies", configuration_id, "--document", "key").failed(WRONG_ARGUMENTS)
    assert account.bucket in cli("config", "policies", configuration_id, "--cloudformation").succeeded()

    version = str(tenant.administrator.get(configuration_id)["version"])
    update = ["config", "update", configuration_id, "-", "--expect-version", version]
    updated = cli(*update, "--output", "json", stdin='{"interval": "EVERY_2_HOURS"}').json()
    assert (updated["interval"], updated["connectionStatus"]) == ("EVERY_2_HOURS", "SUCCESS")
    conflict = cli(*update, stdin='{"interval": "EVERY_4_HOURS"}').failed(CONFLICT)
    assert f"its version is now {updated['version']}" in conflict
    assert tenant.administrator.get(configuration_id)["interval"] == "EVERY_2_HOURS"

    assert "is disabled" in cli("config", "disable", configuration_id).succeeded()
    assert not tenant.administrator.get(configuration_id)["enabled"]
    assert "CONFIGURATION_DISABLED" in cli("config", "run", configuration_id).failed(REFUSED)
    assert "The next export begins" in cli("config", "enable", configuration_id).succeeded()

    tenant.send(make_events(7))
    wait_for_a_new_count()
    refused = cli("config", "delete", configuration_id).failed(NOT_CONFIRMED)
    assert "--yes" in refused
    deleted = cli("config", "delete", configuration_id, "--yes").succeeded()
    # The tenant's log contains the changes to the configuration as well.
    assert "Not exported, and never will be: " in deleted
    assert "NOT_FOUND" in cli("config", "get", configuration_id).failed(NOT_FOUND)
    assert cli("config", "list").succeeded().startswith("0 export configurations\n")


def test_jobs_and_tasks_show_what_was_exported(
    cli: CommandLine, tenant: Tenant, account: CustomerAccount, role_name: str, role_file: Path
) -> None:
    configuration = cli("config", "create", role_file, "--output", "json").json()
    configuration_id = configuration["id"]
    assert cli("config", "jobs", configuration_id).succeeded().startswith("0 export jobs\n")
    account.create_role(role_name, configuration["externalId"])
    cli("config", "test", configuration_id).succeeded()
    sent = tenant.send(make_events(5))
    time.sleep(SETTLE_SECONDS)
    assert configuration_id in cli("config", "run", configuration_id).succeeded()

    def jobs() -> list[dict[str, Any]]:
        return cli("config", "jobs", configuration_id, "--output", "json").json()

    wait_until(
        lambda: any(job["status"] == "SUCCEEDED" and job["events"] >= len(sent) for job in jobs()),
        "a job that exported what was sent",
        timeout_seconds=EXPORT_TIMEOUT_SECONDS,
        interval_seconds=1,
    )
    job = next(job for job in jobs() if job["events"] >= len(sent))
    listed = cli("config", "jobs", configuration_id).succeeded()
    assert job["id"] in listed
    assert "SUCCEEDED" in listed

    def tasks_of(job: dict[str, Any]) -> list[dict[str, Any]]:
        return cli("config", "tasks", job["id"], "--output", "json").json()

    # The connection test may have started an export as well, of the event of the creation.
    keys = [task["objectKey"] for each in reversed(jobs()) for task in tasks_of(each)]
    assert keys == account.data_keys(configuration_id)
    tasks = tasks_of(job)
    assert sum(task["events"] for task in tasks) == job["events"]
    assert tasks[0]["objectKey"] in cli("config", "tasks", job["id"]).succeeded()


def test_deleting_asks_at_a_terminal(cli: CommandLine, tenant: Tenant, role_file: Path) -> None:
    configuration_id = cli("config", "create", role_file, "--output", "json").json()["id"]
    exit_code, shown = cli.at_terminal("config", "delete", configuration_id, question="[y/N] ", answer="n")
    assert (exit_code, "Delete it? [y/N] " in shown) == (NOT_CONFIRMED, True), shown
    assert tenant.administrator.get(configuration_id)["id"] == configuration_id
    exit_code, shown = cli.at_terminal("config", "delete", configuration_id, question="[y/N] ", answer="y")
    assert (exit_code, f"Deleted export configuration {configuration_id}" in shown) == (0, True), shown
    assert tenant.administrator.list() == []


def test_creating_can_be_repeated(cli: CommandLine, tenant: Tenant, role_file: Path) -> None:
    key = str(uuid.uuid4())
    create: list[str | Path] = ["config", "create", role_file, "--output", "json", "--idempotency-key", key]
    assert cli(*create).json()["id"] == cli(*create).json()["id"]
    # Without a key each call creates another.
    cli("config", "create", role_file).succeeded()
    assert len(tenant.administrator.list()) == 2


# ----------------------------------------------------------------------------------------------------------------------
# Access keys and their secrets
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(cli: CommandLine, customers: CustomerFactory) -> Path:
    """A file with an access key and its secret, in the form of the product's documentation."""
    account = customers.account(KEY_ACCOUNT)
    credentials = customers.user(account)
    content = {
        "interval": "EVERY_12_HOURS",
        "accessKeyId": credentials.access_key_id,
        "secretAccessKey": credentials.secret_access_key,
        "bucketPath": "",
    } | account.destination
    return cli.write("exportConfig.json", content)


def test_the_names_of_the_products_documentation(cli: CommandLine, tenant: Tenant, key_file: Path) -> None:
    created = cli("exportConfig", "create:s3:accessKey", key_file)
    assert "SUCCESS" in created.succeeded()
    configuration_id = tenant.administrator.list()[0]["id"]
    assert configuration_id in cli("exportConfig", "list").succeeded()
    assert configuration_id in cli("exportConfig", "get", configuration_id).succeeded()
    assert "SUCCESS" in cli("exportConfig", "test", configuration_id).succeeded()
    cli("exportConfig", "disable", configuration_id).succeeded()
    cli("exportConfig", "enable", configuration_id).succeeded()
    cli("exportConfig", "delete", configuration_id, "--yes").succeeded()
    assert tenant.administrator.list() == []


def test_a_file_of_the_other_kind_is_refused(cli: CommandLine, key_file: Path) -> None:
    refused = cli("exportConfig", "create:s3:assumedRole", key_file).failed(FILE_FAILED)
    assert "create:s3:accessKey" in refused


def test_a_secret_comes_from_a_file_the_environment_or_a_terminal(
    cli: CommandLine, tenant: Tenant, key_file: Path
) -> None:
    content = json.loads(key_file.read_text())
    secret = content.pop("secretAccessKey")
    file = cli.write("without-secret.json", content)
    create: list[str | Path] = ["config", "create", file]
    assert "AUDIT_EXPORT_SECRET_ACCESS_KEY" in cli(*create).failed(WRONG_ARGUMENTS)
    secret_file = cli.write("secret", secret + "\n")
    outcomes = [
        cli(*create, "--secret-file", secret_file),
        cli(*create, AUDIT_EXPORT_SECRET_ACCESS_KEY=secret),
        cli("config", "create", "-", stdin=key_file.read_text()),
    ]
    assert all("SUCCESS" in outcome.succeeded() for outcome in outcomes)
    exit_code, shown = cli.at_terminal(*create, question="(not shown): ", answer=secret)
    assert (exit_code, "SUCCESS" in shown) == (0, True)
    assert "(not shown)" in shown
    assert secret not in shown
    assert all(secret not in outcome.output + outcome.errors for outcome in outcomes)
    assert len(tenant.administrator.list()) == 4


def test_a_secret_that_others_can_read_is_warned_of(cli: CommandLine, key_file: Path) -> None:
    key_file.chmod(0o644)
    outcome = cli("config", "create", key_file, "--dry-run")
    assert outcome.exit_code == 0
    assert f"chmod 600 '{key_file}'" in outcome.errors
    key_file.chmod(0o600)
    assert cli("config", "create", key_file, "--dry-run").errors == ""


@pytest.mark.requires("iam enforcement")
def test_a_new_access_key_is_tested_before_it_replaces_the_old(
    cli: CommandLine, tenant: Tenant, key_file: Path, record: Record
) -> None:
    before = cli("config", "create", key_file, "--output", "json").json()
    wrong = "B" * 40
    record.secrets.add(wrong)
    update = {"accessKeyId": "AKIAIOSFODNN7EXAMPLE", "secretAccessKey": wrong}
    refused = cli("config", "update", before["id"], "-", stdin=json.dumps(update)).failed(CONNECTION_FAILED)
    assert "NEW_ACCESS_KEY_REFUSED" in refused
    assert "ACCESS_KEY_UNKNOWN" in refused
    # Without the new key's secret, no request is sent.
    missing = cli("config", "update", before["id"], "-", stdin='{"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}')
    assert "--secret-file" in missing.failed(WRONG_ARGUMENTS)
    after = tenant.administrator.get(before["id"])
    assert (after["version"], after["connectionStatus"]) == (before["version"], "SUCCESS")


@pytest.mark.requires("iam enforcement")
def test_a_bucket_that_can_not_be_written_to_replaces_nothing_unless_forced(
    cli: CommandLine, tenant: Tenant, key_file: Path
) -> None:
    before = cli("config", "create", key_file, "--output", "json").json()
    update = ("config", "update", before["id"], "-")
    missing = json.dumps({"bucketName": f"missing-{uuid.uuid4().hex[:12]}"})
    assert "NEW_CONNECTION_REFUSED" in cli(*update, stdin=missing).failed(CONNECTION_FAILED)
    after = tenant.administrator.get(before["id"])
    assert (after["version"], after["connectionStatus"]) == (before["version"], "SUCCESS")
    forced = cli(*update, "--force", stdin=missing)
    assert "the change is stored" in forced.failed(CONNECTION_FAILED)
    # Changing the description succeeds although the connection does not work.
    cli(*update, stdin='{"description": "Nightly"}').succeeded()
    after = tenant.administrator.get(before["id"])
    assert (after["version"], after["connectionStatus"]) == (before["version"] + 2, "FAILED")


# ----------------------------------------------------------------------------------------------------------------------
# Files
# ----------------------------------------------------------------------------------------------------------------------


def test_a_dry_run_asks_nobody(bare: CommandLine, record: Record) -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    record.secrets.add(secret)
    content = {
        "interval": "EVERY_2_HOURS",
        "bucketName": "acme-audit",
        "region": "eu-west-1",
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "secretAccessKey": secret,
    }
    # Works without a profile and a URL.
    path = bare.write("export.json", content)
    shown = bare("config", "create", path, "--dry-run").succeeded()
    assert "createS3AccessKeyExportConfiguration" in shown
    assert "(given, not shown)" in shown
    sent = bare("config", "create", path, "--dry-run", "--output", "json").json()
    assert sent["data"] == {name: value for name, value in content.items() if name != "secretAccessKey"}
    update = bare("config", "update", UNKNOWN_ID, "-", "--dry-run", "--output", "json", stdin='{"bucketPath": null}')
    assert update.json()["data"] == {"id": UNKNOWN_ID, "bucketPath": None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "line 1"),
        ("[]", "one JSON object"),
        ({"buckeName": "a"}, "did you mean bucketName?"),
        ({"roleArn": "arn:aws:iam::222222222222:role/a", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "both a role"),
        ({"interval": "EVERY_2_HOURS"}, "give roleArn"),
        ({"interval": "DAILY", "roleArn": "role"}, "INTERVAL_INVALID"),
    ],
)
def test_errors_of_a_file_are_named(bare: CommandLine, content: Any, words: str) -> None:
    path = bare.write("export.json", content)
    refused = bare("config", "create", path, "--dry-run").failed(FILE_FAILED)
    assert words in refused
    assert str(path) in refused


def test_refused_fields_are_reported_one_by_one(
    cli: CommandLine, stack: Stack, tenant: Tenant, role_file: Path
) -> None:
    # Only the service knows its account.
    content = json.loads(role_file.read_text()) | {"roleArn": f"arn:aws:iam::{stack.account}:role/a"}
    refused = cli("config", "create", "-", stdin=json.dumps(content)).failed(REFUSED)
    assert "ROLE_IN_SERVICE_ACCOUNT" in refused
    assert "audit-export explain INVALID_INPUT" in refused
    assert tenant.administrator.list() == []


# ----------------------------------------------------------------------------------------------------------------------
# The service's address
# ----------------------------------------------------------------------------------------------------------------------


def test_profiles(bare: CommandLine, stack: Stack, make_tenant: Callable[..., Tenant]) -> None:
    tenants = [make_tenant(), make_tenant()]
    assert bare("profile", "list").succeeded().startswith("0 profiles ")
    assert "audit-export profile set" in bare("config", "list").failed(WRONG_ARGUMENTS)
    first, second = (tenant.administrator.token for tenant in tenants)
    token_file = bare.write("token", first)
    bare("profile", "set", "first", "--url", stack.api_url, "--token-file", token_file).succeeded()
    bare("profile", "set", "second", "--url", stack.api_url, "--token-environment", "SECOND").succeeded()
    printing = ["--token-command", "cat", str(token_file)]
    bare("profile", "set", "third", "--url", stack.api_url, *printing).succeeded()
    path = bare.home / ".config" / "audit-export" / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    destination = {"interval": "EVERY_24_HOURS", "bucketName": "acme-audit", "region": "eu-west-1"}
    role = {"roleArn": "arn:aws:iam::222222222222:role/a"}
    bare("config", "create", "-", stdin=json.dumps(destination | role)).succeeded()

    def count(*arguments: str, **environment: str) -> int:
        return len(bare("config", "list", "--output", "json", *arguments, **environment).json())

    # The first profile is the default.
    assert (count(), count("--profile", "third")) == (1, 1)
    assert count("--profile", "second", SECOND=second) == 0
    assert count(AUDIT_EXPORT_PROFILE="second", SECOND=second) == 0
    # The more direct setting wins.
    assert count(AUDIT_EXPORT_TOKEN=second) == 0
    assert count("--token-file", str(token_file), AUDIT_EXPORT_TOKEN=second) == 1
    assert "SECOND, which isn't set" in bare("config", "list", "--profile", "second").failed(WRONG_ARGUMENTS)
    bare("profile", "use", "second").succeeded()
    assert count(SECOND=second) == 0
    listed = bare("profile", "list").succeeded()
    assert "*  second" in listed
    assert first not in listed
    # A token is sent only to its profile's host.
    elsewhere = bare("config", "list", "--profile", "first", "--url", "https://example.com").failed(WRONG_ARGUMENTS)
    assert "the token of profile first is for" in elsewhere
    path.chmod(0o644)
    assert f"chmod 600 '{path}'" in bare("config", "list").failed(FILE_FAILED)


def test_events_and_verification_take_the_profile_too(cli: CommandLine, stack: Stack, tenant: Tenant) -> None:
    writing = cli.write("write-token", tenant.write_token)
    cli("profile", "set", "writer", "--url", stack.api_url, "--token-file", writing).succeeded()
    events = "".join(json.dumps(event) + "\n" for event in make_events(3))
    sent = cli("events", "send", "-", "--profile", "writer", "--output", "json", stdin=events)
    assert sent.json()["accepted"] == 3
    empty = cli.home / "copy"
    empty.mkdir()
    # The service's keys are fetched before the folder is found to be empty.
    verified = cli("verify", empty, "--profile", "local", "--output", "json")
    assert json.loads(verified.output)["verdict"] == "BROKEN", (verified.output, verified.errors)
    assert verified.exit_code == 6


def test_a_token_that_is_not_taken(cli: CommandLine, tenant: Tenant) -> None:
    wrong = cli.write("wrong", "e30.e30.e30")
    assert "UNAUTHENTICATED" in cli("config", "list", "--token-file", wrong).failed(TOKEN_REFUSED)
    # This token only permits sending events.
    writing = cli.write("write-token", tenant.write_token)
    assert "FORBIDDEN" in cli("config", "list", "--token-file", writing).failed(TOKEN_REFUSED)
    assert "holds no token" in cli("config", "list", "--token-file", cli.write("empty", "\n")).failed(FILE_FAILED)


def test_a_token_that_ends_is_warned_of(cli: CommandLine, tenant: Tenant, token: TokenFactory) -> None:
    now = int(time.time())
    ending = cli.write("ending", token(tenant.name, "AUDIT", exp=now + 200))
    listed = cli("config", "list", "--token-file", ending)
    listed.succeeded()
    assert "warning: the token expires in " in listed.errors
    expired = cli.write("expired", token(tenant.name, "AUDIT", exp=now - 3_600))
    refused = cli("config", "list", "--token-file", expired)
    assert refused.exit_code == TOKEN_REFUSED, refused
    assert "warning: the token expired 1h" in refused.errors
    assert "The token has expired" in refused.errors


def test_unknown_ids_are_not_found(cli: CommandLine) -> None:
    for command in ["get", "test", "run", "enable", "disable", "jobs", "policies"]:
        assert "NOT_FOUND" in cli("config", command, UNKNOWN_ID).failed(NOT_FOUND), command
    assert "NOT_FOUND" in cli("config", "delete", UNKNOWN_ID, "--yes").failed(NOT_FOUND)
    assert "NOT_FOUND" in cli("config", "tasks", f"{UNKNOWN_ID}.1").failed(NOT_FOUND)
    assert "NOT_FOUND" in cli("config", "update", UNKNOWN_ID, "-", stdin="{}").failed(NOT_FOUND)
    assert "UUID" in cli("config", "get", "7").failed(WRONG_ARGUMENTS)


# ----------------------------------------------------------------------------------------------------------------------
# Other servers
# ----------------------------------------------------------------------------------------------------------------------


def read_request(connection: socket.socket) -> None:
    """Reads a whole request: to close a connection with unread data would reset it, and lose the response."""
    request = b""
    while b"\r\n\r\n" not in request and (chunk := connection.recv(65_536)):
        request += chunk
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    left = int(length[1]) - len(body) if length else 0
    while left > 0 and (chunk := connection.recv(65_536)):
        left -= len(chunk)


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Starts local servers that send one fixed response; returns the URL."""
    listeners: list[socket.socket] = []

    def serve(listener: socket.socket, answer: bytes) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            # The test has ended.
            except OSError:
                return
            with closing(connection):
                read_request(connection)
                connection.sendall(answer)

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


PAGE = "<!DOCTYPE html><html><head><title>Corporate proxy\x1b[2J</title></head></html>"


def answer(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body.encode())}", "connection: close", *headers, "", body]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer("200 OK", PAGE, "content-type: text/html"), "a web page (Corporate proxy[2J) answered"),
        (answer("407 Proxy Authentication Required", PAGE), "HTTPS_PROXY"),
        (answer("502 Bad Gateway", PAGE), "a proxy or load balancer answered"),
        (answer("503 Service Unavailable", PAGE), "a proxy or load balancer answered"),
        (answer("302 Found", "", "location: https://login.example.com/"), "a redirect to https://login.example.com/"),
        (answer("200 OK", '{"hello": "world"}'), "something other than the service answered"),
        (answer("403 Forbidden", '{"message": "Missing Authentication Token"}'), "the stage"),
        (b"", "closed the connection"),
    ],
)
def test_responses_of_other_servers_are_explained(
    bare: CommandLine, answering: Callable[[bytes], str], given: bytes, words: str
) -> None:
    token_file = bare.write("token", "a-token")
    error = bare("config", "list", "--url", answering(given), "--token-file", token_file).failed(UNAVAILABLE)
    assert words in error
    assert "\x1b" not in error
    assert "a-token" not in error
    # The first line says what happened, the second what to check.
    assert error.count("\n") == 2


def test_a_creation_without_a_response_can_be_repeated(
    cli: CommandLine, answering: Callable[[bytes], str], tenant: Tenant, role_file: Path
) -> None:
    elsewhere: list[str | Path] = ["--url", answering(b""), "--token-file", cli.home / "token"]
    error = cli("config", "create", role_file, *elsewhere).failed(UNAVAILABLE)
    assert "The request may have taken effect" in error
    key = error.split("--idempotency-key ")[1].split()[0]
    first, second = (cli("config", "create", role_file, "--idempotency-key", key, "--output", "json") for _ in "ab")
    assert first.json()["id"] == second.json()["id"]
    assert len(tenant.administrator.list()) == 1


def test_nobody_answers(bare: CommandLine) -> None:
    token_file = bare.write("token", "a-token")
    listing: list[str | Path] = ["config", "list", "--token-file", token_file, "--url"]
    # Bound, so that no other server gets the port, but not listening.
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert "connection refused" in bare(*listing, f"http://127.0.0.1:{port}").failed(UNAVAILABLE)
    assert "(DNS)" in bare(*listing, "https://audit-export.invalid").failed(UNAVAILABLE)
    assert "only for a stack on this machine" in bare(*listing, "http://example.com").failed(WRONG_ARGUMENTS)


def test_another_stage_is_not_the_service(cli: CommandLine, stack: Stack) -> None:
    """The emulator's own error for a path that is not deployed."""
    error = cli("config", "list", "--url", stack.endpoint, "--token-file", cli.home / "token").failed(UNAVAILABLE)
    assert "Check --url" in error


# ----------------------------------------------------------------------------------------------------------------------
# Output
# ----------------------------------------------------------------------------------------------------------------------


def test_colors_are_for_terminals(cli: CommandLine, role_file: Path) -> None:
    cli("config", "create", role_file).succeeded()
    # A spinner moves the cursor, without colours.
    color = re.compile(r"\x1b\[[0-9;]*m")
    assert "\x1b[" not in cli("config", "list").succeeded()
    assert color.search(cli("config", "list", "--color", "always").succeeded())
    _, shown = cli.at_terminal("config", "list")
    assert color.search(shown)
    for never in [{"NO_COLOR": "1"}, {"TERM": "dumb"}]:
        _, shown = CommandLine(cli.command, cli.home, cli.record, never).at_terminal("config", "list")
        assert not color.search(shown), never


@pytest.mark.parametrize("shell", SHELLS)
def test_completions(bare: CommandLine, shell: str) -> None:
    script = bare("completions", shell).succeeded()
    for word in ["config", "exportConfig", "policies", "--cloudformation"]:
        assert word.removeprefix("--") in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=COMMAND_TIMEOUT_SECONDS)


def test_help_lists_the_exit_codes(bare: CommandLine) -> None:
    shown = bare("--help").succeeded()
    for code in [UNAVAILABLE, WRONG_ARGUMENTS, REFUSED, TOKEN_REFUSED, FILE_FAILED, CONNECTION_FAILED, NOT_FOUND]:
        assert f"\n {code:2}  " in shown
    assert f"\n {CONFLICT:2}  " in shown
    assert f"\n {NOT_CONFIRMED:2}  " in shown
    assert f"\n {UNHEALTHY:2}  " in shown
