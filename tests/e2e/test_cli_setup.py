"""The interactive commands `setup`, `config test` and `config run --wait`, as a person sees them at a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from infra.local.settings import ROOT, STACK_FILE, TOOLS
from infra.local.stack import MARKER, REQUEST_TIMEOUT_SECONDS, Credentials, CustomerAccount, Stack, wait_until
from tests.e2e.guide import read_blocks, setup_permissions
from tests.e2e.harness import (
    KEY_ACCOUNT,
    PATIENCE_SECONDS,
    ROLE_ACCOUNT,
    SETTLE_SECONDS,
    CustomerFactory,
    Record,
    Tenant,
    TokenFactory,
    make_events,
    pass_midnight,
)
from tests.e2e.pseudo_terminal import COLUMNS, PseudoTerminal

# The wizard waits until the policies are in place, so they must be enforced.
pytestmark = pytest.mark.requires("iam enforcement", "trust policies")

DEVELOPMENT = ROOT / "docs" / "DEVELOPMENT.md"
REGION = "eu-west-1"
PATH = "audit/export"
# The path that the wizard chooses in a bucket of the account.
WIZARD_PATH = "audit-export"
# The longest time from the start of the wizard to the verified first file.
SETUP_SECONDS = 60
# More than `config run --wait` is given.
COMMAND_SECONDS = 240
READY = "Press Enter to test the connection"
FAILED = "retry, change, policies or quit"
EXIT_ARGUMENTS, EXIT_FILE, EXIT_CONNECTION, EXIT_UNFINISHED = 2, 5, 7, 12


@dataclass
class Desk:
    """A person's machine: an empty home directory, a token, and the command line."""

    command: Path
    directory: Path
    stack: Stack
    tenant: Tenant
    token: str = field(repr=False)

    @property
    def token_file(self) -> Path:
        return self.directory / "token"

    @property
    def settings(self) -> Path:
        return self.directory / "home" / ".config" / "audit-export"

    @property
    def state(self) -> Path:
        return self.settings / "config.setup.json"

    def environment(self, account: CustomerAccount | None = None, **changes: str) -> dict[str, str]:
        """Returns the complete environment, with the credentials of `account` if it is given."""
        environment = {
            "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.directory / "home"),
            "TERM": "xterm-256color",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if account is not None:
            environment |= {
                "AWS_ENDPOINT_URL": self.stack.endpoint,
                "AWS_ACCESS_KEY_ID": account.account,
                "AWS_SECRET_ACCESS_KEY": "root",
                "AWS_DEFAULT_REGION": account.region,
            }
        return environment | changes

    def keep_profile(self, url: str | None = None) -> None:
        url = url or self.stack.api_url
        self.run("profile", "set", "local", "--url", url, "--token-file", str(self.token_file))

    def terminal(self, *arguments: str, account: CustomerAccount | None = None, **changes: str) -> PseudoTerminal:
        return PseudoTerminal([self.command, *arguments], self.environment(account, **changes), self.directory)

    def run(
        self, *arguments: str, code: int = 0, account: CustomerAccount | None = None, **changes: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command without a terminal."""
        done = subprocess.run(
            [self.command, *arguments],
            env=self.environment(account, **changes),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == code, done
        return done

    def policies(self) -> Path:
        """Returns the folder that the wizard wrote."""
        (folder,) = self.directory.glob("audit-export-*")
        return folder

    def apply_policies(self, account: CustomerAccount) -> None:
        """Runs the commands that the wizard wrote, in the customer's account."""
        subprocess.run(
            ["sh", "commands.sh"],
            cwd=self.policies(),
            env=self.environment(account),
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=True,
        )

    def run_shown_command(self, shown: str, account: CustomerAccount) -> None:
        """Runs the command that the wizard showed, in the customer's account."""
        command = shown[shown.index("aws cloudformation deploy") :].partition("\n\n")[0]
        subprocess.run(
            ["sh", "-c", command],
            cwd=self.directory,
            env=self.environment(account),
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=True,
        )

    def configurations(self) -> list[dict[str, Any]]:
        return self.tenant.administrator.list()


@pytest.fixture
def desk(command: Path, tmp_path: Path, stack: Stack, tenant: Tenant, token: TokenFactory) -> Desk:
    desk = Desk(command, tmp_path, stack, tenant, token(tenant.name, "AUDIT"))
    (tmp_path / "home").mkdir()
    desk.token_file.write_text(f"{desk.token}\n")
    return desk


@pytest.fixture
def account(customers: CustomerFactory) -> CustomerAccount:
    return customers.account(ROLE_ACCOUNT, REGION, path=PATH)


def role_arn(account: CustomerAccount) -> str:
    return account.role_arn(f"setup-{uuid.uuid4().hex[:12]}")


def answer_destination(terminal: PseudoTerminal, account: CustomerAccount) -> None:
    terminal.answer("Hours between two exports", "2")
    terminal.answer("Bucket", account.bucket)
    terminal.answer("Path in the bucket", account.path or "")
    terminal.answer("Region of the bucket", account.region)
    terminal.answer("ARN of the bucket's KMS key", "")
    terminal.answer("Account that owns the bucket", "")


def answer_role(terminal: PseudoTerminal, account: CustomerAccount) -> None:
    """Answers the wizard's questions up to the one whether the policies are in place."""
    terminal.answer("role or access-key", "")
    answer_destination(terminal, account)
    terminal.answer("ARN of the role", role_arn(account))
    terminal.answer("Create it?", "yes")


def answer_access_key(terminal: PseudoTerminal, account: CustomerAccount, credentials: Credentials) -> None:
    """Answers the wizard's questions up to the one for the secret."""
    terminal.answer("role or access-key", "access-key")
    terminal.answer("URL of the S3 server", "")
    answer_destination(terminal, account)
    terminal.answer("Access key ID", credentials.access_key_id)
    terminal.answer("Create it?", "yes")


def assert_can_write(account: CustomerAccount) -> None:
    account.s3.head_object(Bucket=account.bucket, Key=account.prefix + MARKER)


# ----------------------------------------------------------------------------------------------------------------------
# With a role
# ----------------------------------------------------------------------------------------------------------------------


def test_a_role_from_nothing_to_success(desk: Desk, account: CustomerAccount) -> None:
    with desk.terminal("setup") as terminal:
        # No service is known yet.
        terminal.answer("URL, for example", "nonsense")
        terminal.expect("This is not a URL.")
        terminal.answer("URL, for example", desk.stack.api_url)
        terminal.answer("File with the token", "nowhere")
        terminal.answer("File with the token", desk.token_file.name)
        terminal.answer("Name of the profile", "")
        terminal.answer("role or access-key", "")
        terminal.answer("Hours between two exports", "3")
        terminal.expect("INTERVAL_INVALID")
        answer_destination(terminal, account)
        terminal.answer("ARN of the role", f"arn:aws:iam::{desk.stack.account}:role/x")
        terminal.expect("ROLE_IN_SERVICE_ACCOUNT")
        terminal.answer("ARN of the role", role_arn(account))
        summary = terminal.answer("Create it?", "")
        assert account.bucket in summary and REGION in summary

        # The policies are written to files, and only one command is shown.
        shown = terminal.expect(READY)
        (configuration,) = desk.configurations()
        assert configuration["id"] in shown and "trust-policy.json" in shown and "aws cloudformation deploy" in shown
        assert "sts:ExternalId" not in shown and "aws iam create-role" not in shown
        trust = json.loads((desk.policies() / "trust-policy.json").read_text())
        condition = trust["Statement"][0]["Condition"]
        assert condition["StringEquals"]["sts:ExternalId"] == configuration["externalId"]

        # The policies are not in place yet: each check is shown, with the fix.
        terminal.type("")
        shown = terminal.expect(FAILED)
        assert "✗" in shown and "audit-export explain ROLE_NOT_ASSUMABLE" in shown
        desk.apply_policies(account)
        terminal.type("retry")
        shown = terminal.expect("can be written to")
        assert "✓" in shown and "SUCCESS" in shown
        terminal.expect("The first file comes")
        assert terminal.wait() == 0
    assert [found["connectionStatus"] for found in desk.configurations()] == ["SUCCESS"]
    assert_can_write(account)
    # Only the profile is left.
    assert sorted(path.name for path in desk.settings.iterdir()) == ["config.toml"]
    assert (desk.settings / "config.toml").stat().st_mode & 0o777 == 0o600


def test_an_interrupted_setup_goes_on(desk: Desk, account: CustomerAccount) -> None:
    desk.keep_profile()
    # While it was asking …
    with desk.terminal("setup") as terminal:
        terminal.answer("role or access-key", "role")
        terminal.answer("Hours between two exports", "4")
        terminal.answer("Bucket", account.bucket)
        terminal.expect("Path in the bucket")
    assert desk.state.stat().st_mode & 0o777 == 0o600
    with desk.terminal("setup") as terminal:
        terminal.expect("Continuing the unfinished setup")
        terminal.answer("Path in the bucket", PATH)
        terminal.answer("Region of the bucket", REGION)
        terminal.answer("ARN of the bucket's KMS key", "")
        terminal.answer("Account that owns the bucket", "")
        terminal.answer("ARN of the role", role_arn(account))
        terminal.answer("Create it?", "yes")
        # … and after it had created the configuration.
        shown = terminal.expect(READY)
    assert desk.token not in desk.state.read_text()
    desk.run_shown_command(shown, account)
    with desk.terminal("setup") as terminal:
        terminal.expect("Continuing the unfinished setup")
        terminal.answer(READY, "")
        terminal.expect("can be written to")
        assert terminal.wait() == 0
    (configuration,) = desk.configurations()
    assert (configuration["interval"], configuration["connectionStatus"]) == ("EVERY_4_HOURS", "SUCCESS")
    assert not desk.state.exists()


class LosingServer(BaseHTTPRequestHandler):
    """Forwards requests to the service, but closes the connection on the first that creates something."""

    target: str
    lost: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers}
        answer = requests.post(self.target + self.path, data=body, headers=headers, timeout=REQUEST_TIMEOUT_SECONDS)
        if b"createS3" in body and not self.lost.is_set():
            assert "errors" not in answer.json()
            self.lost.set()
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: Any) -> None:
        """Writes nothing."""


@pytest.fixture
def losing_server(stack: Stack) -> Iterator[tuple[str, threading.Event]]:
    lost = threading.Event()
    handler = type("Handler", (LosingServer,), {"target": stack.api_url, "lost": lost})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", lost
        server.shutdown()


def test_a_creation_whose_response_was_lost_is_found_again(
    desk: Desk, account: CustomerAccount, losing_server: tuple[str, threading.Event]
) -> None:
    url, lost = losing_server
    desk.keep_profile(url)
    with desk.terminal("setup") as terminal:
        answer_role(terminal, account)
        terminal.expect("creates nothing twice")
        assert terminal.wait() == 1
    assert lost.is_set()
    (configuration,) = desk.configurations()
    with desk.terminal("setup") as terminal:
        shown = terminal.expect(READY)
        assert configuration["id"] in shown
    assert [found["id"] for found in desk.configurations()] == [configuration["id"]]

    # The saved progress of one service is not used for another.
    refused = desk.run("setup", "--answers", "-", "--url", desk.stack.api_url, code=EXIT_FILE)
    assert "must be one JSON object" in refused.stderr or "is not valid JSON" in refused.stderr
    with desk.terminal("setup", "--url", desk.stack.api_url, "--token-file", str(desk.token_file)) as terminal:
        terminal.expect("is not finished")
        assert terminal.wait() == EXIT_ARGUMENTS


def test_a_wrong_bucket_is_changed_on_the_way(desk: Desk, account: CustomerAccount) -> None:
    desk.keep_profile()
    wrong = CustomerAccount(desk.stack, account.account, REGION, f"missing-{uuid.uuid4().hex[:12]}", PATH)
    with desk.terminal("setup") as terminal:
        answer_role(terminal, wrong)
        terminal.expect(READY)
        desk.apply_policies(wrong)
        # The role's permissions must match the new bucket.
        role = desk.configurations()[0]["endpointConfiguration"]["roleArn"].rsplit("/", 1)[1]
        account.client("iam").put_role_policy(
            RoleName=role, PolicyName="audit-export", PolicyDocument=json.dumps(account.export_policy())
        )
        terminal.type("")
        shown = terminal.expect(FAILED)
        assert re.search("BUCKET_NOT_FOUND|WRITE_DENIED", shown)
        terminal.type("change")
        terminal.answer("Bucket", account.bucket)
        if "WRITE_DENIED" in shown:
            terminal.answer("Path in the bucket", "")
        terminal.answer("Region of the bucket", "")
        if "WRITE_DENIED" in shown:
            terminal.answer("Account that owns the bucket", "")
        terminal.expect("can be written to")
        assert terminal.wait() == 0
    assert [found["endpointConfiguration"]["bucketName"] for found in desk.configurations()] == [account.bucket]
    assert_can_write(account)


# ----------------------------------------------------------------------------------------------------------------------
# With AWS credentials
# ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(customers: CustomerFactory) -> CustomerAccount:
    """An account with a bucket, and the path that the wizard chooses."""
    return customers.account(ROLE_ACCOUNT, REGION, path=WIZARD_PATH)


def stacks_of(account: CustomerAccount, configuration: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the stacks for a configuration."""
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    name = f"audit-export-{configuration['id']}"
    return [stack for page in pages for stack in page["Stacks"] if stack["StackName"] == name]


def test_with_credentials_from_nothing_to_a_verified_first_file(
    desk: Desk, own: CustomerAccount, record_property: Callable[[str, object], None]
) -> None:
    # The events of one day are in one file.
    pass_midnight()
    desk.keep_profile()
    desk.tenant.send(make_events(5))
    time.sleep(SETTLE_SECONDS)
    started = time.monotonic()
    with desk.terminal("setup", account=own) as terminal:
        terminal.expect(f"AWS account {own.account}, as root, Region {REGION}")
        terminal.expect("The buckets of your account")
        terminal.answer("Bucket (", own.bucket)
        terminal.answer("Hours between two exports", "")
        summary = terminal.answer("Create these?", "")
        assert "24 hours" in summary and f"{own.bucket} in {REGION} (exists" in summary
        assert f"s3://{own.bucket}/{WIZARD_PATH}" in summary and own.account in summary
        shown = terminal.expect("Verified: every event received before")
        assert terminal.wait() == 0
    seconds = time.monotonic() - started
    record_property("seconds", seconds)
    print(f"setup with credentials, up to the verified first file: {seconds:.1f} s")
    assert seconds < SETUP_SECONDS

    (configuration,) = desk.configurations()
    assert (configuration["interval"], configuration["connectionStatus"]) == ("EVERY_24_HOURS", "SUCCESS")
    # The creation of the configuration is an event, too, and may be in another file.
    first = own.data_keys(configuration["id"])[0]
    assert "The first file: " in shown and f"s3://{own.bucket}/{first}" in shown
    assert len([line for line in shown.splitlines() if line.startswith("{")]) == 3
    [events] = re.findall(r"unchanged \((\d+) events, \d+ files?, \d+ signed digests?\)", terminal.shown)
    assert int(events) >= 5
    assert "sts:ExternalId" not in terminal.shown
    [stack] = stacks_of(own, configuration)
    undo = f"aws cloudformation delete-stack --region {REGION} \\\n    --stack-name {stack['StackName']}"
    assert undo in terminal.shown
    assert not desk.state.exists()


def test_the_permissions_in_the_guide_suffice_for_setup_and_for_its_undo(
    desk: Desk, customers: CustomerFactory, record: Record
) -> None:
    # The emulator checks the calls of the command line. What CloudFormation needs for the role: test_customer_template.py.
    own = customers.account(ROLE_ACCOUNT, REGION, path=WIZARD_PATH, encrypted=True)
    assert own.kms_key_arn is not None
    # A default without the account, so that the key has to be looked up.
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": own.kms_key_arn.rpartition("/")[2]}
    own.s3.put_bucket_encryption(
        Bucket=own.bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    permitted = {"Effect": "Allow", "Action": setup_permissions(), "Resource": "*"}
    user = own.create_user(f"setup-{uuid.uuid4().hex[:12]}", policy={"Version": "2012-10-17", "Statement": [permitted]})
    record.secrets.add(user.secret_access_key)
    variables = {"AWS_ACCESS_KEY_ID": user.access_key_id, "AWS_SECRET_ACCESS_KEY": user.secret_access_key}
    pass_midnight()
    desk.keep_profile()
    desk.tenant.send(make_events(1))
    time.sleep(SETTLE_SECONDS)
    with desk.terminal("setup", account=own, **variables) as terminal:
        terminal.expect("The buckets of your account")
        terminal.answer("Bucket (", own.bucket)
        terminal.answer("Hours between two exports", "")
        terminal.answer("Create these?", "yes")
        terminal.expect("Verified: every event received before")
        assert terminal.wait() == 0
    (configuration,) = desk.configurations()
    assert configuration["endpointConfiguration"]["kmsKeyArn"] == own.kms_key_arn
    [stack] = stacks_of(own, configuration)
    cloudformation = desk.stack.client("cloudformation", user, REGION)
    cloudformation.delete_stack(StackName=stack["StackName"])
    wait_until(
        lambda: {left["StackStatus"] for left in stacks_of(own, configuration)} <= {"DELETE_COMPLETE"},
        f"the deletion of {stack['StackName']}",
        timeout_seconds=PATIENCE_SECONDS,
    )
    role = configuration["endpointConfiguration"]["roleArn"].rpartition("/")[2]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        own.client("iam").get_role(RoleName=role)


def test_an_interrupted_setup_with_credentials_creates_nothing_twice(desk: Desk, own: CustomerAccount) -> None:
    desk.keep_profile()
    with desk.terminal("setup", account=own) as terminal:
        terminal.answer("Bucket (", own.bucket)
        # The Region and the rest are found out before this question.
        terminal.expect("Hours between two exports")
    with desk.terminal("setup", account=own) as terminal:
        terminal.expect("Continuing the unfinished setup")
        terminal.answer("Hours between two exports", "2")
        terminal.answer("Create these?", "yes")
        terminal.expect("Creating the CloudFormation stack")
    # The yes is remembered: there is no further question.
    with desk.terminal("setup", account=own) as terminal:
        terminal.expect("Continuing the unfinished setup")
        terminal.expect("can be written to")
        assert terminal.wait() == 0
    (configuration,) = desk.configurations()
    assert configuration["connectionStatus"] == "SUCCESS"
    [stack] = stacks_of(own, configuration)
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    assert_can_write(own)


def test_with_credentials_a_bucket_is_created(desk: Desk) -> None:
    desk.keep_profile()
    account = CustomerAccount(desk.stack, ROLE_ACCOUNT, REGION, f"new-{uuid.uuid4().hex[:12]}", WIZARD_PATH)
    with desk.terminal("setup", account=account) as terminal:
        terminal.answer("Bucket (", "Not_A_Bucket")
        terminal.expect("A bucket name has 3 to 63")
        terminal.answer("Bucket (", account.bucket)
        terminal.answer("Hours between two exports", "6")
        summary = terminal.answer("Create these?", "yes")
        assert f"{account.bucket} in {REGION} (new" in summary
        terminal.expect("The stack has the role")
        # The new bucket takes only requests over TLS, which the emulator does not have. The test is repeated meanwhile.
        account.s3.delete_bucket_policy(Bucket=account.bucket)
        terminal.expect("can be written to")
        assert terminal.wait() == 0
    assert_can_write(account)
    block = account.s3.get_public_access_block(Bucket=account.bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}


def test_credentials_are_not_used_against_a_no(desk: Desk, own: CustomerAccount) -> None:
    desk.keep_profile()
    # The configuration is created without credentials …
    with desk.terminal("setup", "--manual", account=own) as terminal:
        answer_role(terminal, own)
        terminal.answer(READY, "quit")
        assert terminal.wait() == EXIT_UNFINISHED
    (configuration,) = desk.configurations()
    # … so with credentials it asks first.
    with desk.terminal("setup", account=own) as terminal:
        summary = terminal.answer("Create these?", "no")
        assert f"audit-export-{configuration['id']}" in summary
        terminal.expect(READY)
    assert stacks_of(own, configuration) == []
    with desk.terminal("setup", account=own) as terminal:
        terminal.answer("Create these?", "yes")
        terminal.expect("can be written to")
        assert terminal.wait() == 0
    assert len(stacks_of(own, configuration)) == 1


def test_an_export_on_the_local_stack_as_the_page_on_development_shows(desk: Desk) -> None:
    [block] = [block for block in read_blocks(DEVELOPMENT, "development") if "local" in block.tags]
    *lines, last = block.text.splitlines()
    assert last == "audit-export setup"
    # The description of this stack, and a token of this tenant.
    (desk.directory / ".local").mkdir()
    (desk.directory / ".local" / "stack.json").symlink_to(STACK_FILE)
    programs = desk.directory / "bin"
    programs.mkdir()
    (programs / "audit-export").symlink_to(desk.command)
    environment = desk.environment()
    script = [f"make() {{ cat '{desk.token_file}'; }}", *lines, "env -0"]
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(script)],
        cwd=desk.directory, env=environment | {"PATH": f"{programs}{os.pathsep}{environment['PATH']}"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran
    variables = dict(re.findall(r"(AWS_\w+)=([^\0]*)\0", ran.stdout))
    account = CustomerAccount(
        desk.stack, variables["AWS_ACCESS_KEY_ID"], variables["AWS_DEFAULT_REGION"], "acme-local-audit", WIZARD_PATH
    )
    # The program's setup would go on with exactly these.
    assert variables.items() <= desk.environment(account).items()
    with desk.terminal("setup", account=account) as terminal:
        terminal.answer("Bucket (", account.bucket)
        terminal.answer("Hours between two exports", "")
        terminal.answer("Create these?", "yes")
        terminal.expect("can be written to")
        terminal.expect("To verify:")
        assert terminal.wait() == 0
    assert_can_write(account)


# ----------------------------------------------------------------------------------------------------------------------
# With an access key
# ----------------------------------------------------------------------------------------------------------------------


def test_a_secret_is_typed_unseen(desk: Desk, customers: CustomerFactory, record: Record) -> None:
    account = customers.account(KEY_ACCOUNT, REGION)
    credentials = customers.user(account)
    wrong = (uuid.uuid4().hex + uuid.uuid4().hex)[:40]
    record.secrets.add(wrong)
    desk.keep_profile()
    with desk.terminal("setup") as terminal:
        answer_access_key(terminal, account, credentials)
        terminal.answer("Secret access key of", "short")
        terminal.expect("SECRET_ACCESS_KEY_INVALID")
        # An unknown access key: the test reports it, and asks for another.
        terminal.answer("Secret access key of", wrong)
        shown = terminal.answer(FAILED, "change")
        assert "audit-export explain SECRET_ACCESS_KEY_WRONG" in shown
        terminal.answer("Access key ID", "")
        terminal.answer("Secret access key of", credentials.secret_access_key)
        terminal.expect("can be written to")
        assert terminal.wait() == 0
        assert wrong not in terminal.shown and credentials.secret_access_key not in terminal.shown
        record.answers.append(terminal.shown)
    assert [found["connectionStatus"] for found in desk.configurations()] == ["SUCCESS"]
    for path in desk.directory.rglob("*"):
        if path.is_file():
            content = path.read_text()
            assert wrong not in content and credentials.secret_access_key not in content, path


def test_an_interrupted_setup_asks_for_the_secret_again(desk: Desk, customers: CustomerFactory) -> None:
    account = customers.account(KEY_ACCOUNT, REGION)
    credentials = customers.user(account)
    desk.keep_profile()
    with desk.terminal("setup") as terminal:
        answer_access_key(terminal, account, credentials)
        terminal.expect("Secret access key of")
    assert desk.configurations() == []
    with desk.terminal("setup") as terminal:
        terminal.answer("Secret access key of", credentials.secret_access_key)
        terminal.expect("can be written to")
        assert terminal.wait() == 0
        assert credentials.secret_access_key not in terminal.shown
    assert_can_write(account)


# ----------------------------------------------------------------------------------------------------------------------
# Without a person
# ----------------------------------------------------------------------------------------------------------------------


def test_without_a_terminal_answers_are_needed(desk: Desk) -> None:
    desk.keep_profile()
    refused = desk.run("setup", code=EXIT_ARGUMENTS)
    assert "--answers" in refused.stderr and refused.stdout == ""


def test_a_script_repeats_it_until_it_succeeds(desk: Desk, account: CustomerAccount) -> None:
    desk.keep_profile()
    answers = {"interval": "EVERY_6_HOURS", "description": "Für die Revision", "roleArn": role_arn(account)}
    file = desk.directory / "answers.json"
    file.write_text(json.dumps(answers | account.destination | {"region": "europe"}))
    refused = desk.run("setup", "--answers", str(file), code=EXIT_FILE)
    assert "REGION_INVALID" in refused.stderr and desk.configurations() == []

    file.write_text(json.dumps(answers | account.destination))
    for _ in range(2):
        failed = desk.run("setup", "--answers", str(file), code=EXIT_CONNECTION)
        assert "ROLE_NOT_ASSUMABLE" in failed.stderr and failed.stdout == ""
    (configuration,) = desk.configurations()

    # Different input does not continue the earlier setup.
    other = desk.directory / "other.json"
    other.write_text(json.dumps(answers | account.destination | {"interval": "EVERY_2_HOURS"}))
    assert "--restart" in desk.run("setup", "--answers", str(other), code=EXIT_FILE).stderr

    desk.apply_policies(account)
    done = desk.run("setup", "--answers", str(file), "--output", "json")
    answer = json.loads(done.stdout)
    assert (answer["id"], answer["connectionStatus"]) == (configuration["id"], "SUCCESS")
    assert [found["id"] for found in desk.configurations()] == [configuration["id"]]
    assert not desk.state.exists()


def test_a_script_with_credentials_needs_one_call(desk: Desk, account: CustomerAccount) -> None:
    desk.keep_profile()
    file = desk.directory / "answers.json"
    file.write_text(json.dumps({"interval": "EVERY_6_HOURS", "roleArn": role_arn(account)} | account.destination))
    setup = ("setup", "--answers", str(file), "--yes")
    assert "needs AWS credentials" in desk.run(*setup, code=EXIT_ARGUMENTS).stderr
    assert desk.configurations() == []
    done = desk.run(*setup, "--output", "json", account=account)
    assert json.loads(done.stdout)["connectionStatus"] == "SUCCESS"
    (configuration,) = desk.configurations()
    assert len(stacks_of(account, configuration)) == 1


def test_a_script_gives_the_secret_in_the_environment(desk: Desk, customers: CustomerFactory) -> None:
    account = customers.account(KEY_ACCOUNT, REGION)
    credentials = customers.user(account)
    desk.keep_profile()
    file = desk.directory / "answers.json"
    answers = {"interval": "EVERY_24_HOURS", "accessKeyId": credentials.access_key_id}
    file.write_text(json.dumps(answers | account.destination))
    setup = ("setup", "--answers", str(file))
    assert "is missing" in desk.run(*setup, code=EXIT_ARGUMENTS).stderr
    done = desk.run(*setup, AUDIT_EXPORT_SECRET_ACCESS_KEY=credentials.secret_access_key)
    assert "can be written to" in done.stdout
    assert credentials.secret_access_key not in done.stdout + done.stderr
    assert len(desk.configurations()) == 1


def test_quitting_has_its_own_exit_code(desk: Desk, account: CustomerAccount) -> None:
    desk.keep_profile()
    with desk.terminal("setup") as terminal:
        answer_role(terminal, account)
        terminal.answer(READY, "quit")
        terminal.expect("continues where it was left")
        assert terminal.wait() == EXIT_UNFINISHED
    # With --restart it asks every question again; the created configuration stays.
    with desk.terminal("setup", "--restart") as terminal:
        terminal.expect("role or access-key")
    assert len(desk.configurations()) == 1 and not desk.state.exists()


# ----------------------------------------------------------------------------------------------------------------------
# config test, config run
# ----------------------------------------------------------------------------------------------------------------------


def test_each_check_has_a_tick_or_a_cross(desk: Desk, customers: CustomerFactory) -> None:
    desk.keep_profile()
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    customer = customers.with_role(tenant=desk.tenant, policy=nothing)
    with desk.terminal("config", "test", customer.id) as terminal:
        assert terminal.wait() == EXIT_CONNECTION
        raw = terminal.raw.decode()
        assert "\x1b[32m✓\x1b[0m" in raw and "\x1b[31m✗\x1b[0m" in raw
        assert "see audit-export explain WRITE_DENIED" in terminal.shown
    # The output to a pipe has no colours; --output json is the API's response.
    plain = desk.run("config", "test", customer.id, code=EXIT_CONNECTION)
    assert "✓" in plain.stdout and "\x1b" not in plain.stdout and "WRITE_DENIED" in plain.stderr
    answer = json.loads(desk.run("config", "test", customer.id, "--output", "json", code=EXIT_CONNECTION).stdout)
    statuses = {check["status"] for check in answer["connectionChecks"]}
    assert {"PASSED", "FAILED"} <= statuses

    mended = customers.with_role(tenant=desk.tenant)
    assert "✗" not in desk.run("config", "test", mended.id).stdout


@pytest.fixture
def exporting(desk: Desk, customers: CustomerFactory) -> Callable[[list[dict[str, Any]]], Any]:
    """A customer whose events were received and have settled."""

    def make(events: list[dict[str, Any]]) -> Any:
        # The events of one day are one file.
        pass_midnight()
        desk.keep_profile()
        customer = customers.with_role(tenant=desk.tenant, startFrom="earliest")
        body = "\n".join(json.dumps(event, ensure_ascii=False) for event in events)
        assert desk.tenant.post_events(body.encode()).status_code == 202
        time.sleep(SETTLE_SECONDS)
        return customer

    return make


def test_the_first_file_is_shown_with_three_events(
    desk: Desk, exporting: Callable[[list[dict[str, Any]]], Any]
) -> None:
    # U+202E reverses the direction of the text after it.
    customer = exporting(make_events(5, action="\u202eQUERY", filler="x" * 500))
    run = ("config", "run", customer.id, "--wait", "--timeout", "2m")
    with desk.terminal(*run, account=customer.account) as terminal:
        assert terminal.wait() == 0
        (key,) = customer.account.data_keys(customer.id)
        assert f"s3://{customer.account.bucket}/{key}" in terminal.shown
        # Each event is on one line that fits, without control characters.
        lines = [line for line in terminal.shown.splitlines() if line.startswith("{")]
        assert len(lines) == 3
        assert all(len(line) == COLUMNS and line.endswith("…") for line in lines)
        assert "\u202e".encode() not in terminal.raw
    stored = zlib.decompress(customer.account.download(key), wbits=31).decode().splitlines()[:3]
    assert any("\u202e" in line for line in stored)
    for line, event in zip(lines, stored, strict=True):
        assert line[:-1] == event.replace("\u202e", "")[: COLUMNS - 1]

    # A run without new events is reported, and succeeds.
    again = desk.run(*run)
    assert "Exported: no events" in again.stdout or "Nothing to export" in again.stdout
    # The job, or null if not even the changes of the configuration are new.
    job = json.loads(desk.run(*run, "--output", "json").stdout)
    assert job is None or (job["exportConfigurationId"], job["status"]) == (customer.id, "SUCCEEDED")


def test_without_credentials_it_says_how_to_look(desk: Desk, exporting: Callable[[list[dict[str, Any]]], Any]) -> None:
    customer = exporting(make_events(4))
    done = desk.run("config", "run", customer.id, "--wait")
    (key,) = customer.account.data_keys(customer.id)
    assert "can't be shown from here" in done.stdout
    assert f"aws s3 cp 's3://{customer.account.bucket}/{key}' - | zcat | head -3" in done.stdout
    # There is no spinner without a terminal.
    assert "\x1b" not in done.stdout and done.stderr == ""


def test_a_run_that_is_refused_shows_why(desk: Desk, customers: CustomerFactory) -> None:
    desk.keep_profile()
    customer = customers.with_role(tenant=desk.tenant, create_role=False, startFrom="earliest")
    desk.tenant.send(make_events(1))
    time.sleep(SETTLE_SECONDS)
    done = desk.run("config", "run", customer.id, "--wait", code=EXIT_CONNECTION)
    assert "✗" in done.stdout and "ROLE_NOT_ASSUMABLE" in done.stderr
