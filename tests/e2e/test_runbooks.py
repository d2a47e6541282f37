"""The commands of docs/RUNBOOKS.md, run by a shell on the stack. Only the names of the examples are changed.

What stops all exports, or deploys, can't be run beside other tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local.settings import ROOT, STACK_NAME, aws_environment
from infra.local.stack import Stack
from infra.local.verification import COMPLETE, Verifier
from tests.e2e.harness import SHARDS, Customer, CustomerFactory, make_events

RUNBOOKS = ROOT / "docs" / "RUNBOOKS.md"
COMMAND_SECONDS = 120
# The names of the examples in the document.
EXAMPLE_STACK, EXAMPLE_TENANT, EXAMPLE_TABLE = "audit-export", "acme", "restored"


# Version 1 of the AWS CLI, which the tools have, reads binary values as text. This is version 2's put-item.
PUT_ITEM = """\
import argparse, base64, json, boto3
parser = argparse.ArgumentParser()
for name in ("--table-name", "--item", "--condition-expression"):
    parser.add_argument(name, required=True)
parser.add_argument("--cli-binary-format", required=True, choices=["base64"])
given = parser.parse_args()
item = json.load(open(given.item.removeprefix("file://")))
for value in item.values():
    if "B" in value:
        value["B"] = base64.b64decode(value["B"], validate=True)
boto3.client("dynamodb").put_item(TableName=given.table_name, Item=item, ConditionExpression=given.condition_expression)
"""
AWS = """\
aws() {
  if [ "$1 $2" = "dynamodb put-item" ]; then "$PYTHON" -c "$PUT_ITEM" "${@:3}"; else command aws "$@"; fi
}
"""


@dataclass(frozen=True)
class Runbooks:
    """The fenced blocks of the document, and a shell with the definitions of its introduction."""

    stack: Stack
    folder: Path

    def block(self, section: str, beginning: str) -> str:
        """Returns the command of a section that begins like this."""
        [text] = re.findall(
            rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.MULTILINE | re.DOTALL
        )
        blocks = [
            re.sub(r"^ +", "", found, flags=re.MULTILINE) for found in re.findall(r"```\n(.*?)```", text, re.DOTALL)
        ]
        [command] = [found for found in blocks if found.removeprefix("$ ").startswith(beginning)]
        return command

    def run(self, command: str, **examples: str) -> str:
        """Runs a command with other names than the examples'; returns what it prints."""
        definitions = self.block("Before you start", "STACK=").replace(f"STACK={EXAMPLE_STACK}", f"STACK={STACK_NAME}")
        for example, name in examples.items():
            assert example in command
            command = command.replace(example, name)
        environment = aws_environment(self.stack.endpoint) | {"PYTHON": sys.executable, "PUT_ITEM": PUT_ITEM}
        ran = subprocess.run(
            ["bash", "-c", f"set -euo pipefail\n{AWS}{definitions}\n{command}"],
            cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{command}\n{ran.stdout[-2_000:]}\n{ran.stderr[-2_000:]}"
        return ran.stdout


@pytest.fixture
def runbooks(stack: Stack, tmp_path: Path) -> Runbooks:
    return Runbooks(stack, tmp_path)


@pytest.fixture
def restored_table(stack: Stack) -> Iterator[str]:
    name = f"restored-{uuid.uuid4().hex}"
    yield name
    stack.client("dynamodb").delete_table(TableName=name)


def delete_blocks(customer: Customer) -> None:
    client, table = customer.stack.client("dynamodb"), customer.stack.tables["events"]
    for block in customer.tenant.stored_blocks():
        client.delete_item(TableName=table, Key={name: block[name] for name in ("partition", "blockId")})


@pytest.mark.requires("table restores")
def test_restored_blocks_are_exported_once(
    runbooks: Runbooks, customers: CustomerFactory, verifier: Verifier, restored_table: str
) -> None:
    customer = customers.with_role()
    exported = customer.tenant.send(make_events(30))
    customer.run_export(exported)
    waiting = customer.tenant.send(make_events(20))
    # The emulator restores the table as it is now.
    restore = runbooks.block("Restore", "aws dynamodb restore-table-to-point-in-time")
    runbooks.run(restore, **{EXAMPLE_TABLE: restored_table})
    delete_blocks(customer)
    assert customer.tenant.stored_ids() == []
    copy = runbooks.block("Restore", "aws dynamodb query")
    for shard in range(SHARDS):
        names = {EXAMPLE_TABLE: restored_table, f"{EXAMPLE_TENANT}#00": f"{customer.tenant.name}#{shard:02}"}
        runbooks.run(copy, **names)
    assert sorted(customer.tenant.stored_ids()) == sorted(exported + waiting)
    events = customer.run_export(exported + waiting)
    assert [event["id"] for event in events] == exported + waiting
    status, report = verifier.bucket(customer.account, customer.id)
    assert (status, report["verdict"]) == (COMPLETE, "COMPLETE")


def test_the_heads_of_all_chains_are_saved_before_a_key_is_rotated(
    runbooks: Runbooks, customers: CustomerFactory, verifier: Verifier
) -> None:
    customer = customers.with_role()
    customer.run_export(customer.tenant.send(make_events(5)))
    runbooks.run(runbooks.block("A compromised key", "aws dynamodb scan"))
    heads = dict(line.split("\t") for line in (runbooks.folder / "heads.tsv").read_text().splitlines())
    head = json.loads(heads[f"{customer.tenant.name}#{customer.id}"])
    status, _ = verifier.bucket(customer.account, customer.id, "--expect-head", head["sha256"])
    assert status == COMPLETE


def test_the_key_policy_is_the_one_of_the_runbook(runbooks: Runbooks) -> None:
    command, *printed = runbooks.block("A compromised key", "aws kms get-key-policy").split("\n")
    expected = [line for line in printed if line.startswith('"')]
    assert len(expected) > 2
    assert runbooks.run(command.removeprefix("$ ")).splitlines() == expected


def test_a_region_that_responds_has_no_circuit(runbooks: Runbooks) -> None:
    block = runbooks.block("A Region is down", "logged exporter")
    look = block[block.index("aws dynamodb") :]
    region = f"eu-{uuid.uuid4().hex[:8]}-1"
    assert runbooks.run(look, **{"eu-central-1": region}).strip() == "None"
    circuit = {"run": {"S": f"region#{region}"}, "item": {"S": "circuit"}, "circuit": {"S": json.dumps({"probe": 1})}}
    client, table = runbooks.stack.client("dynamodb"), runbooks.stack.tables["runs"]
    client.put_item(TableName=table, Item=circuit)
    try:
        assert json.loads(runbooks.run(look, **{"eu-central-1": region})) == {"probe": 1}
    finally:
        client.delete_item(TableName=table, Key={name: circuit[name] for name in ("run", "item")})


def test_a_pass_over_the_outbox_responds_as_printed(runbooks: Runbooks) -> None:
    command, _, printed = runbooks.block("Notices", "aws lambda invoke").removeprefix("$ ").partition("\n{")
    # Version 1 of the AWS CLI takes the payload as it is.
    runbooks.run(command, **{"--cli-binary-format raw-in-base64-out": ""})
    response = json.loads((runbooks.folder / "response.json").read_text())
    assert set(response) == set(json.loads("{" + printed))


def test_the_notices_of_later_versions_are_listed(runbooks: Runbooks) -> None:
    listing = runbooks.block("Upgrade", "for shard in").partition("\nITEM=")[0]
    client, table = runbooks.stack.client("dynamodb"), runbooks.stack.tables["configurations"]
    # No pass reads this partition. The command asks for eight, which are the same here.
    tenant, partition = f"tenant-{uuid.uuid4().hex[:12]}", f"NOTICE#{uuid.uuid4().hex}"
    keys = [{"tenantId": {"S": tenant}, "id": {"S": f"notice#{of}{uuid.uuid4().hex}"}} for of in ("", f"{tenant}#")]
    for key in keys:
        client.put_item(TableName=table, Item=key | {"schedulePartition": {"S": partition}})
    try:
        printed = runbooks.run(listing, **{"NOTICE#$shard": partition})
        assert [json.loads(line) for line in printed.splitlines()] == [keys[1]] * 8
    finally:
        for key in keys:
            client.delete_item(TableName=table, Key=key)


def test_the_limit_of_concurrent_executions_is_shown(runbooks: Runbooks) -> None:
    [command] = [
        line
        for line in runbooks.block("Throttling", "logged api-access").splitlines()
        if "get-account-settings" in line
    ]
    assert json.loads(runbooks.run(command))["ConcurrentExecutions"] > 0
