"""Runs the conformance tests of the stores (tests/store-conformance) on the DynamoDB at DYNAMODB_ENDPOINT.

Creates the tables of template.yaml for the run and deletes them at the end. emulator.py and dynamodb_local.py set
DYNAMODB_ENDPOINT.

Usage: python -m infra.local.stores [ARGUMENT…], which is passed to the tests, such as a part of a test's name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from samtranslator.yaml_helper import yaml_parse

from infra.local.settings import REGION, ROOT, SERVICE_ACCOUNT, aws_environment

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
TABLES = {name: found for name, found in TEMPLATE["Resources"].items() if found["Type"] == "AWS::DynamoDB::Table"}
# The properties that CreateTable takes under CloudFormation's names. The others concern retention and protection.
SCHEMA = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
# Its environment has the name of every table.
FUNCTION = "ExporterFunction"


@contextmanager
def tables(endpoint: str) -> Iterator[dict[str, str]]:
    """Creates each table of the template; yields their names under the variables that a function reads them from."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=SERVICE_ACCOUNT,
        aws_secret_access_key="local",
    )
    run = uuid.uuid4().hex[:8]
    names: dict[str, str] = {}
    try:
        for logical_id, table in TABLES.items():
            properties, name = table["Properties"], f"{logical_id}-{run}"
            client.create_table(TableName=name, **{key: properties[key] for key in SCHEMA if key in properties})
            names[logical_id] = name
            client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
            client.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])
        variables = TEMPLATE["Resources"][FUNCTION]["Properties"]["Environment"]["Variables"]
        yield {
            variable: names[value["Ref"]]
            for variable, value in variables.items()
            if isinstance(value, dict) and value.get("Ref") in names
        }
    finally:
        for name in names.values():
            client.delete_table(TableName=name)


def main(arguments: list[str]) -> int:
    endpoint = os.environ["DYNAMODB_ENDPOINT"]
    # With the features of the whole workspace, so that nothing is compiled a second time.
    command = ["cargo", "test", "--workspace", "--locked", "--test", "stores", "--", "--ignored", *arguments]
    with tables(endpoint) as names:
        environment = aws_environment(endpoint) | names
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    # Deletes the tables on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
