"""The permissions of the roles of template.yaml. Each rule is a promise of docs/SECURITY.md."""

from __future__ import annotations

import re
from typing import Any

import pytest

from infra.lint.template import FUNCTIONS, RESOURCES, ROOT, TEMPLATE, as_list, every_action, of_type, statements, target

# All permissions of each role: a new permission has to be added here as well.
PERMITTED = {
    "ApiRole": {
        ("dynamodb:BatchGetItem", "ExportRunsTable"),
        ("dynamodb:ConditionCheckItem", "ExportConfigurationsTable"),
        ("dynamodb:DeleteItem", "ExportConfigurationsTable"),
        ("dynamodb:GetItem", "ExportConfigurationsTable"),
        ("dynamodb:GetItem", "ExportRunsTable"),
        ("dynamodb:PutItem", "AuditEventsTable"),
        ("dynamodb:PutItem", "ExportConfigurationsTable"),
        ("dynamodb:Query", "AuditEventsTable"),
        ("dynamodb:Query", "ExportConfigurationsTable"),
        ("dynamodb:Query", "ExportRunsTable"),
        ("dynamodb:UpdateItem", "ExportConfigurationsTable"),
        ("lambda:InvokeFunction", "NotifierFunction"),
        ("lambda:InvokeFunction", "VerifierFunction"),
        ("logs:CreateLogStream", "ApiLogGroup"),
        ("logs:PutLogEvents", "ApiLogGroup"),
        ("sqs:SendMessage", "ManualRunsQueue"),
    },
    "ArchiverRole": {
        ("dynamodb:GetItem", "ExportRunsTable"),
        ("dynamodb:PutItem", "AuditEventsTable"),
        ("dynamodb:PutItem", "ExportRunsTable"),
        ("dynamodb:Query", "AuditEventsTable"),
        ("dynamodb:Query", "ExportRunsTable"),
        ("dynamodb:UpdateItem", "AuditEventsTable"),
        ("logs:CreateLogStream", "ArchiverLogGroup"),
        ("logs:PutLogEvents", "ArchiverLogGroup"),
        ("s3:GetObject", "${ArchiveBucket.Arn}/keep-*"),
        ("s3:PutObject", "${ArchiveBucket.Arn}/keep-*"),
    },
    "IngestRole": {
        ("dynamodb:GetItem", "AuditEventsTable"),
        ("dynamodb:PutItem", "AuditEventsTable"),
        ("dynamodb:UpdateItem", "AuditEventsTable"),
        ("logs:CreateLogStream", "IngestLogGroup"),
        ("logs:PutLogEvents", "IngestLogGroup"),
        *(
            (f"sqs:{action}", queue)
            for action in ("ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
            for queue in ("EventsQueue", "RuleEventsQueue", "TopicEventsQueue")
        ),
    },
    "VerifierRole": {
        ("dynamodb:GetItem", "ExportConfigurationsTable"),
        ("dynamodb:UpdateItem", "ExportConfigurationsTable"),
        ("logs:CreateLogStream", "VerifierLogGroup"),
        ("logs:PutLogEvents", "VerifierLogGroup"),
        ("sts:AssumeRole", "arn:${AWS::Partition}:iam::*:role/*"),
    },
    "ExporterRole": {
        ("dynamodb:ConditionCheckItem", "ExportRunsTable"),
        ("dynamodb:DeleteItem", "ExportRunsTable"),
        ("dynamodb:GetItem", "AuditEventsTable"),
        ("dynamodb:GetItem", "ExportConfigurationsTable"),
        ("dynamodb:GetItem", "ExportRunsTable"),
        ("dynamodb:PutItem", "ExportRunsTable"),
        ("dynamodb:Query", "AuditEventsTable"),
        ("dynamodb:Query", "ExportRunsTable"),
        ("dynamodb:Query", "${ExportConfigurationsTable.Arn}/index/enabledByInterval"),
        ("dynamodb:UpdateItem", "ExportConfigurationsTable"),
        ("dynamodb:UpdateItem", "ExportRunsTable"),
        ("logs:CreateLogStream", "ExporterLogGroup"),
        ("logs:PutLogEvents", "ExporterLogGroup"),
        ("s3:GetObject", "${ArchiveBucket.Arn}/keep-*"),
        ("sqs:ChangeMessageVisibility", "ManualRunsQueue"),
        ("sqs:ChangeMessageVisibility", "RunsQueue"),
        ("sqs:DeleteMessage", "ManualRunsQueue"),
        ("sqs:DeleteMessage", "RunsQueue"),
        ("sqs:GetQueueAttributes", "ManualRunsQueue"),
        ("sqs:GetQueueAttributes", "RunsQueue"),
        ("sqs:ReceiveMessage", "ManualRunsQueue"),
        ("sqs:ReceiveMessage", "RunsQueue"),
        ("sqs:SendMessage", "ManualRunsQueue"),
        ("sqs:SendMessage", "RunsQueue"),
        ("sqs:SendMessage", "SchedulesDeadLetterQueue"),
        ("sqs:SendMessage", "ConversionQueue"),
        ("sqs:SendMessage", "ManualConversionQueue"),
        ("sts:AssumeRole", "arn:${AWS::Partition}:iam::*:role/*"),
    },
    "ConverterRole": {
        ("dynamodb:ConditionCheckItem", "ExportRunsTable"),
        ("dynamodb:DeleteItem", "ExportRunsTable"),
        ("dynamodb:GetItem", "AuditEventsTable"),
        ("dynamodb:GetItem", "ExportConfigurationsTable"),
        ("dynamodb:GetItem", "ExportRunsTable"),
        ("dynamodb:PutItem", "ExportRunsTable"),
        ("dynamodb:Query", "AuditEventsTable"),
        ("dynamodb:Query", "ExportRunsTable"),
        ("dynamodb:UpdateItem", "ExportConfigurationsTable"),
        ("dynamodb:UpdateItem", "ExportRunsTable"),
        ("logs:CreateLogStream", "ConverterLogGroup"),
        ("logs:PutLogEvents", "ConverterLogGroup"),
        ("s3:GetObject", "${ArchiveBucket.Arn}/keep-*"),
        *(
            (f"sqs:{action}", queue)
            for action in (
                "ChangeMessageVisibility",
                "DeleteMessage",
                "GetQueueAttributes",
                "ReceiveMessage",
                "SendMessage",
            )
            for queue in ("ConversionQueue", "ManualConversionQueue")
        ),
        ("sts:AssumeRole", "arn:${AWS::Partition}:iam::*:role/*"),
    },
    "HousekeeperRole": {
        ("dynamodb:BatchGetItem", "ExportConfigurationsTable"),
        ("dynamodb:DeleteItem", "AuditEventsTable"),
        ("dynamodb:DeleteItem", "ExportConfigurationsTable"),
        ("dynamodb:DeleteItem", "ExportRunsTable"),
        ("dynamodb:GetItem", "ExportRunsTable"),
        ("dynamodb:PutItem", "ExportConfigurationsTable"),
        ("dynamodb:PutItem", "ExportRunsTable"),
        ("dynamodb:Query", "AuditEventsTable"),
        ("dynamodb:Query", "ExportConfigurationsTable"),
        ("dynamodb:Query", "ExportRunsTable"),
        ("dynamodb:Query", "${ExportConfigurationsTable.Arn}/index/enabledByInterval"),
        ("dynamodb:Scan", "ExportRunsTable"),
        ("dynamodb:UpdateItem", "AuditEventsTable"),
        ("dynamodb:UpdateItem", "ExportConfigurationsTable"),
        ("dynamodb:UpdateItem", "ExportRunsTable"),
        ("events:PutEvents", "NoticeBus"),
        ("logs:CreateLogStream", "HousekeeperLogGroup"),
        ("logs:PutLogEvents", "HousekeeperLogGroup"),
        ("s3:DeleteObjectVersion", "${ArchiveBucket.Arn}/keep-*"),
        ("s3:ListBucketVersions", "ArchiveBucket"),
        ("sqs:SendMessage", "WebhooksQueue"),
    },
    "NotifierRole": {
        ("logs:CreateLogStream", "NotifierLogGroup"),
        ("logs:PutLogEvents", "NotifierLogGroup"),
        ("sqs:DeleteMessage", "WebhooksQueue"),
        ("sqs:GetQueueAttributes", "WebhooksQueue"),
        ("sqs:ReceiveMessage", "WebhooksQueue"),
        ("sqs:SendMessage", "WebhooksQueue"),
    },
    "PageRole": {
        ("logs:CreateLogStream", "PageLogGroup"),
        ("logs:PutLogEvents", "PageLogGroup"),
    },
    "ScheduleRole": {
        ("lambda:InvokeFunction", "ArchiverFunction"),
        ("lambda:InvokeFunction", "ExporterFunction"),
        ("lambda:InvokeFunction", "HousekeeperFunction"),
        ("sqs:SendMessage", "SchedulesDeadLetterQueue"),
    },
    "LastExportRole": {
        ("kms:Decrypt", "arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"),
        ("kms:GenerateDataKey", "arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"),
        ("sns:Publish", "AlarmTopicArn"),
    },
}
# The keys of blocks, and what the sweep reads and writes of the archive's rows.
ARCHIVE_ATTRIBUTES = {
    "partition",
    "blockId",
    "bucket",
    "expiresAt",
    "archivedFrom",
    "archivedThrough",
    "segmentsThrough",
    "extendedThrough",
    "keptThrough",
}


@pytest.mark.parametrize("role", PERMITTED)
def test_role_is_permitted_exactly_this(role: str) -> None:
    permitted = {
        (action, target(resource))
        for statement in statements(role)
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    assert permitted == PERMITTED[role]


def test_the_api_counts_events_and_reads_none() -> None:
    (counts,) = [
        s
        for s in statements("ApiRole")
        if "AuditEventsTable" in map(target, as_list(s["Resource"]))
        and {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"} & set(as_list(s["Action"]))
    ]
    assert counts["Action"] == "dynamodb:Query"
    assert counts["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["partition", "blockId", "eventCount"]},
        "Null": {"dynamodb:Attributes": "false"},
        "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
    }


def test_the_verifier_writes_outcomes_and_progress_of_tests_and_nothing_else() -> None:
    (write,) = [
        s
        for s in statements("VerifierRole")
        if "ExportConfigurationsTable" in map(target, as_list(s["Resource"])) and s["Action"] != "dynamodb:GetItem"
    ]
    assert write["Action"] == "dynamodb:UpdateItem"
    outcome = {"connectionStatus", "connectionCheckedAt", "connectionError", "principalArn"}
    progress = {"connectionTest", "testStartedAt", "testRevision"}
    compared = {"version", "connectionVersion"}
    assert set(write["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]) == (
        {"tenantId", "id"} | outcome | progress | compared
    )
    assert write["Condition"]["StringEqualsIfExists"] == {"dynamodb:ReturnValues": "NONE"}


@pytest.mark.parametrize("role", ["ExporterRole", "ConverterRole"])
def test_runs_change_no_destination_identity_or_secret(role: str) -> None:
    writes = [
        s
        for s in statements(role)
        if s["Effect"] == "Allow"
        and "ExportConfigurationsTable" in map(target, as_list(s["Resource"]))
        and not set(as_list(s["Action"])) <= {"dynamodb:GetItem", "dynamodb:Query"}
    ]
    assert [(s["Sid"], s["Action"]) for s in writes] == [("StoreProgress", "dynamodb:UpdateItem")]
    condition = writes[0]["Condition"]
    assert condition["StringEqualsIfExists"] == {"dynamodb:ReturnValues": "NONE"}
    # The attributes of an item that no run writes; end-to-end tests show that those which it does write suffice.
    sources = ROOT / "shared" / "aws-adapters" / "src" / "configurations"
    stored = set(re.findall(r'pub\(crate\) const \w+: &str = "(\w+)";', (sources / "item.rs").read_text()))
    permitted = set(condition["ForAllValues:StringEquals"]["dynamodb:Attributes"])
    assert permitted <= stored
    secret = {"roleArn", "bucketName", "sealedSecret", "accessKeyId", "endpointUrl", "webhooks", "enabled"}
    assert secret <= stored - permitted


def test_the_housekeeper_can_not_delete_the_row_of_a_tenant() -> None:
    (deletes,) = [s for s in statements("HousekeeperRole") if s["Sid"] == "DeleteEvents"]
    assert deletes["Condition"]["ForAllValues:StringNotLike"] == {"dynamodb:LeadingKeys": ["#archive#*"]}
    assert deletes["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}


def test_the_housekeeper_reads_neither_secrets_nor_events() -> None:
    reads = {
        s["Sid"]: s["Condition"]
        for s in statements("HousekeeperRole")
        if {"AuditEventsTable", "ExportConfigurationsTable"} & set(map(target, as_list(s["Resource"])))
        and {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"} & set(as_list(s["Action"]))
    }
    attributes = {
        "ReadStandings": set(projection("observed")),
        "ListTenant": set(projection("observed")),
        "ReadNotices": set(projection("outbox")),
        "ListEvents": ARCHIVE_ATTRIBUTES,
    }
    assert set(reads) == set(attributes)
    for sid, condition in reads.items():
        assert condition["Null"] == {"dynamodb:Attributes": "false"}
        # BatchGetItem has no such parameter.
        select = {} if sid.startswith("Read") else {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}
        assert condition.get("StringEquals", {}) == select
        permitted = set(condition["ForAllValues:StringEquals"]["dynamodb:Attributes"])
        assert permitted == attributes[sid]
        assert not {"sealedSecret", "accessKeyId", "roleArn", "bucketName", "description"} & permitted


def test_the_housekeeper_changes_no_more_of_an_event_than_its_expiry() -> None:
    (update,) = [
        s
        for s in statements("HousekeeperRole")
        if target(s["Resource"]) == "AuditEventsTable" and s["Action"] == "dynamodb:UpdateItem"
    ]
    assert set(update["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]) == ARCHIVE_ATTRIBUTES
    assert update["Condition"]["StringEqualsIfExists"] == {"dynamodb:ReturnValues": "NONE"}
    assert {"block", "crc32c", "eventCount"}.isdisjoint(ARCHIVE_ATTRIBUTES)


def test_the_housekeeper_writes_notices_and_nothing_else_of_configurations() -> None:
    writes = {
        s["Sid"]: (s["Action"], s["Condition"])
        for s in statements("HousekeeperRole")
        if target(s["Resource"]) == "ExportConfigurationsTable"
        and s["Action"] in ("dynamodb:PutItem", "dynamodb:UpdateItem")
    }
    queued = set(projection("outbox")) - {"onBus"} | {"schedulePartition"}
    permitted = {
        "QueueNotices": ("dynamodb:PutItem", queued),
        "NoteNoticed": ("dynamodb:UpdateItem", {"tenantId", "id", "version", "noticed"}),
        "NoteOnBus": ("dynamodb:UpdateItem", {"tenantId", "id", "onBus"}),
    }
    assert set(writes) == set(permitted)
    for sid, (action, attributes) in permitted.items():
        written, condition = writes[sid]
        assert written == action
        # A write always has attributes: its key.
        assert set(condition["ForAllValues:StringEquals"]["dynamodb:Attributes"]) == attributes
        assert condition["StringEqualsIfExists"] == {"dynamodb:ReturnValues": "NONE"}


def test_a_deletion_of_the_housekeeper_returns_no_secret_and_no_event() -> None:
    deletions = [s for s in statements("HousekeeperRole") if "dynamodb:DeleteItem" in as_list(s["Action"])]
    conditions = {target(s["Resource"]): s.get("Condition", {}).get("StringEqualsIfExists") for s in deletions}
    returns_nothing = {"dynamodb:ReturnValues": "NONE"}
    # The housekeeper reads the runs table as a whole.
    assert conditions == {
        "AuditEventsTable": returns_nothing,
        "ExportConfigurationsTable": returns_nothing,
        "ExportRunsTable": None,
    }


def projection(module: str) -> list[str]:
    """Returns the attributes that a module of the configurations table reads."""
    source = (ROOT / "shared" / "aws-adapters" / "src" / "configurations" / f"{module}.rs").read_text()
    found = re.search(r'const PROJECTION: &str = "(.*?)";', source, re.DOTALL)
    assert found
    return re.findall(r"#(\w+)", found[1])


@pytest.mark.parametrize(
    ("role", "action", "condition"),
    [
        ("ApiRole", "dynamodb:PutItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#15"]}}),
        (
            "IngestRole",
            "dynamodb:PutItem",
            {"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["*#15", "*#quota", "*#archive", "#archive#*"]}},
        ),
        ("IngestRole", "dynamodb:GetItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["#archive#*"]}}),
        ("IngestRole", "dynamodb:UpdateItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#quota"]}}),
        ("ArchiverRole", "dynamodb:PutItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#archive"]}}),
        ("ArchiverRole", "dynamodb:UpdateItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["#archive#*"]}}),
        ("ExporterRole", "dynamodb:GetItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["#archive#*"]}}),
        ("ConverterRole", "dynamodb:GetItem", {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["#archive#*"]}}),
    ],
)
def test_each_function_uses_partitions_of_its_own(role: str, action: str, condition: dict[str, Any]) -> None:
    """The shard is `Shard::CHANGES` of shared/domain/src/block.rs, where a test keeps ingest to the other shards."""
    statement = next(
        s for s in statements(role) if action in as_list(s["Action"]) and target(s["Resource"]) == "AuditEventsTable"
    )
    # ForAllValues is true for a request without keys.
    assert statement["Condition"] == condition | {"Null": {"dynamodb:LeadingKeys": "false"}}
    assert TEMPLATE["Parameters"]["WriteShards"]["MaxValue"] == 15


def test_ingest_creates_rows_of_the_archive_and_nothing_else_of_it() -> None:
    of_rows = {"dynamodb:LeadingKeys": ["#archive#*"]}
    writes = [s for s in statements("IngestRole") if "dynamodb:PutItem" in as_list(s["Action"])]
    assert [s["Sid"] for s in writes] == ["StoreBlocks", "ArchiveRows"]
    assert writes[1]["Condition"] == {"ForAllValues:StringLike": of_rows, "Null": {"dynamodb:LeadingKeys": "false"}}


def test_the_archiver_can_neither_change_nor_delete_a_block_or_a_segment() -> None:
    actions = {action for s in statements("ArchiverRole") for action in as_list(s["Action"])}
    assert not [action for action in actions if "Delete" in action or "BatchWrite" in action]
    # A put leaves the earlier version.
    assert RESOURCES["ArchiveBucket"]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_the_archiver_records_corrupt_blocks_and_nothing_else_of_runs() -> None:
    (records,) = [s for s in statements("ArchiverRole") if s["Sid"] == "RecordCorruptBlocks"]
    assert records["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#corrupt"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    items = (ROOT / "shared" / "aws-adapters" / "src" / "runs" / "item.rs").read_text()
    assert 'CORRUPT_SUFFIX: &str = "#corrupt";' in items
    (reads,) = [s for s in statements("ArchiverRole") if s["Sid"] == "ReadRuns"]
    assert reads["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["retention", "*#corrupt"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    shared = (ROOT / "shared" / "aws-adapters" / "src" / "runs" / "shared.rs").read_text()
    assert 'RETENTION_PARTITION: &str = "retention";' in shared


def test_no_action_has_a_wildcard() -> None:
    actions = every_action(RESOURCES)
    assert len(actions) > 50
    assert [action for action in actions if "*" in action] == []


def test_every_role_is_known_and_under_the_fixed_path() -> None:
    roles = of_type("AWS::IAM::Role")
    assert set(roles) == {*PERMITTED, "ApiGatewayLogRole"}
    assert {role["Path"] for role in roles.values()} == {"/audit-export/"}


def test_every_function_has_a_role_of_its_own() -> None:
    functions = of_type("AWS::Serverless::Function")
    assert set(functions) == FUNCTIONS
    assert len({target(function["Role"]) for function in functions.values()}) == len(FUNCTIONS)


@pytest.mark.parametrize("role", ["VerifierRole", "ExporterRole", "ConverterRole"])
def test_roles_of_the_own_account_can_not_be_assumed(role: str) -> None:
    (denied,) = [statement for statement in statements(role) if statement["Effect"] == "Deny"]
    assert denied["Action"] == "sts:AssumeRole"
    assert target(denied["Resource"]) == "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*"
    assert "Condition" not in denied
