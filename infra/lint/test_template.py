"""The project's rules for template.yaml, in addition to those of `sam validate --lint`.

Each is a promise of docs/SECURITY.md or an AWS rule that the linter doesn't know.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = {
    "ApiFunction",
    "ArchiverFunction",
    "ConverterFunction",
    "ExporterFunction",
    "HousekeeperFunction",
    "IngestFunction",
    "NotifierFunction",
    "PageFunction",
    "VerifierFunction",
}
FOURTEEN_DAYS = 1_209_600
API_GATEWAY_TIMEOUT_SECONDS = 29

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


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Returns the properties of all resources of a type, by logical ID."""
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


@cache
def translated() -> dict[str, Any]:
    """Returns the template that CloudFormation gets, as translated by the installed SAM translator."""
    template = copy.deepcopy(TEMPLATE)
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return translator.translate(template, {})


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def target(reference: Any) -> str:
    """Returns the logical ID or the pattern in a resource element."""
    if isinstance(reference, str):
        return reference
    ((function, argument),) = reference.items()
    if function == "Fn::GetAtt":
        return (argument if isinstance(argument, str) else ".".join(argument)).removesuffix(".Arn")
    return argument


def statements(role: str) -> list[dict[str, Any]]:
    inline = RESOURCES[role]["Properties"]["Policies"]
    attached = [p for p in of_type("AWS::IAM::Policy").values() if {"Ref": role} in p["Roles"]]
    return [statement for policy in [*inline, *attached] for statement in policy["PolicyDocument"]["Statement"]]


def every_action(value: Any) -> list[str]:
    """Returns all values of `Action` in a value, at any depth."""
    if isinstance(value, list):
        return [action for item in value for action in every_action(item)]
    if not isinstance(value, dict):
        return []
    own = as_list(value["Action"]) if "Action" in value else []
    return own + [action for item in value.values() for action in every_action(item)]


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


def test_an_undelivered_sweep_leaves_no_dead_letter() -> None:
    """Documented in docs/RUNBOOKS.md, in the entry of LargestLagAlarm."""
    assert "DeadLetterConfig" not in RESOURCES["SweepSchedule"]["Properties"]["Target"]
    assert "DestinationConfig" not in RESOURCES["HousekeeperFunction"]["Properties"]["EventInvokeConfig"]
    assert "sweep" not in RESOURCES["SchedulesDeadLettersAlarm"]["Properties"]["AlarmDescription"]


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


def test_the_archive_is_private_encrypted_versioned_and_outlives_the_stack() -> None:
    for name in ("ArchiveBucket", "ArchiveBucketPolicy", "ArchiveKey"):
        assert (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = RESOURCES["ArchiveBucket"]["Properties"]
    assert list(properties["PublicAccessBlockConfiguration"].values()) == [True] * 4
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption == {
        "ServerSideEncryptionByDefault": {
            "SSEAlgorithm": "aws:kms",
            "KMSMasterKeyID": {"Fn::GetAtt": ["ArchiveKey", "Arn"]},
        },
        # Else each segment is a request to KMS.
        "BucketKeyEnabled": True,
    }
    (denied,) = RESOURCES["ArchiveBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    used = {action for action in every_action(RESOURCES) if action.startswith("s3:")}
    assert used - {"s3:GetBucketAcl"} <= set(denied["Action"])


def test_each_class_of_days_has_a_rule_that_deletes_after_them() -> None:
    """Also for a class that the parameters no longer choose: what it keeps has to end as well."""
    rules = RESOURCES["ArchiveBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    days = [rule["ExpirationInDays"] for rule in rules]
    source = (ROOT / "shared" / "domain" / "src" / "archive" / "segment.rs").read_text()
    [listed] = re.findall(r"DAY_CLASSES: \[u16; \d+\] = \[([\d_, ]+)\];", source)
    assert days == [int(number) for number in listed.split(",")]
    assert [rule["Prefix"] for rule in rules] == [f"keep-{number}-days/" for number in days]
    for rule in rules:
        assert rule["Status"] == "Enabled"
        # What was deleted by mistake can be brought back for so long.
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert rule["Transitions"] == [{"StorageClass": "GLACIER_IR", "TransitionInDays": 1}]


def test_the_key_of_the_archive_is_used_through_s3_by_those_that_read_and_write_it() -> None:
    policy = {s["Sid"]: s for s in RESOURCES["ArchiveKey"]["Properties"]["KeyPolicy"]["Statement"]}
    administration, writes, reads = (
        policy.pop(sid) for sid in ("Administration", "ArchiverWrites", "ExporterAndConverterRead")
    )
    assert policy == {}
    cryptographic = {"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}
    assert not cryptographic & set(administration["Action"])
    assert (writes["Action"], target(writes["Principal"]["AWS"])) == (
        ["kms:Decrypt", "kms:GenerateDataKey"],
        "ArchiverRole",
    )
    assert (reads["Action"], [target(p) for p in reads["Principal"]["AWS"]]) == (
        "kms:Decrypt",
        ["ExporterRole", "ConverterRole"],
    )
    for statement in (writes, reads):
        through = {"kms:ViaService": {"Fn::Sub": "s3.${AWS::Region}.${AWS::URLSuffix}"}}
        assert statement["Condition"] == {"StringEquals": through}


def test_those_that_archive_and_those_that_read_the_archive_have_the_same_times() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    times = {"TABLE_DAYS": {"Ref": "TableDays"}, "DEVELOPMENT_ARCHIVE_SECONDS": {"Ref": "DevelopmentArchiveSeconds"}}
    have_them = {name for name in FUNCTIONS if times.items() <= variables[name].items()}
    others = {"ApiFunction", "NotifierFunction", "PageFunction", "VerifierFunction"}
    assert have_them == FUNCTIONS - others
    assert not [name for name in others for time in times if time in variables[name]]
    have_the_bucket = {name for name in FUNCTIONS if "ARCHIVE_BUCKET" in variables[name]}
    # Ingest compares its name with that of a tenant's row.
    assert have_the_bucket == have_them
    for name in ("SETTLE_SECONDS", "RETENTION_DAYS"):
        assert variables["ArchiverFunction"][name] == variables["ExporterFunction"][name]


def test_events_stay_in_the_table_for_a_week_at_least() -> None:
    parameter = TEMPLATE["Parameters"]["TableDays"]
    assert (parameter["Default"], parameter["MinValue"], parameter["MaxValue"]) == (7, 0, 365)
    (assertion,) = TEMPLATE["Rules"]["TableDaysSuffice"]["Assertions"]
    ((refused, reference),) = (condition["Fn::Contains"] for condition in assertion["Assert"]["Fn::Not"])
    assert (refused, reference) == ([str(number) for number in range(1, 7)], {"Ref": "TableDays"})


def test_the_archive_is_looked_after_every_quarter_of_an_hour() -> None:
    properties = RESOURCES["ArchiveSchedule"]["Properties"]
    _, development, real = properties["ScheduleExpression"]["Fn::If"]
    assert (development, real) == ({"Ref": "DevelopmentScheduleExpression"}, "rate(15 minutes)")
    assert target(properties["Target"]["Arn"]) == "ArchiverFunction"
    assert json.loads(properties["Target"]["Input"]) == {"archive": {}}
    assert "DeadLetterConfig" not in properties["Target"]
    assert RESOURCES["ArchiverFunction"]["Properties"]["EventInvokeConfig"]["MaximumRetryAttempts"] == 0


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


def test_the_secret_key_is_used_only_with_a_whole_encryption_context() -> None:
    policy = {s["Sid"]: s for s in RESOURCES["SecretKey"]["Properties"]["KeyPolicy"]["Statement"]}
    administration, encrypts, decrypts = (
        policy.pop(sid) for sid in ("Administration", "ApiEncrypts", "VerifierExporterAndConverterDecrypt")
    )
    assert set(policy) == {"ApiEncryptsForWebhooks", "NotifierDecryptsForWebhooks"}
    cryptographic = {"kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"}
    assert not cryptographic & set(administration["Action"])
    assert (encrypts["Action"], [target(p) for p in as_list(encrypts["Principal"]["AWS"])]) == (
        "kms:Encrypt",
        ["ApiRole"],
    )
    assert (decrypts["Action"], [target(p) for p in decrypts["Principal"]["AWS"]]) == (
        "kms:Decrypt",
        ["VerifierRole", "ExporterRole", "ConverterRole"],
    )
    for statement in (encrypts, decrypts):
        assert statement["Condition"] == {
            "Null": {
                "kms:EncryptionContext:tenantId": "false",
                "kms:EncryptionContext:configurationId": "false",
            },
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenantId", "configurationId"]},
        }


def test_the_secret_of_a_webhook_is_bound_to_its_purpose() -> None:
    """The context of an access key has no purpose, so neither kind of secret can be used as the other."""
    policy = {s["Sid"]: s for s in RESOURCES["SecretKey"]["Properties"]["KeyPolicy"]["Statement"]}
    encrypts, decrypts = policy["ApiEncryptsForWebhooks"], policy["NotifierDecryptsForWebhooks"]
    assert (encrypts["Action"], target(encrypts["Principal"]["AWS"])) == ("kms:Encrypt", "ApiRole")
    assert (decrypts["Action"], target(decrypts["Principal"]["AWS"])) == ("kms:Decrypt", "NotifierRole")
    for statement in (encrypts, decrypts):
        assert statement["Condition"] == {
            "StringEquals": {"kms:EncryptionContext:purpose": "webhook"},
            "Null": {
                "kms:EncryptionContext:tenantId": "false",
                "kms:EncryptionContext:configurationId": "false",
            },
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenantId", "configurationId", "purpose"]},
        }
    vault = (ROOT / "shared" / "aws-adapters" / "src" / "secrets.rs").read_text()
    assert 'Self::Webhook => Some("webhook")' in vault


def test_functions_that_name_or_reach_servers_of_customers_have_the_same_switch() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    name = "DEVELOPMENT_CA_FILE"
    have_it = {function for function in FUNCTIONS if name in variables[function]}
    assert have_it == {
        "ApiFunction",
        "ConverterFunction",
        "ExporterFunction",
        "NotifierFunction",
        "VerifierFunction",
    }
    assert all(variables[function][name] == {"Ref": "DevelopmentCaFile"} for function in have_it)
    assert variables["ApiFunction"]["NOTIFIER_FUNCTION"] == {"Ref": "NotifierFunction"}


def test_those_that_export_and_the_housekeeper_sign_and_the_api_reads_no_more_than_the_public_half() -> None:
    policy = {s["Sid"]: s for s in RESOURCES["SigningKey"]["Properties"]["KeyPolicy"]["Statement"]}
    administration, publishes = (policy.pop(sid) for sid in ("Administration", "ApiPublishes"))
    signers = {sid: policy.pop(sid) for sid in ("ExporterAndConverterSign", "HousekeeperSigns")}
    assert policy == {}
    assert not {"kms:CreateGrant", "kms:Sign"} & set(administration["Action"])
    for signs in signers.values():
        assert set(signs["Action"]) == {"kms:GetPublicKey", "kms:Sign"}
    principals = {sid: [target(p) for p in as_list(signs["Principal"]["AWS"])] for sid, signs in signers.items()}
    assert principals == {
        "ExporterAndConverterSign": ["ExporterRole", "ConverterRole"],
        "HousekeeperSigns": ["HousekeeperRole"],
    }
    assert (publishes["Action"], [target(p) for p in as_list(publishes["Principal"]["AWS"])]) == (
        "kms:GetPublicKey",
        ["ApiRole"],
    )


def test_the_api_serves_the_key_that_the_exporter_signs_with_and_those_that_are_retired() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    assert variables["ApiFunction"]["SIGNING_KEY_ARN"] == variables["ExporterFunction"]["SIGNING_KEY_ARN"]
    assert variables["ApiFunction"]["RETIRED_SIGNING_KEY_ARNS"] == {"Fn::Join": [",", {"Ref": "RetiredSigningKeyArns"}]}


def test_resources_with_data_outlive_the_stack() -> None:
    kinds = {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::S3::Bucket"}
    keepers = [resource for resource in RESOURCES.values() if resource["Type"] in kinds]
    assert {resource["Type"] for resource in keepers} == kinds
    for resource in keepers:
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


@pytest.mark.parametrize("table", ["AuditEventsTable", "ExportConfigurationsTable", "ExportRunsTable"])
def test_table_is_on_demand_recoverable_and_expires_items(table: str) -> None:
    properties = RESOURCES[table]["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


@pytest.mark.parametrize(
    ("queue", "dead_letters", "function"),
    [
        ("EventsQueue", "EventsDeadLetterQueue", "IngestFunction"),
        ("TopicEventsQueue", "TopicEventsDeadLetterQueue", "IngestFunction"),
        ("RuleEventsQueue", "RuleEventsDeadLetterQueue", "IngestFunction"),
        ("RunsQueue", "RunsDeadLetterQueue", "ExporterFunction"),
        ("ManualRunsQueue", "ManualRunsDeadLetterQueue", "ExporterFunction"),
        ("ConversionQueue", "ConversionDeadLetterQueue", "ConverterFunction"),
        ("ManualConversionQueue", "ManualConversionDeadLetterQueue", "ConverterFunction"),
    ],
)
def test_queue_waits_for_its_function_and_keeps_what_fails(queue: str, dead_letters: str, function: str) -> None:
    (event,) = [
        e
        for e in RESOURCES[function]["Properties"]["Events"].values()
        if e["Type"] == "SQS" and target(e["Properties"]["Queue"]) == queue
    ]
    properties = RESOURCES[queue]["Properties"]
    batching = event["Properties"].get("MaximumBatchingWindowInSeconds", 0)
    assert properties["VisibilityTimeout"] >= 6 * RESOURCES[function]["Properties"]["Timeout"] + batching
    assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert target(properties["RedrivePolicy"]["deadLetterTargetArn"]) == dead_letters


@pytest.mark.parametrize(
    ("function", "queue", "parameter"),
    [
        ("ExporterFunction", "RunsQueue", "MaximumConcurrentRuns"),
        ("ExporterFunction", "ManualRunsQueue", "MaximumConcurrentManualRuns"),
        ("ConverterFunction", "ConversionQueue", "MaximumConcurrentRuns"),
        ("ConverterFunction", "ManualConversionQueue", "MaximumConcurrentManualRuns"),
    ],
)
def test_runs_go_one_by_one_and_each_queue_has_its_own_share(function: str, queue: str, parameter: str) -> None:
    events = [e["Properties"] for e in RESOURCES[function]["Properties"]["Events"].values()]
    (event,) = [e for e in events if target(e["Queue"]) == queue]
    assert event["BatchSize"] == 1
    assert event["ScalingConfig"] == {"MaximumConcurrency": {"Ref": parameter}}
    # The minimum that Lambda accepts.
    assert TEMPLATE["Parameters"][parameter]["MinValue"] == 2


def test_requested_and_scheduled_runs_have_queues_of_their_own() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    assert variables["ExporterFunction"]["RUN_QUEUE_URL"] == {"Ref": "RunsQueue"}
    assert variables["ExporterFunction"]["MANUAL_RUN_QUEUE_URL"] == {"Ref": "ManualRunsQueue"}
    assert variables["ExporterFunction"]["MAX_RUNS_PER_TENANT"] == {"Ref": "MaximumConcurrentRunsPerTenant"}
    queues = {"ConversionQueue": "RUN_QUEUE_URL", "ManualConversionQueue": "MANUAL_RUN_QUEUE_URL"}
    for queue, own in queues.items():
        assert variables["ConverterFunction"][own] == {"Ref": queue}
        others = own.replace("RUN_", "CONVERSION_")
        assert variables["ExporterFunction"][others] == {"Ref": queue}
    # The function refuses a larger value when it starts.
    most = TEMPLATE["Parameters"]["MaximumConcurrentRunsPerTenant"]["MaxValue"]
    settings = (ROOT / "shared" / "export-runs" / "src" / "settings.rs").read_text()
    assert f"MAX_SHARES_PER_TENANT: u32 = {most};" in settings
    assert variables["ApiFunction"]["MANUAL_RUN_QUEUE_URL"] == {"Ref": "ManualRunsQueue"}
    assert "RUN_QUEUE_URL" not in variables["ApiFunction"]


def test_lambda_does_not_stop_what_continues_through_its_own_queue() -> None:
    """Tested in the translated template: the translator must keep the property. No other function is in a loop."""
    loops = {
        name: resource["Properties"].get("RecursiveLoop")
        for name, resource in translated()["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert loops == dict.fromkeys(FUNCTIONS, None) | {
        "ConverterFunction": "Allow",
        "ExporterFunction": "Allow",
        "NotifierFunction": "Allow",
    }


@pytest.mark.parametrize("queue", sorted(of_type("AWS::SQS::Queue")))
def test_queue_is_encrypted_and_keeps_messages_for_14_days(queue: str) -> None:
    properties = RESOURCES[queue]["Properties"]
    assert properties["SqsManagedSseEnabled"] is True
    assert properties["MessageRetentionPeriod"] == FOURTEEN_DAYS


def test_functions_answer_before_api_gateway_gives_up() -> None:
    timeout = {name: RESOURCES[name]["Properties"]["Timeout"] for name in FUNCTIONS}
    assert timeout["VerifierFunction"] < timeout["ApiFunction"] < API_GATEWAY_TIMEOUT_SECONDS
    client = (ROOT / "shared" / "aws-adapters" / "src" / "notifier_client.rs").read_text()
    [seconds] = re.findall(r"NOTIFIER_TIMEOUT: Duration = Duration::from_secs\((\d+)\);", client)
    assert int(seconds) < timeout["ApiFunction"]
    assert timeout["IngestFunction"] < API_GATEWAY_TIMEOUT_SECONDS


@pytest.mark.parametrize(("hours", "cron_hours"), [(2, "0/2"), (4, "0/4"), (6, "0/6"), (12, "0/12"), (24, "0")])
def test_schedule_fires_after_each_boundary(hours: int, cron_hours: str) -> None:
    properties = RESOURCES[f"Every{hours}HoursSchedule"]["Properties"]
    development, real = properties["ScheduleExpression"]["Fn::If"][1:]
    assert development == {"Ref": "DevelopmentScheduleExpression"}
    expression, variables = real["Fn::Sub"]
    assert expression == f"cron(${{Minute}} {cron_hours} * * ? *)"
    assert variables == {"Minute": {"Fn::FindInMap": ["SettleMinute", {"Ref": "SettleSeconds"}, "Minute"]}}
    assert properties["ScheduleExpressionTimezone"] == "UTC"
    assert properties["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert f'"EVERY_{hours}_HOURS"' in properties["Target"]["Input"]
    assert "<aws.scheduler.scheduled-time>" in properties["Target"]["Input"]
    assert target(properties["Target"]["DeadLetterConfig"]["Arn"]) == "SchedulesDeadLetterQueue"
    assert properties["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0


def test_the_sweep_comes_every_quarter_of_an_hour_and_asks_for_nothing_else() -> None:
    properties = RESOURCES["SweepSchedule"]["Properties"]
    _, development, real = properties["ScheduleExpression"]["Fn::If"]
    assert (development, real) == ({"Ref": "DevelopmentScheduleExpression"}, "rate(15 minutes)")
    assert target(properties["Target"]["Arn"]) == "HousekeeperFunction"
    assert json.loads(properties["Target"]["Input"]) == {"sweep": {}}


def test_the_history_of_exports_is_kept_alike_by_all() -> None:
    variables = {name: RESOURCES[name]["Properties"]["Environment"]["Variables"] for name in FUNCTIONS}
    for function in ("ConverterFunction", "ExporterFunction", "HousekeeperFunction"):
        assert variables[function]["HISTORY_DAYS"] == {"Ref": "HistoryDays"}
    # The sweep and the dispatch compute the same boundaries.
    for name in ("SETTLE_SECONDS", "RETENTION_DAYS", "DEVELOPMENT_SLOT_SECONDS"):
        assert variables["ExporterFunction"][name] == variables["HousekeeperFunction"][name]
        assert variables["ExporterFunction"][name] == variables["ConverterFunction"][name]
    # Exporter and converter do the same work, for other formats and from other queues.
    of_exporter = {name for name in variables["ExporterFunction"] if "CONVERSION" not in name}
    assert of_exporter == set(variables["ConverterFunction"])
    assert TEMPLATE["Parameters"]["HistoryDays"]["Default"] == 400


def test_a_schedule_fires_exactly_when_its_slot_has_settled() -> None:
    minutes = {int(s): int(entry["Minute"]) for s, entry in TEMPLATE["Mappings"]["SettleMinute"].items()}
    assert set(minutes) == {int(value) for value in TEMPLATE["Parameters"]["SettleSeconds"]["AllowedValues"]}
    assert {seconds: minute for seconds, minute in minutes.items() if seconds >= 1200} == {
        1200: 20,
        1500: 25,
        1800: 30,
        2700: 45,
    }


def test_access_logs_hold_no_body_header_or_query() -> None:
    log_format = RESOURCES["HttpApi"]["Properties"]["AccessLogSetting"]["Format"]
    for forbidden in ("header", "querystring", "body", "authorizer", "$context.path", "input"):
        assert forbidden not in log_format.lower()
    for method in RESOURCES["HttpApi"]["Properties"]["MethodSettings"]:
        assert method["DataTraceEnabled"] is False
        assert method["LoggingLevel"] == "OFF"


def test_producers_and_administrators_have_budgets_of_their_own() -> None:
    settings = {
        (method["HttpMethod"], method["ResourcePath"]): (
            target(method["ThrottlingRateLimit"]),
            target(method["ThrottlingBurstLimit"]),
        )
        for method in RESOURCES["HttpApi"]["Properties"]["MethodSettings"]
    }
    administrators = ("ApiRequestsPerSecond", "ApiRequestsBurst")
    producers = ("IngestRequestsPerSecond", "IngestRequestsBurst")
    assert settings == {
        ("*", "/*"): administrators,
        ("POST", "/~1api~1audit~1graphql"): administrators,
        ("POST", "/~1api~1audit~1events"): producers,
        ("POST", "/~1v1~1logs"): producers,
    }
    # API Gateway writes "/" as "~1" in the name of a path. Each setting must be for an existing path.
    paths = {path.removeprefix("/").replace("~1", "/") for _, path in settings} - {"*"}
    events = [event for name in FUNCTIONS for event in RESOURCES[name]["Properties"].get("Events", {}).values()]
    # The page, which reads and changes nothing, has the budget of all other paths.
    page = {"/audit", "/audit/{proxy+}"}
    assert paths | page == {event["Properties"]["Path"] for event in events if event["Type"] == "Api"}


def test_a_request_without_a_token_does_not_reach_a_function() -> None:
    """Tested in the translated template. The error has the same text as the functions' error."""
    body = translated()["Resources"]["HttpApi"]["Properties"]["Body"]
    page = {"/audit", "/audit/{proxy+}"}
    assert set(body["paths"]) == {"/api/audit/graphql", "/api/audit/events", "/v1/logs"} | page
    assert {method for path in page for method in body["paths"][path]} == {"get", "head"}
    for methods in (methods for path, methods in body["paths"].items() if path not in page):
        validator = body["x-amazon-apigateway-request-validators"][
            methods["post"]["x-amazon-apigateway-request-validator"]
        ]
        assert validator == {"validateRequestBody": False, "validateRequestParameters": True}
        parameters = {(p["in"], p["name"]) for p in methods["post"]["parameters"] if p.get("required")}
        assert parameters == {("header", "Authorization")}
    response = body["x-amazon-apigateway-gateway-responses"]["BAD_REQUEST_PARAMETERS"]
    assert response["statusCode"] == "401"
    assert (
        response["responseParameters"]["gatewayresponse.header.WWW-Authenticate"] == "'Bearer realm=\"audit-export\"'"
    )
    (error,) = json.loads(response["responseTemplates"]["application/json"])["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    functions_words = (ROOT / "shared" / "authentication" / "src" / "access_error.rs").read_text()
    assert f'#[error("{error["message"]}")]\n    Missing,' in functions_words


def test_the_functions_with_callers_get_every_parameter_of_tokens() -> None:
    parameters = {name for name in TEMPLATE["Parameters"] if name.startswith("Token")}
    assert {"TokenIssuer", "TokenIssuers", "TokenAudience"} < parameters
    for function in ("ApiFunction", "IngestFunction"):
        variables = RESOURCES[function]["Properties"]["Environment"]["Variables"]
        given = {value["Ref"]: name for name, value in variables.items() if name.startswith("TOKEN_")}
        for parameter in parameters:
            # TOKEN_JWKS_URL for TokenJwksUrl
            assert given[parameter] == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


def test_tokens_have_one_issuer_or_a_list() -> None:
    text = json.dumps(TEMPLATE["Rules"]["TokensHaveAnIssuer"])
    assert set(re.findall(r'"Ref": "(\w+)"', text)) == {
        "TokenIssuer", "TokenAudience", "TokenIssuers", "TokenJwksUrl", "TokenTenantClaim", "TokenPermissionsClaim",
        "TokenAuditPermission", "TokenAuditWritePermission", "DevelopmentJwks",
    }  # fmt: skip
    several = TEMPLATE["Rules"]["TokensHaveAnIssuer"]["Assertions"][0]["Assert"]["Fn::Or"][1]["Fn::And"]
    required = {condition["Fn::Equals"][0]["Ref"]: condition["Fn::Equals"][1] for condition in several[:-1]}
    assert required == {name: TEMPLATE["Parameters"][name]["Default"] for name in required}


# Lambda's quota for the variables of a function together: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
# Its error shows what it counts: the names and values as one JSON object.
VARIABLES_BYTES = 4_096
# docs/IDENTITY.md and docs/OPERATIONS.md: so many entries always fit.
RETIRED_KEYS = 3
# The longest names that AWS gives. CloudFormation puts the stack's, of at most 128, before the logical ID.
ACCOUNT, REGION, PARTITION = "1" * 12, "ap-southeast-1", "aws-us-gov"
KEY_ARN = f"arn:{PARTITION}:kms:us-gov-west-1:{ACCOUNT}:key/{'0' * 36}"
LONGEST_NAMES = {
    "AWS::DynamoDB::Table": 255,
    "AWS::S3::Bucket": 63,
    "AWS::SQS::Queue": 80,
    "AWS::Serverless::Function": 64,
    "AWS::Events::EventBus": 256,
}


def longest(parameter: str) -> str:
    """Returns the longest value of a parameter in production."""
    if parameter.startswith("Development"):
        return str(TEMPLATE["Parameters"][parameter]["Default"])
    if parameter == "RetiredSigningKeyArns":
        return ",".join([KEY_ARN] * RETIRED_KEYS)
    definition = TEMPLATE["Parameters"][parameter]
    if "AllowedValues" in definition:
        return max(map(str, definition["AllowedValues"]), key=len)
    return str(definition["MaxValue"]) if "MaxValue" in definition else "x" * definition["MaxLength"]


def longest_of(value: Any) -> tuple[str, str | None]:
    """Returns the longest value of a variable, and the parameter that it comes from."""
    if not isinstance(value, dict):
        return str(value), None
    ((function, argument),) = value.items()
    if function == "Fn::GetAtt":
        assert RESOURCES[target(value)]["Type"] == "AWS::KMS::Key"
        return KEY_ARN, None
    if function == "Fn::Join":
        argument = argument[1]["Ref"]
    if argument in TEMPLATE["Parameters"]:
        return longest(argument), argument
    if argument in RESOURCES:
        kind = RESOURCES[argument]["Type"]
        name = "x" * min(LONGEST_NAMES[kind], 128 + len(f"-{argument}-") + 13)
        return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}" if kind == "AWS::SQS::Queue" else name, None
    return {"AWS::AccountId": ACCOUNT, "AWS::Partition": PARTITION}[argument], None


@pytest.mark.parametrize("several_issuers", [False, True])
@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_the_longest_parameters_fit_into_the_variables_of_a_function(function: str, several_issuers: bool) -> None:
    """The rule TokensHaveAnIssuer permits the parameters of one issuer, or TokenIssuers with the defaults of all others."""
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    variables = {}
    for name, value in (shared | RESOURCES[function]["Properties"]["Environment"]["Variables"]).items():
        variables[name], parameter = longest_of(value)
        if parameter and parameter.startswith("Token") and several_issuers != (parameter == "TokenIssuers"):
            variables[name] = TEMPLATE["Parameters"][parameter]["Default"]
    # The template bounds the characters of TokenIssuers, and `token check` the bytes that Lambda counts: these.
    settings = (ROOT / "shared" / "authentication" / "src" / "settings.rs").read_text()
    bound = re.search(r"MAX_ISSUERS_LENGTH_BYTES: usize = ([0-9_]+);", settings)
    assert bound and int(bound[1]) == TEMPLATE["Parameters"]["TokenIssuers"]["MaxLength"]
    assert len(json.dumps(variables, separators=(",", ":"))) <= VARIABLES_BYTES


def test_the_page_gets_every_parameter_of_its_own() -> None:
    """The page has no other variables: it calls nothing, and has no secret."""
    variables = RESOURCES["PageFunction"]["Properties"]["Environment"]["Variables"]
    parameters = {name for name in TEMPLATE["Parameters"] if name.startswith("Page")} - {"PageReservedConcurrency"}
    assert len(parameters) == 8
    # PAGE_CLIENT_ID for PageClientId
    own = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): {"Ref": name} for name in parameters}
    assert variables == own | {"TOKEN_TENANT_CLAIM": {"Ref": "TokenTenantClaim"}}
    # A link with a token can sign its reader in as somebody else.
    assert TEMPLATE["Parameters"]["PageTokenInLink"]["Default"] == "disabled"
    # With one of the two, the function would not start.
    rule = json.dumps(TEMPLATE["Rules"]["PageSignsInAsAClient"])
    assert set(re.findall(r'"Ref": "(\w+)"', rule)) == {"PageIssuer", "PageClientId"}
    output = TEMPLATE["Outputs"]["PageUrl"]["Value"]["Fn::Sub"]
    assert output.endswith(RESOURCES["PageFunction"]["Properties"]["Events"]["Document"]["Properties"]["Path"])


def test_queue_batches_leave_concurrency_for_http() -> None:
    events = RESOURCES["IngestFunction"]["Properties"]["Events"].values()
    batches = [event["Properties"] for event in events if event["Type"] == "SQS"]
    assert len(batches) == 3
    for properties in batches:
        assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrentIngestBatches"}}
    assert TEMPLATE["Parameters"]["MaximumConcurrentIngestBatches"]["MinValue"] == 2


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_concurrency_is_reserved_where_it_is_asked_for(function: str) -> None:
    condition, reserved, none = RESOURCES[function]["Properties"]["ReservedConcurrentExecutions"]["Fn::If"]
    parameter = f"{function.removesuffix('Function')}ReservedConcurrency"
    assert (reserved, none) == ({"Ref": parameter}, {"Ref": "AWS::NoValue"})
    assert TEMPLATE["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, 0]}]}
    # A new account has no concurrency to reserve.
    assert TEMPLATE["Parameters"][parameter]["Default"] == 0


def test_what_is_reserved_suffices_for_what_runs_at_a_time() -> None:
    (deliveries,) = RESOURCES["NotifierFunction"]["Properties"]["Events"].values()
    at_a_time = {
        "NotifierReservedConcurrency": deliveries["Properties"]["ScalingConfig"]["MaximumConcurrency"],
        # The sweep, the outbox and an erasure.
        "HousekeeperReservedConcurrency": 3,
    }
    refused = {}
    for assertion in TEMPLATE["Rules"]["ReservedConcurrencySuffices"]["Assertions"]:
        ((listed, parameter),) = (condition["Fn::Contains"] for condition in assertion["Assert"]["Fn::Not"])
        refused[parameter["Ref"]] = listed
    assert refused == {name: [str(number) for number in range(1, needed)] for name, needed in at_a_time.items()}
    for name, needed in at_a_time.items():
        assert f"at least {needed};" in TEMPLATE["Parameters"][name]["Description"]


@pytest.mark.parametrize(
    ("queue", "service", "parameter", "condition"),
    [
        ("TopicEventsQueue", "sns.amazonaws.com", "EventTopicArns", "HasEventTopics"),
        ("RuleEventsQueue", "events.amazonaws.com", "EventRuleArns", "HasEventRules"),
    ],
)
def test_a_queue_of_a_service_takes_messages_of_listed_sources_alone(
    queue: str, service: str, parameter: str, condition: str
) -> None:
    """Only a service can set aws:SourceArn, so no other sender can pass for a topic or a rule."""
    (policy,) = [p for p in of_type("AWS::SQS::QueuePolicy").values() if [target(q) for q in p["Queues"]] == [queue]]
    listed, named, others, _ = policy["PolicyDocument"]["Statement"]
    assert listed["Fn::If"][0] == condition
    assert listed["Fn::If"][1]["Principal"] == {"Service": service}
    assert listed["Fn::If"][1]["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": parameter}}}
    assert named["Fn::If"][1]["Principal"] == {"AWS": {"Ref": "EventSenders"}}
    assert (others["Effect"], others["Principal"], others["Action"]) == ("Deny", "*", "sqs:SendMessage")
    nobody = {"Fn::GetAtt": [queue, "Arn"]}
    assert others["Condition"] == {
        "ArnNotEquals": {
            "aws:SourceArn": {"Fn::If": [condition, {"Ref": parameter}, nobody]},
            "aws:PrincipalArn": {"Fn::If": ["HasEventSenders", {"Ref": "EventSenders"}, nobody]},
        }
    }


def queue_policies() -> dict[str, list[dict[str, Any]]]:
    """Returns the statements of each queue's policy that apply in every stack."""
    return {
        target(queue): [s for s in policy["PolicyDocument"]["Statement"] if "Fn::If" not in s]
        for policy in of_type("AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
    }


def queues_of_events() -> list[str]:
    events = RESOURCES["IngestFunction"]["Properties"]["Events"].values()
    return [target(event["Properties"]["Queue"]) for event in events if event["Type"] == "SQS"]


def test_messages_with_events_come_from_admitted_senders_alone() -> None:
    """A message names its tenant. One in a dead-letter queue is stored as well, once an operator redrives it."""
    for queue in queues_of_events():
        dead_letters = target(RESOURCES[queue]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"])
        (denied,) = [s for s in queue_policies()[queue] if s["Effect"] == "Deny"]
        assert (denied["Principal"], denied["Action"], target(denied["Resource"])) == ("*", "sqs:SendMessage", queue)
        (denied,) = queue_policies()[dead_letters]
        assert {key: value for key, value in denied.items() if key != "Sid"} == {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": {"Fn::GetAtt": [dead_letters, "Arn"]},
        }
        # What the template can't restrict, the operator does.
        assert {f"{queue}Arn", f"{dead_letters}Url"} <= set(TEMPLATE["Outputs"])
        loop = section("OPERATIONS.md", "After the first deployment").partition("redrivePermission")[0]
        assert re.search(rf"for queue in [\w ]*\b{queue.removesuffix('Queue')}\b", loop)


def section(document: str, heading: str) -> str:
    """Returns the text below a heading of second level of a document."""
    text = (ROOT / "docs" / document).read_text().partition(f"\n## {heading}\n")[2]
    assert text
    return text.partition("\n## ")[0]


@pytest.mark.parametrize("heading", ["Erase a tenant", "Uninstall"])
def test_whoever_removes_events_looks_into_every_queue_that_holds_some(heading: str) -> None:
    text = section("OPERATIONS.md", heading)
    assert "dead-letter queues" in text
    assert set(re.findall(r"`(\w+Queue)`", text)) == set(queues_of_events())


def test_everything_that_outlives_the_stack_is_listed() -> None:
    retained = {name for name, resource in RESOURCES.items() if resource.get("DeletionPolicy") == "Retain"}
    assert len(retained) > 10
    rows = re.findall(r"^\| .* \| (`.*) \|$", section("OPERATIONS.md", "Uninstall"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == retained


def test_a_line_of_the_access_log_leads_to_the_lines_of_the_function() -> None:
    """The functions log the ID of Lambda's invocation; `requestId` of API Gateway is another one."""
    logged = json.loads(RESOURCES["HttpApi"]["Properties"]["AccessLogSetting"]["Format"])
    assert logged["requestId"] == "$context.requestId"
    assert logged["integrationRequestId"] == "$context.integration.requestId"


def test_ingest_knows_its_queues_and_the_quota() -> None:
    variables = RESOURCES["IngestFunction"]["Properties"]["Environment"]["Variables"]
    assert variables["EVENTS_QUEUE_URL"] == {"Ref": "EventsQueue"}
    assert variables["TOPIC_EVENTS_QUEUE_URL"] == {"Ref": "TopicEventsQueue"}
    assert variables["TOPIC_DELIVERY"] == {"Ref": "EventTopicDelivery"}
    # The default of SNS.
    assert TEMPLATE["Parameters"]["EventTopicDelivery"]["Default"] == "Enveloped"
    assert variables["RULE_EVENTS_QUEUE_URL"] == {"Ref": "RuleEventsQueue"}
    assert variables["INGEST_MEGABYTES_PER_TENANT_MINUTE"] == {"Ref": "IngestMegabytesPerTenantMinute"}


def test_a_web_acl_is_put_before_the_api_if_there_is_one() -> None:
    assert RESOURCES["WebAclAssociation"]["Condition"] == "HasWebAcl"
    properties = RESOURCES["WebAclAssociation"]["Properties"]
    assert properties["WebACLArn"] == {"Ref": "WebAclArn"}
    assert properties["ResourceArn"]["Fn::Sub"].endswith("/restapis/${HttpApi}/stages/${HttpApi.Stage}")


TRAIL = ("TrailBucket", "TrailBucketPolicy", "TablesTrail")


def test_there_is_a_trail_only_where_it_is_asked_for() -> None:
    assert {RESOURCES[name]["Condition"] for name in TRAIL} == {"HasEventsTableTrail"}
    assert TEMPLATE["Conditions"]["HasEventsTableTrail"] == {"Fn::Equals": [{"Ref": "EventsTableTrail"}, "enabled"]}
    assert TEMPLATE["Parameters"]["EventsTableTrail"]["Default"] == "disabled"


def test_the_trail_has_every_write_to_every_table_and_the_archive_and_no_read() -> None:
    properties = RESOURCES["TablesTrail"]["Properties"]
    selector, segments = properties["AdvancedEventSelectors"]
    fields = {field["Field"]: field["Equals"] for field in selector["FieldSelectors"]}
    tables = [target(arn) for arn in fields.pop("resources.ARN")]
    assert set(tables) == set(of_type("AWS::DynamoDB::Table"))
    assert fields == {
        "eventCategory": ["Data"],
        "resources.type": ["AWS::DynamoDB::Table"],
        "readOnly": ["false"],
    }
    # And who wrote or deleted a segment of the archive: docs/RUNBOOKS.md asks for it.
    assert segments["FieldSelectors"] == [
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
        {"Field": "readOnly", "Equals": ["false"]},
        {"Field": "resources.ARN", "StartsWith": [{"Fn::Sub": "${ArchiveBucket.Arn}/"}]},
    ]
    assert properties["IsLogging"] is True
    assert properties["EnableLogFileValidation"] is True
    # CloudTrail checks the bucket's policy when the trail is created.
    assert RESOURCES["TablesTrail"]["DependsOn"] == "TrailBucketPolicy"


def test_only_this_trail_writes_into_its_bucket_which_outlives_the_stack() -> None:
    bucket = RESOURCES["TrailBucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert all(rule["Status"] == "Enabled" for rule in properties["LifecycleConfiguration"]["Rules"])
    policy = RESOURCES["TrailBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    allowed = [statement for statement in policy if statement["Effect"] == "Allow"]
    assert [statement["Action"] for statement in allowed] == ["s3:GetBucketAcl", "s3:PutObject"]
    name = RESOURCES["TablesTrail"]["Properties"]["TrailName"]
    assert name == {"Ref": "AWS::StackName"}
    for statement in allowed:
        assert statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        source = statement["Condition"]["StringEquals"]["aws:SourceArn"]["Fn::Sub"]
        assert source.endswith(":${AWS::AccountId}:trail/${AWS::StackName}")


def test_api_gateway_answers_in_our_shape() -> None:
    responses = RESOURCES["HttpApi"]["Properties"]["GatewayResponses"]
    status = {kind: response.get("StatusCode") for kind, response in responses.items()}
    wanted = {"REQUEST_TOO_LARGE": 413, "UNSUPPORTED_MEDIA_TYPE": 415, "THROTTLED": 429, "INTEGRATION_TIMEOUT": 504}
    assert wanted.items() <= status.items()
    assert {"DEFAULT_4XX", "DEFAULT_5XX"} <= set(responses)
    for response in responses.values():
        (body,) = response["ResponseTemplates"].values()
        assert body.startswith('{"errors":[{"message":"')
        assert '"extensions":{"code":"' in body


def test_every_parameter_is_described_and_bounded() -> None:
    bounds = {"AllowedValues", "AllowedPattern", "MinValue", "MaxValue", "MaxLength"}
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter.get("Description"), name
        assert bounds & set(parameter), name


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        (
            "EventSenders",
            [
                "",
                "arn:aws:iam::111111111111:root",
                "arn:aws-us-gov:iam::111111111111:role/path/of/producer",
                "arn:aws-cn:iam::111111111111:user/first.last+x=y@example.com",
            ],
            [
                "*",
                "111111111111",
                "producer",
                "arn:aws:iam::111111111111:role/*",
                "arn:aws:iam::111111111111:role/",
                "arn:aws:iam::1111:role/producer",
                "arn:aws:iam::111111111111:group/producers",
                "arn:aws:sts::111111111111:assumed-role/producer/session",
                "arn:aws:iam::111111111111:role/a arn:aws:iam::111111111111:role/b",
            ],
        ),
        (
            "EventTopicArns",
            ["", "arn:aws:sns:eu-central-1:111111111111:audit-events"],
            [
                "*",
                "arn:aws:sns:*:111111111111:audit",
                "arn:aws:sns:eu-central-1:111111111111:*",
                "arn:aws:sns:eu-central-1:111111111111:a.fifo",
            ],
        ),
        (
            "EventRuleArns",
            [
                "",
                "arn:aws:events:eu-central-1:111111111111:rule/audit",
                "arn:aws:events:eu-central-1:111111111111:rule/bus/audit",
            ],
            [
                "*",
                "arn:aws:events:eu-central-1:111111111111:rule/*",
                "arn:aws:events:eu-central-1:111111111111:event-bus/default",
            ],
        ),
        (
            "TokenTenantClaim",
            ["tenant_id", "https://acme.example/tenant", "/app/tenant", "/a~1b/c~0", "a,b"],
            ["", "/", "/a//b", "/a/", "/a~2", "a b", "/a" * 9],
        ),
        (
            "TokenPermissionsClaim",
            ["permissions", "/realm_access/roles", "cognito:groups,scope", "/a/b,https://acme.example/roles,scope"],
            ["", ",", "a,", ",a", "a,,b", "a,b,c,d", "/a//b", "a,/b/", "a, b"],
        ),
        (
            "PageScopes",
            ["openid", "openid api://audit/read offline_access"],
            ["", " ", "openid  profile", " openid", 'openid "x"'],
        ),
        (
            "PagePortalOrigin",
            ["", "https://portal.example.com", "http://localhost:3000"],
            [
                "*",
                "'self'",
                "https://portal.example.com/",
                "https://*.example.com",
                "https://a.example https://b.example",
            ],
        ),
        (
            "PageFrameAncestors",
            [
                "",
                "https://a.example",
                "https://a.example,https://b.example:8443",
                "https://a.example, https://b.example",
            ],
            [
                "*",
                "https:",
                "https://a.example;script-src *",
                "https://a.example/",
                "https://a.example https://b.example",
            ],
        ),
        ("TokenIssuers", ["", '[{"issuer":"https://a.example"}]'], ["[]", "[x]", "{}", '["https://a.example"]']),
        (
            "EventRuleTenantPath",
            ["/detail/tenantId", "/account"],
            ["", "/", "detail", "$.detail", "/a b", "/a~", "/a~2"],
        ),
        (
            "RetiredSigningKeyArns",
            ["", "arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
            [
                "alias/digests",
                "arn:aws:kms:eu-central-1:111111111111:alias/digests",
                "1234abcd-12ab-34cd-56ef-1234567890ab",
            ],
        ),
    ],
)
def test_a_parameter_takes_what_is_well_formed_alone(parameter: str, accepted: list[str], refused: list[str]) -> None:
    """Checks a pattern like CloudFormation: against the whole String, or each whole value of a CommaDelimitedList."""
    pattern = re.compile(TEMPLATE["Parameters"][parameter]["AllowedPattern"])
    assert [value for value in accepted if not pattern.fullmatch(value)] == []
    assert [value for value in refused if pattern.fullmatch(value)] == []


def test_production_refuses_every_development_setting() -> None:
    rule = TEMPLATE["Rules"]["ProductionRefusesDevelopmentSettings"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "DeploymentMode"}, "production"]}
    refused = {assertion["AssertDescription"].split()[0] for assertion in rule["Assertions"]}
    assert {name for name in TEMPLATE["Parameters"] if name.startswith("Development")} <= refused


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_logs_where_logs_are_kept_for_a_set_time(function: str) -> None:
    group = target(RESOURCES[function]["Properties"]["LoggingConfig"]["LogGroup"])
    assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
    assert target(RESOURCES[group]["Properties"]["RetentionInDays"]) == "LogRetentionDays"
