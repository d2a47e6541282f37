"""The deployed stack matches the template, which is tested in infra/lint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local.stack import Stack

FOURTEEN_DAYS = str(14 * 24 * 3_600)
ROLE_PATH = "/audit-export/"
FUNCTIONS = ("Api", "Archiver", "Converter", "Exporter", "Housekeeper", "Ingest", "Notifier", "Page", "Verifier")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(stack: Stack) -> list[tuple[str, dict[str, Any]]]:
    iam = stack.client("iam")
    found = []
    names = [role["RoleName"] for role in iam.list_roles(PathPrefix=ROLE_PATH)["Roles"]]
    # Other tests make and delete roles under this path.
    for name in (name for name in names if name.startswith(stack.description["stackName"])):
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            found += [(name, statement) for statement in document["Statement"]]
    return found


def test_no_deployed_role_has_a_wildcard_action(stack: Stack) -> None:
    all_statements = statements(stack)
    assert len({name for name, _ in all_statements}) >= 5
    for name, statement in all_statements:
        for action in as_list(statement["Action"]):
            assert "*" not in action, (name, statement)
        if statement["Effect"] == "Allow" and statement["Action"] != "sts:AssumeRole":
            for resource in as_list(statement["Resource"]):
                # A function chooses the name of its log stream, and the archiver those of segments.
                assert "*" not in resource.removesuffix(":*").removesuffix("/keep-*"), (name, statement)


def test_each_function_has_its_own_role(stack: Stack) -> None:
    client = stack.client("lambda")
    roles = [client.get_function_configuration(FunctionName=name)["Role"] for name in stack.functions.values()]
    assert len(set(roles)) == len(roles) == len(FUNCTIONS)
    assert all(f"role{ROLE_PATH}" in role for role in roles)


def test_only_who_needs_the_secret_may_decrypt_it(stack: Stack) -> None:
    key = stack.description["secretKeyArn"]
    policy = json.loads(stack.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    decrypting = [s["Principal"] for s in policy["Statement"] if "kms:Decrypt" in as_list(s["Action"])]
    named = {name for name in FUNCTIONS if f"{name}Role" in json.dumps(decrypting)}
    assert named == {"Converter", "Exporter", "Notifier", "Verifier"}


@pytest.mark.parametrize(
    "queue",
    [
        "eventsDeadLetter",
        "runsDeadLetter",
        "manualRunsDeadLetter",
        "conversionsDeadLetter",
        "manualConversionsDeadLetter",
        "schedulesDeadLetter",
    ],
)
def test_dead_letters_are_kept_for_14_days(stack: Stack, queue: str) -> None:
    sqs = stack.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=stack.queues[queue], AttributeNames=["All"])["Attributes"]
    assert attributes["MessageRetentionPeriod"] == FOURTEEN_DAYS


@pytest.mark.parametrize("queue", ["events", "runs", "manualRuns", "conversions", "manualConversions"])
def test_failed_messages_go_to_the_dead_letters(stack: Stack, queue: str) -> None:
    sqs = stack.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=stack.queues[queue], AttributeNames=["All"])["Attributes"]
    dead_letters = sqs.get_queue_attributes(QueueUrl=stack.queues[f"{queue}DeadLetter"], AttributeNames=["QueueArn"])
    target = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
    assert target == dead_letters["Attributes"]["QueueArn"]


@pytest.mark.parametrize("table", ["events", "configurations", "runs"])
def test_tables_are_on_demand(stack: Stack, table: str) -> None:
    """The emulator ignores point-in-time recovery and expiry; infra/lint tests both in the template."""
    description = stack.client("dynamodb").describe_table(TableName=stack.tables[table])["Table"]
    assert description["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_there_is_a_schedule_for_each_interval(stack: Stack) -> None:
    scheduler = stack.client("scheduler")
    names = [entry["Name"] for entry in scheduler.list_schedules(GroupName=stack.description["stackName"])["Schedules"]]
    inputs = [
        json.loads(scheduler.get_schedule(GroupName=stack.description["stackName"], Name=name)["Target"]["Input"])
        for name in names
    ]
    assert sorted(entry["dispatch"]["interval"] for entry in inputs if "dispatch" in entry) == sorted(
        f"EVERY_{hours}_HOURS" for hours in (2, 4, 6, 12, 24)
    )
    # And two for the housekeeper, one for the archiver.
    others = [entry for entry in inputs if "dispatch" not in entry]
    assert sorted(others, key=list) == [{"archive": {}}, {"publishNotices": {}}, {"sweep": {}}]


@pytest.mark.parametrize("function", ["exporter", "converter"])
def test_runs_come_one_by_one(stack: Stack, function: str) -> None:
    mappings = stack.client("lambda").list_event_source_mappings(FunctionName=stack.functions[function])
    sources = mappings["EventSourceMappings"]
    assert len({mapping["EventSourceArn"] for mapping in sources}) == 2, "scheduled and requested runs wait apart"
    for mapping in sources:
        assert mapping["BatchSize"] == 1
        assert "ReportBatchItemFailures" in mapping["FunctionResponseTypes"]
        assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
