"""What template.yaml stores: tables, the archive, the trail, and what outlives the stack."""

from __future__ import annotations

import re

import pytest

from infra.lint.template import FUNCTIONS, RESOURCES, ROOT, TEMPLATE, every_action, of_type, section, target


def test_resources_with_data_outlive_the_stack() -> None:
    kinds = {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::S3::Bucket"}
    keepers = [resource for resource in RESOURCES.values() if resource["Type"] in kinds]
    assert {resource["Type"] for resource in keepers} == kinds
    for resource in keepers:
        # A log group has a fixed name: one that the rollback of a creation left behind would block the next creation.
        policy = "RetainExceptOnCreate" if resource["Type"] == "AWS::Logs::LogGroup" else "Retain"
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (policy, "Retain")


def test_what_a_failed_creation_leaves_behind_has_no_fixed_name() -> None:
    names = {"BucketName", "LogGroupName", "RoleName", "TableName"}
    for name, resource in RESOURCES.items():
        if resource.get("DeletionPolicy") == "Retain":
            assert not names & set(resource.get("Properties", {})), name


def test_everything_that_outlives_the_stack_is_listed() -> None:
    retained = {name for name, resource in RESOURCES.items() if resource.get("DeletionPolicy", "Delete") != "Delete"}
    assert len(retained) > 10
    rows = re.findall(r"^\| .* \| (`.*) \|$", section("OPERATIONS.md", "Uninstall"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == retained


@pytest.mark.parametrize("table", ["AuditEventsTable", "ExportConfigurationsTable", "ExportRunsTable"])
def test_table_is_on_demand_recoverable_and_expires_items(table: str) -> None:
    properties = RESOURCES[table]["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expiresAt", "Enabled": True}


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
