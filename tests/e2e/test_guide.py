"""The commands of docs/CUSTOMER_GUIDE.md, docs/BUCKETS.md, and of the shell in docs/READING.md, run by a shell in an empty
folder, in the order of the guide. Only the reader's settings are changed. Each reader here has a separate AWS account.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.local.settings import ROOT, TOOLS
from infra.local.stack import MARKER, CustomerAccount, Stack
from tests.e2e.guide import BLOCKS, GUIDE, READING_BLOCKS, Block, athena_columns, json_documents, statements
from tests.e2e.harness import SETTLE_SECONDS, Tenant

# The guide's policies are tested only where policies are enforced.
pytestmark = pytest.mark.requires("iam enforcement", "trust policies")

TEMPLATE = ROOT / "infra" / "customer" / "cloudformation.yaml"
TERRAFORM = TEMPLATE.parent / "terraform"
CODES = ROOT / "docs" / "reference" / "ERRORS.md"
REGION = "eu-west-1"
BUCKET_PATH = "audit/logs"
EVENTS = 1_500
SEED = 41
FLOW_SECONDS = 480
# The actions of audit events for changes to the configuration.
CHANGES = "AUDIT_EXPORT_CONFIGURATION"

BEFORE = ["Before you start"]
ROLE = ["A1. The bucket", "A2. The export", "A3. The role", "A4. Test the connection", "A5. Export now"]
KEY = ["B1. The bucket", "B2. The user", "B3. The export", "B4. Narrow the permission, and test", "B5. Export now"]
STATUS = "See how the export is doing"
NOTICES = "Receive notices"
SEARCH = "Search and query"
VERIFY = "Verify"
CHECK = [STATUS, NOTICES, VERIFY, "Put lost files back", SEARCH, "Read the files", "gunzip and jq"]
ENCRYPT = "A bucket that is encrypted with KMS"
FOREIGN = "A bucket of another account"
AFTER_SETUP = "After setup"
ROTATE = "Rotate an access key"
MOVE = "Move to another bucket"
DELETE = "Pause, and delete"

# What can be followed: the guide, and then the shell's commands of the page on reading.
STEPS = [*BLOCKS, *(replace(block, tags=frozenset()) for block in READING_BLOCKS if "shell" in block.tags)]


@dataclass
class Reader:
    """A reader who follows the guide, with a separate folder and AWS account."""

    stack: Stack
    tenant: Tenant
    folder: Path
    environment: dict[str, str]
    settings: dict[str, str]
    choices: frozenset[str]
    sent: list[str] = field(default_factory=list)
    outputs: list[tuple[Block, str]] = field(default_factory=list)

    @property
    def bucket(self) -> CustomerAccount:
        return CustomerAccount(
            self.stack, self.settings["BUCKET_OWNER"], REGION, self.settings["BUCKET"], self.settings["BUCKET_PATH"]
        )

    def follow(
        self,
        sections: list[str],
        as_bucket_owner: tuple[str, ...] = (),
        before: dict[str, str] | None = None,
        pasted: tuple[str, ...] = (),
    ) -> None:
        """Runs the sections' commands in one shell, which stops at the first failure. Those of `as_bucket_owner` get the
        credentials of the bucket's account. Commands in `before` run before their section. Sections in `pasted` go on after a
        failure, as in the shell of a person who pastes them.
        """
        script = ["set -euo pipefail"]
        chosen: list[Block] = []
        for section in sections:
            found = [
                block
                for block in STEPS
                if (block.section, block.language) == (section, "sh") and block.tags <= self.choices | {"settings"}
            ]
            # Some sections are for readers of the command line alone.
            assert found or any((block.section, block.language) == (section, "sh") for block in STEPS), section
            if before and section in before:
                script.append(before[section])
            if section in pasted:
                script.append("set +eo pipefail")
            if section in as_bucket_owner:
                script.append(f"export AWS_ACCESS_KEY_ID={self.settings['BUCKET_OWNER']}")
            for block in found:
                mark = f"=== line {block.line}"
                text = self.with_settings(block) if "settings" in block.tags else block.text
                script += [f"echo '{mark}'", f"echo '{mark}' >&2", text]
                chosen.append(block)
            if section in pasted:
                script.append("set -eo pipefail")
            if section in as_bucket_owner:
                script.append(f"export AWS_ACCESS_KEY_ID={self.settings['ACCOUNT']}")
        script.append('echo "${ID:-}" > id')
        ran = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=FLOW_SECONDS, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"exit code {ran.returncode}\n{ran.stdout[-4_000:]}\n{ran.stderr[-4_000:]}"
        parts = re.split(r"^=== line (\d+)\n", ran.stdout, flags=re.MULTILINE)
        assert parts[1::2] == [str(block.line) for block in chosen]
        self.outputs = list(zip(chosen, parts[2::2], strict=True))

    def with_settings(self, block: Block) -> str:
        """Returns the block of settings with this reader's values instead of the example's."""
        lines = []
        for line in block.text.splitlines():
            found = re.fullmatch(r"(?:export )?([A-Z_]+)=\S+(?:\s+#.*)?", line)
            assert found, line
            lines.append(f"export {found[1]}='{self.settings[found[1]]}'")
        assert len(lines) == len(self.settings)
        return "\n".join(lines)

    def output_of(self, section: str) -> str:
        return "".join(text for block, text in self.outputs if block.section == section)

    def assert_verified(self) -> None:
        """Asserts that every command of the section on verification found the export complete, with the service's keys."""
        reports = [text for block, text in self.outputs if block.section == VERIFY]
        assert len(reports) == 3
        assert all("COMPLETE" in report for report in reports), reports
        keys = self.tenant.administrator.execute("{ exportSigningKeys { publicKey } }")["exportSigningKeys"]
        assert keys
        assert (self.folder / "digests.pem").read_text() == "".join(key["publicKey"] for key in keys)

    @property
    def id(self) -> str:
        return (self.folder / "id").read_text().strip()

    def lines(self) -> list[str]:
        """Returns the lines in the bucket, read without the guide's commands."""
        bucket = self.bucket
        return [
            line.decode()
            for key in bucket.data_keys(self.id)
            for line in zlib.decompress(bucket.download(key), wbits=31).splitlines()
        ]

    def exported(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]

    def assert_exported(self) -> list[dict[str, Any]]:
        """Asserts that the bucket has the sent events, once and in order, and those of changes to the configuration."""
        exported = self.exported()
        assert [event["id"] for event in exported if event["targetType"] != CHANGES] == self.sent
        changes = [event for event in exported if event["targetType"] == CHANGES]
        assert all(event["tenantId"] == self.tenant.name for event in changes)
        marker = f"{self.settings['BUCKET_PATH']}/{MARKER}"
        assert marker in {entry["Key"] for entry in self.bucket.objects()}
        return exported


@pytest.fixture
def reader(
    request: pytest.FixtureRequest, stack: Stack, tenant: Tenant, command: Path, dev_tools: Path, tmp_path: Path
) -> Reader:
    """A reader with the tools that the guide asks for, whose tenant has received events."""
    choices = request.param
    home, folder, programs = (tmp_path / name for name in ("home", "work", "bin"))
    for directory in (home, folder, programs):
        directory.mkdir()
    (programs / "audit-export").symlink_to(command)
    (programs / "aws").symlink_to(TOOLS / "aws")
    # jaq, one of the tools, understands the same language.
    (programs / "jq").symlink_to(shutil.which("jq") or TOOLS / "jaq")
    (programs / "duckdb").symlink_to(TOOLS / "duckdb")
    shutil.copy(TEMPLATE, folder)
    account, owner = (f"5{random.randrange(10**11):011}" for _ in range(2))
    if "foreign" not in choices:
        owner = account
    token_file = home / "token"
    token_file.write_text(tenant.administrator.token)
    token_file.chmod(0o600)
    credentials = home / "credentials"
    credentials.write_text(f"[bucket-owner]\naws_access_key_id = {owner}\naws_secret_access_key = root\n")
    reader = Reader(
        stack=stack,
        tenant=tenant,
        folder=folder,
        environment={
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": stack.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "root",
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        settings={
            "AUDIT_EXPORT_URL": stack.api_url,
            "AUDIT_EXPORT_TOKEN_FILE": str(token_file),
            "ACCOUNT": account,
            "REGION": REGION,
            "BUCKET": f"acme-audit-{account}",
            "BUCKET_OWNER": owner,
            "BUCKET_PATH": BUCKET_PATH,
        },
        choices=frozenset(choices),
    )
    generated = subprocess.run(
        [dev_tools, "events", "generate", "--tenant", tenant.name, "--count", str(EVENTS), "--seed", str(SEED)],
        capture_output=True, check=True,
    )  # fmt: skip
    reader.sent = tenant.send([json.loads(line) for line in generated.stdout.splitlines()])
    time.sleep(SETTLE_SECONDS)
    return reader


def readers(*choices: tuple[str, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("reader", choices, ids="-".join, indirect=True)


# ----------------------------------------------------------------------------------------------------------------------
# The how-tos
# ----------------------------------------------------------------------------------------------------------------------


@readers(("cli", "iam", "terraform"), ("graphql", "iam"), ("cli", "cloudformation"), ("graphql", "cloudformation"))
def test_with_a_role(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.follow([*BEFORE, *ROLE, *CHECK])
    exported = reader.assert_exported()
    assert "health" in reader.output_of(STATUS)
    reader.assert_verified()
    found = reader.output_of(SEARCH)
    table, _, counts = found.partition("date,action,count_star()\n")
    assert table.startswith("TIME "), found
    assert len(table.splitlines()) == 11, found
    lines = (reader.folder / "events.ndjson").read_text().splitlines()
    # Changes of the configuration may have been exported since.
    assert lines == reader.lines()[: len(lines)]
    counted = sum(int(row.rpartition(",")[2]) for row in counts.splitlines())
    assert EVENTS <= len(lines) <= counted <= len(exported)
    assert_readable(reader, exported, monkeypatch)
    if "terraform" in reader.choices:
        values = json.loads((reader.folder / "terraform.tfvars.json").read_text())
        variables = (TERRAFORM / "variables.tf").read_text()
        assert set(values) == set(re.findall(r'^variable "(\w+)"', variables, re.MULTILINE))
        assert (values["external_id"], values["bucket_path"]) == (reader.id, BUCKET_PATH)


@readers(("cli",), ("graphql",))
def test_with_an_access_key(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.follow([*BEFORE, *KEY, *CHECK])
    exported = reader.assert_exported()
    reader.assert_verified()
    assert_readable(reader, exported, monkeypatch)
    # The guide says to delete the files with the secret. Exported audit events name the key's ID alone.
    [key] = iam(reader).list_access_keys(UserName="audit-export")["AccessKeyMetadata"]
    files = [file for file in reader.folder.iterdir() if file.is_file() and file.name != "events.ndjson"]
    assert not [file for file in files if key["AccessKeyId"] in file.read_text()]


@readers(("cli", "iam"), ("graphql", "iam"))
def test_an_encrypted_bucket_a_move_and_the_end(reader: Reader) -> None:
    reader.follow([*BEFORE, *ROLE, ENCRYPT, "A4. Test the connection", MOVE, "A4. Test the connection", DELETE])
    reader.assert_exported()
    assert reader.tenant.administrator.list() == []
    role = iam(reader).get_role_policy(RoleName="audit-export", PolicyName="audit-export")["PolicyDocument"]
    assert f"{reader.settings['BUCKET']}-2/" in json.dumps(role)
    new = f"{reader.settings['BUCKET']}-2"
    assert reader.stack.client("s3", reader.settings["ACCOUNT"]).head_object(Bucket=new, Key=f"{BUCKET_PATH}/{MARKER}")


@readers(("cli",))
def test_the_later_sections_after_setup(reader: Reader) -> None:
    """Setup chooses another path and another role than the settings have."""
    answers = {
        "interval": "EVERY_24_HOURS",
        "bucketName": reader.settings["BUCKET"],
        "bucketPath": "audit-export",
        "region": REGION,
        "roleArn": f"arn:aws:iam::{reader.settings['ACCOUNT']}:role/audit-export-1a2b3c4d",
        "startFrom": "earliest",
    }
    (reader.folder / "answers.json").write_text(json.dumps(answers))
    setup = """
audit-export setup --answers answers.json --yes
ID=$(audit-export config list --output json | jq --raw-output '.[0].id')
"""
    reader.choices |= {"setup"}
    reader.follow([*BEFORE, ROLE[0], AFTER_SETUP, *CHECK, ENCRYPT], before={AFTER_SETUP: setup})
    reader.settings["BUCKET_PATH"] = "audit-export"
    reader.assert_exported()
    reader.assert_verified()
    policies = iam(reader).list_role_policies(RoleName="audit-export-1a2b3c4d")["PolicyNames"]
    assert "audit-export-key" in policies


@readers(("cli",), ("graphql",))
def test_a_rotated_access_key(reader: Reader) -> None:
    reader.follow([*BEFORE, *KEY, ROTATE, "B4. Narrow the permission, and test"])
    reader.assert_exported()
    [key] = iam(reader).list_access_keys(UserName="audit-export")["AccessKeyMetadata"]
    assert (key["Status"], key["AccessKeyId"]) == ("Active", key_in_use(reader))
    # The files with the secret are gone.
    assert not {"access-key.json", "change.json"} & {file.name for file in reader.folder.iterdir()}


# What goes wrong with the new key, as functions of the shell instead of the program.
WRONG_KEYS = {
    # AWS does not know the new key yet: a wrong secret is refused by the same test.
    "refused": """
aws() { command aws "$@" | sed 's/\\("SecretAccessKey": "\\)[^"]*/\\1wrongwrongwrongwrongwrongwrongwrongwrong/'; }
""",
    # The user had two keys, of which the service uses the second.
    "two-keys": """
aws() {
  case "$*" in *create-access-key*) echo LimitExceeded >&2; return 254 ;; esac
  command aws "$@"
}
""",
}


@pytest.mark.parametrize("fault", WRONG_KEYS)
@readers(("cli",), ("graphql",))
def test_a_rotation_that_fails_keeps_the_key_in_use(reader: Reader, fault: str) -> None:
    second = 'aws iam create-access-key --user-name "$EXPORT_USER" --output json > access-key.json'
    before = {ROTATE: WRONG_KEYS[fault]} | ({KEY[2]: second} if fault == "two-keys" else {})
    reader.follow([*BEFORE, *KEY, ROTATE, "B4. Narrow the permission, and test"], before=before, pasted=(ROTATE,))
    keys = [key["AccessKeyId"] for key in iam(reader).list_access_keys(UserName="audit-export")["AccessKeyMetadata"]]
    assert len(keys) == 2
    assert key_in_use(reader) in keys
    # The new secret is still there, so that the update can be repeated.
    created = (reader.folder / "access-key.json").read_text()
    assert (fault == "refused") == bool(created)
    assert not created or key_in_use(reader) != json.loads(created)["AccessKey"]["AccessKeyId"]


def key_in_use(reader: Reader) -> str:
    [configuration] = reader.tenant.administrator.list()
    return configuration["endpointConfiguration"]["accessKeyId"]


@readers(("cli", "token"))
def test_a_profile_gets_a_token_for_each_command(reader: Reader) -> None:
    token_file = Path(reader.settings["AUDIT_EXPORT_TOKEN_FILE"])
    current = token_file.with_name("current")
    current.write_text(token_file.read_text())
    program = Path(reader.environment["PATH"].partition(os.pathsep)[0]) / "print-audit-token"
    program.write_text(f"#!/bin/sh\nexec cat '{current}'\n")
    program.chmod(0o755)
    # The program gives a valid token, the file an unusable one.
    token_file.write_text("expired")
    reader.follow(BEFORE)
    variables = {name: reader.settings[name] for name in ("AUDIT_EXPORT_URL", "AUDIT_EXPORT_TOKEN_FILE")}
    refused = subprocess.run(
        ["audit-export", "config", "list"],
        cwd=reader.folder, env=reader.environment | variables, capture_output=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 4, refused


@readers(("cli", "iam", "foreign"), ("graphql", "iam", "foreign"))
def test_a_bucket_of_another_account(reader: Reader) -> None:
    assert reader.settings["ACCOUNT"] != reader.settings["BUCKET_OWNER"]
    bucket, export, role, test, run = ROLE
    reader.follow([*BEFORE, bucket, export, role, FOREIGN, test, run], as_bucket_owner=(bucket, run))
    reader.assert_exported()


def iam(reader: Reader) -> Any:
    return reader.stack.client("iam", reader.settings["ACCOUNT"])


# ----------------------------------------------------------------------------------------------------------------------
# Reading the files
# ----------------------------------------------------------------------------------------------------------------------


def assert_readable(reader: Reader, exported: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(reader.folder)
    assert_jq_counts_right(reader, exported)
    assert_duckdb_counts_right(exported)
    assert_athena_knows_every_column(reader)


def assert_jq_counts_right(reader: Reader, exported: list[dict[str, Any]]) -> None:
    count, _, rest = reader.output_of("gunzip and jq").partition("\n")
    assert int(count) == len(exported)
    *last, actions = json_documents(rest)
    assert last == exported[-3:]
    assert actions == Counter(event["action"] for event in exported)
    rows = (reader.folder / "events.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows] == [event["eventTimestamp"] for event in exported]


def assert_duckdb_counts_right(exported: list[dict[str, Any]]) -> None:
    view, per_day, slowest, targets = statements("duckdb")
    with duckdb.connect() as database:
        database.execute(view)
        found = {(str(date), action): events for date, action, events in database.execute(per_day).fetchall()}
        assert found == Counter((event["receivedTimestamp"][:10], event["action"]) for event in exported)
        rows = database.execute(slowest).fetchall()
        durations = sorted(
            (event["auditPayload"]["durationMs"] for event in exported if event["action"] == "QUERY"), reverse=True
        )
        assert [milliseconds for _, milliseconds, _ in rows] == durations[:10]
        assert all(name and query for name, _, query in rows)
        assert Counter(database.execute(targets).fetchall()) == Counter(
            (event["id"], target["type"], str(target["id"])) for event in exported for target in event["targets"]
        )
        missing = (
            "SELECT count(*) FROM audit_events WHERE id IS NULL OR eventTimestamp IS NULL OR receivedTimestamp IS NULL"
        )
        assert database.execute(missing).fetchone() == (0,)
        assert described(database, "audit_events") == athena_columns()


def assert_athena_knows_every_column(reader: Reader) -> None:
    """Asserts that Athena's table has every field that DuckDB finds in the files, and that its location is theirs."""
    with duckdb.connect() as database:
        database.execute(
            "CREATE VIEW found AS SELECT * FROM read_json('audit-log/date=*/*.ndjson.gz', format = 'newline_delimited',"
            " hive_partitioning = true, sample_size = -1, map_inference_threshold = -1)"
        )
        found = described(database, "found")
    athena = athena_columns()
    assert set(found) <= set(athena), set(found) - set(athena)
    [ddl] = statements("athena")
    [location] = re.findall(r"LOCATION '(s3://[^']+/)'", ddl)
    [template] = re.findall(r"'storage.location.template' = '([^']+)'", ddl)
    assert template == f"{location}date=${{date}}/"
    folder = re.escape(f"{reader.settings['BUCKET_PATH']}/{reader.id}/")
    keys = [entry["Key"] for entry in reader.bucket.objects(f"{reader.settings['BUCKET_PATH']}/{reader.id}/")]
    in_days = [key for key in keys if re.match(rf"{folder}date=\d{{4}}-\d\d-\d\d/", key)]
    assert sorted(in_days) == reader.bucket.data_keys(reader.id)
    assert all(key.startswith(f"{BUCKET_PATH}/{reader.id}/_digests/") for key in set(keys) - set(in_days))


def described(database: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Returns the columns and types in Athena's notation: in lower case, with string for types that Athena lacks."""
    rows = database.execute(f"DESCRIBE {relation}").fetchall()
    return {name.lower(): as_athena_type(type_) for name, type_, *_ in rows}


def as_athena_type(type_: str) -> str:
    """Returns the type in Athena's notation."""
    return "string" if type_ in {"VARCHAR", "JSON", "DATE", "TIMESTAMP WITH TIME ZONE"} else type_.lower()


# ----------------------------------------------------------------------------------------------------------------------
# The text
# ----------------------------------------------------------------------------------------------------------------------


def test_every_command_of_the_guide_is_run_by_a_test_here() -> None:
    followed = {*BEFORE, *ROLE, *KEY, *CHECK, AFTER_SETUP, ENCRYPT, FOREIGN, ROTATE, MOVE, DELETE}
    assert {block.section for block in STEPS if block.language == "sh"} == followed
    assert {tag for block in BLOCKS for tag in block.tags} == {
        "settings", "token", "setup", "cli", "graphql", "iam", "cloudformation", "terraform", "stack", "receiver",
    }  # fmt: skip
    # test_notifications.py runs the Python, and test_customer_template.py what is for a stack that made the bucket. The text is commands with IDs and servers to fill in: cli/customer/src/reference.rs
    # parses them, test_replay.py and test_s3_servers.py run such ones.
    assert {block.language for block in BLOCKS} == {"sh", "python", "text"}


def test_every_way_to_fail_has_a_remedy() -> None:
    section = CODES.read_text().partition("## Connection")[2].partition("\n## ")[0]
    codes = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert len(codes) >= 11
    troubleshooting = GUIDE.read_text().partition("## Troubleshooting")[2]
    assert (
        set(re.findall(r"^\| `([A-Z_]+)` \|", troubleshooting, re.MULTILINE)) - {"SUCCESS", "FAILED", "PENDING"}
        >= codes
    )


def test_every_link_leads_somewhere() -> None:
    text = GUIDE.read_text()
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        if file:
            assert (GUIDE.parent / file).exists(), target
        else:
            assert anchor in anchors, target
