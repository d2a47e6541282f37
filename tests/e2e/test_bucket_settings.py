"""Settings of a customer's bucket: the export works, or the connection test fails with the code that the guide names.

`Row:` names the row of "Settings of the bucket" in docs/BUCKETS.md that a test proves; infra/lint/test_bucket_settings.py
compares them. Settings that the emulator does not enforce are tested with the requests and with S3's answers in
shared/aws-adapters: object_sink/tests/bucket_settings.rs and tests/strict_bucket.rs.
"""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from infra.local.stack import CustomerAccount, Stack, wait_until
from infra.local.verification import BROKEN, COMPLETE, Verifier
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    PATIENCE_SECONDS,
    ROLE_ACCOUNT,
    Customer,
    CustomerFactory,
    create_queue,
    make_events,
)
from tests.e2e.test_policies import apply, assert_exports, prepare_role

# Only an emulator that enforces policies enforces these settings.
pytestmark = pytest.mark.requires("iam enforcement", "trust policies")

REGION = "eu-west-1"
PATH = "audit/export"
# The exit code of `audit-export verify` if S3 denies reading a file.
DENIED = 4
RETENTION_DAYS = 1

REPAIR = """
    mutation($id: ID!, $from: DateTime!, $to: DateTime!) {
        repairExportConfiguration(id: $id, from: $from, to: $to, overwrite: true) { id }
    }
"""
REPAIR_STATUS = "query($id: ID!) { getExportRepair(exportConfigurationId: $id) { status repaired error { code } } }"


def bucket_of(customers: CustomerFactory, **options: Any) -> CustomerAccount:
    return customers.account(ROLE_ACCOUNT, REGION, path=PATH, **options)


def assert_works(customer: Customer) -> None:
    """Asserts that the connection test succeeds twice, and that an export delivers every event."""
    for _ in range(2):
        tested = customer.tenant.administrator.test(customer.id)
        assert (tested["connectionStatus"], tested["connectionError"]) == ("SUCCESS", None)
        customer.wait_until_idle()
    sent = customer.tenant.send(make_events(3))
    assert [event["id"] for event in customer.run_export(sent)] == sent


def assert_refused(customer: Customer, code: str) -> None:
    tested = customer.tenant.administrator.test(customer.id)
    assert (tested["connectionStatus"], tested["connectionError"]["code"]) == ("FAILED", code), tested
    assert customer.account.objects() == []


def versions_of(account: CustomerAccount) -> dict[str, list[str]]:
    """Returns the IDs of all versions of each object."""
    found: dict[str, list[str]] = {}
    pages = account.s3.get_paginator("list_object_versions").paginate(Bucket=account.bucket)
    for version in (version for page in pages for version in page.get("Versions", [])):
        found.setdefault(version["Key"], []).append(version["VersionId"])
    return found


def repair_with_overwrite(customer: Customer) -> None:
    """Writes every file of the export again, over what is in the bucket."""
    administrator = customer.tenant.administrator
    administrator.disable(customer.id)
    customer.wait_until_at_rest()
    stored = customer.stored()
    times = {"from": stored["createdAt"]["S"], "to": stored["exportedThrough"]["S"]}
    administrator.execute(REPAIR, {"id": customer.id} | times)

    def ended() -> dict[str, Any] | None:
        repair = administrator.execute(REPAIR_STATUS, {"id": customer.id})["getExportRepair"]
        return None if repair["status"] in {"PENDING", "RUNNING"} else repair

    repair = wait_until(ended, f"the repair of {customer.id}", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    assert repair["status"] == "SUCCEEDED", repair
    assert repair["repaired"] > 0


# ----------------------------------------------------------------------------------------------------------------------
# Object Lock and versioning
# ----------------------------------------------------------------------------------------------------------------------


def locked_bucket(stack: Stack, mode: str | None) -> CustomerAccount:
    account = CustomerAccount(stack, ROLE_ACCOUNT, REGION, f"export-{ROLE_ACCOUNT}-{uuid.uuid4().hex[:12]}", PATH)
    account.s3.create_bucket(
        Bucket=account.bucket,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    if mode is not None:
        retention = {"DefaultRetention": {"Mode": mode, "Days": RETENTION_DAYS}}
        account.s3.put_object_lock_configuration(
            Bucket=account.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": retention}
        )
    return account


# Row: Object Lock, no default retention
def test_object_lock_without_a_default_retention_leaves_one_version_of_each_file(
    customers: CustomerFactory, stack: Stack
) -> None:
    customer = customers.with_role(account=locked_bucket(stack, None))
    assert_works(customer)
    assert {len(versions) for versions in versions_of(customer.account).values()} == {1}


# Row: Object Lock, retention in governance mode
# Row: Object Lock, retention in compliance mode
@pytest.mark.parametrize(("mode", "can_be_bypassed"), [("GOVERNANCE", True), ("COMPLIANCE", False)])
def test_a_default_retention_keeps_every_file(
    customers: CustomerFactory, stack: Stack, mode: str, can_be_bypassed: bool
) -> None:
    customer = customers.with_role(account=locked_bucket(stack, mode))
    account = customer.account
    assert_works(customer)
    versions = versions_of(account)
    assert {len(ids) for ids in versions.values()} == {1}
    for key, [version] in versions.items():
        named = {"Bucket": account.bucket, "Key": key, "VersionId": version}
        assert account.s3.get_object_retention(**named)["Retention"]["Mode"] == mode
        with pytest.raises(ClientError, match="AccessDenied"):
            account.s3.delete_object(**named)
    if can_be_bypassed:
        account.s3.delete_object(**named, BypassGovernanceRetention=True)
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            account.s3.delete_object(**named, BypassGovernanceRetention=True)


# Row: Object Lock, legal hold
def test_a_repair_over_a_file_with_a_legal_hold_adds_a_version(customers: CustomerFactory, stack: Stack) -> None:
    customer = customers.with_role(account=locked_bucket(stack, None))
    account = customer.account
    assert_works(customer)
    key = account.data_keys(customer.id)[0]
    [held] = versions_of(account)[key]
    account.s3.put_object_legal_hold(Bucket=account.bucket, Key=key, VersionId=held, LegalHold={"Status": "ON"})
    repair_with_overwrite(customer)
    versions = versions_of(account)[key]
    assert held in versions
    assert len(versions) == 2
    with pytest.raises(ClientError, match="AccessDenied"):
        account.s3.delete_object(Bucket=account.bucket, Key=key, VersionId=held)


# Row: versioning on
# Row: versioning suspended
@pytest.mark.parametrize(("status", "versions_after_overwriting"), [("Enabled", 2), ("Suspended", 1)])
def test_each_file_has_one_version_until_a_repair_overwrites_it(
    customers: CustomerFactory, status: str, versions_after_overwriting: int
) -> None:
    account = bucket_of(customers)
    account.s3.put_bucket_versioning(Bucket=account.bucket, VersioningConfiguration={"Status": status})
    customer = customers.with_role(account=account)
    assert_works(customer)
    versions = versions_of(account)
    assert {len(ids) for ids in versions.values()} == {1}
    assert ({ids[0] for ids in versions.values()} == {"null"}) == (status == "Suspended")
    repair_with_overwrite(customer)
    versions = versions_of(account)
    assert {len(versions[key]) for key in account.data_keys(customer.id)} == {versions_after_overwriting}


# ----------------------------------------------------------------------------------------------------------------------
# Ownership, public access and encryption
# ----------------------------------------------------------------------------------------------------------------------

# Row: Object Ownership `BucketOwnerEnforced`
# Row: Object Ownership `BucketOwnerPreferred`
# Row: Object Ownership `ObjectWriter`
OWNERSHIPS = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")


def set_ownership(account: CustomerAccount, ownership: str) -> None:
    controls = {"Rules": [{"ObjectOwnership": ownership}]}
    account.s3.put_bucket_ownership_controls(Bucket=account.bucket, OwnershipControls=controls)


@pytest.mark.parametrize("ownership", OWNERSHIPS)
def test_every_object_ownership_takes_files_of_the_same_account(customers: CustomerFactory, ownership: str) -> None:
    account = bucket_of(customers)
    set_ownership(account, ownership)
    assert_works(customers.with_role(account=account))


@pytest.mark.parametrize("ownership", OWNERSHIPS)
def test_every_object_ownership_takes_files_of_another_account(customers: CustomerFactory, ownership: str) -> None:
    writer = prepare_role(customers)
    set_ownership(writer.customer.account, ownership)
    apply(writer)
    assert_exports(writer)


# Row: Block Public Access
def test_block_public_access_lets_the_printed_bucket_policy_be(customers: CustomerFactory) -> None:
    writer = prepare_role(customers)
    account = writer.customer.account
    every = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    account.s3.put_public_access_block(Bucket=account.bucket, PublicAccessBlockConfiguration=dict.fromkeys(every, True))
    apply(writer)
    assert_exports(writer)


def encrypt(account: CustomerAccount, algorithm: str, key: str | None) -> None:
    default = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": key} if key else {})
    account.s3.put_bucket_encryption(
        Bucket=account.bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )


# The algorithm of the bucket's default, whether the customer's key is named there and in the configuration, and the encryption
# of the files.
ENCRYPTIONS = [
    # Row: encryption: SSE-S3
    ("AES256", False, False, "AES256"),
    # Row: encryption: SSE-KMS, AWS managed key
    ("aws:kms", False, False, "aws:kms"),
    # Row: encryption: SSE-KMS, your key
    ("aws:kms", True, False, "aws:kms"),
    ("aws:kms", True, True, "aws:kms"),
    # Row: encryption: DSSE-KMS
    ("aws:kms:dsse", True, False, "aws:kms:dsse"),
    ("aws:kms:dsse", True, True, "aws:kms"),
]


@pytest.mark.parametrize(("algorithm", "has_key", "is_configured", "expected"), ENCRYPTIONS)
def test_the_bucket_encrypts_unless_the_configuration_names_a_key(
    customers: CustomerFactory, algorithm: str, has_key: bool, is_configured: bool, expected: str
) -> None:
    account = bucket_of(customers, encrypted=True)
    key = account.kms_key_arn
    encrypt(account, algorithm, key if has_key else None)
    customer = customers.with_role(account=account, kmsKeyArn=key if is_configured else None)
    assert_works(customer)
    for entry in account.objects():
        head = account.s3.head_object(Bucket=account.bucket, Key=entry["Key"])
        assert head["ServerSideEncryption"] == expected, entry
        assert head.get("SSEKMSKeyId") in ({key} if is_configured else {key, None}), entry


# Row: encryption: S3 Bucket Key
def test_a_bucket_with_a_bucket_key_takes_the_export(customers: CustomerFactory) -> None:
    account = bucket_of(customers, encrypted=True)
    [rule] = account.s3.get_bucket_encryption(Bucket=account.bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["BucketKeyEnabled"] is True
    assert_works(customers.with_role(account=account))


# ----------------------------------------------------------------------------------------------------------------------
# What happens to the files afterwards
# ----------------------------------------------------------------------------------------------------------------------


def set_lifecycle(account: CustomerAccount, **action: Any) -> None:
    rule = {"ID": "rule", "Status": "Enabled", "Filter": {"Prefix": ""}} | action
    account.s3.put_bucket_lifecycle_configuration(Bucket=account.bucket, LifecycleConfiguration={"Rules": [rule]})


# Row: lifecycle: abort incomplete uploads
def test_an_export_leaves_no_upload_to_abort(customers: CustomerFactory) -> None:
    account = bucket_of(customers)
    set_lifecycle(account, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7})
    assert_works(customers.with_role(account=account))
    assert account.s3.list_multipart_uploads(Bucket=account.bucket).get("Uploads", []) == []


# Row: lifecycle: expiration
def test_an_expired_file_is_missing_for_the_verification(customers: CustomerFactory, verifier: Verifier) -> None:
    account = bucket_of(customers)
    set_lifecycle(account, Expiration={"Days": 365})
    customer = customers.with_role(account=account)
    assert_works(customer)
    assert verifier.bucket(account, customer.id)[0] == COMPLETE
    # As S3 does when the time of the rule has come.
    account.s3.delete_object(Bucket=account.bucket, Key=account.data_keys(customer.id)[0])
    status, report = verifier.bucket(account, customer.id)
    assert (status, report["breaks"][0]["code"]) == (BROKEN, "MISSING_OBJECT"), report


def move_to(account: CustomerAccount, key: str, storage_class: str) -> None:
    """Moves a file to a storage class, as a lifecycle rule does."""
    source = {"Bucket": account.bucket, "Key": key}
    account.s3.copy_object(Bucket=account.bucket, Key=key, CopySource=source, StorageClass=storage_class)
    assert account.s3.head_object(Bucket=account.bucket, Key=key)["StorageClass"] == storage_class


# Row: lifecycle: Glacier Flexible Retrieval and Deep Archive
@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_file_has_to_be_restored_before_it_can_be_verified(
    customers: CustomerFactory, verifier: Verifier, storage_class: str
) -> None:
    customer = customers.with_role(account=bucket_of(customers))
    account = customer.account
    assert_works(customer)
    key = account.data_keys(customer.id)[0]
    move_to(account, key, storage_class)
    with pytest.raises(ClientError, match="InvalidObjectState"):
        account.download(key)
    assert verifier.bucket(account, customer.id)[0] == DENIED
    account.s3.restore_object(Bucket=account.bucket, Key=key, RestoreRequest={"Days": 1})
    wait_until(
        lambda: verifier.bucket(account, customer.id)[0] == COMPLETE,
        f"the restored {key}",
        timeout_seconds=PATIENCE_SECONDS,
    )


# Row: lifecycle: Intelligent-Tiering
def test_a_file_in_intelligent_tiering_can_be_verified(customers: CustomerFactory, verifier: Verifier) -> None:
    customer = customers.with_role(account=bucket_of(customers))
    assert_works(customer)
    for key in customer.account.data_keys(customer.id):
        move_to(customer.account, key, "INTELLIGENT_TIERING")
    assert verifier.bucket(customer.account, customer.id)[0] == COMPLETE


# Row: replication rules
def test_a_replica_can_be_verified_as_the_place_it_is_a_copy_of(customers: CustomerFactory, verifier: Verifier) -> None:
    source, replica = bucket_of(customers), bucket_of(customers)
    for account in (source, replica):
        account.s3.put_bucket_versioning(Bucket=account.bucket, VersioningConfiguration={"Status": "Enabled"})
    rule = {
        "ID": "all",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{replica.bucket}"},
    }
    source.s3.put_bucket_replication(
        Bucket=source.bucket, ReplicationConfiguration={"Role": source.role_arn("replication"), "Rules": [rule]}
    )
    customer = customers.with_role(account=source)
    assert_works(customer)
    written = {entry["Key"]: entry["ETag"] for entry in source.objects()}
    wait_until(
        lambda: {entry["Key"]: entry["ETag"] for entry in replica.objects()} == written,
        f"the replicas in {replica.bucket}",
        timeout_seconds=PATIENCE_SECONDS,
    )
    place = f"s3://{source.bucket}/{source.prefix}{customer.id}"
    status, report = verifier.bucket(replica, customer.id, "--place", place)
    assert status == COMPLETE, report


# Row: event notifications
def test_a_file_is_complete_when_its_notification_arrives(customers: CustomerFactory) -> None:
    account = bucket_of(customers)
    sqs = account.client("sqs")
    condition = {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{account.bucket}"}}
    url, arn = create_queue(sqs, "files", "s3.amazonaws.com", condition)
    suffix = {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".ndjson.gz"}]}}
    queue = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": suffix}
    account.s3.put_bucket_notification_configuration(
        Bucket=account.bucket, NotificationConfiguration={"QueueConfigurations": [queue]}
    )
    customer = customers.with_role(account=account)
    assert_works(customer)
    sizes = {entry["Key"]: entry["Size"] for entry in account.objects() if entry["Key"].endswith(".ndjson.gz")}
    announced: list[tuple[str, int]] = []

    def receive() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            # S3's test event has no records.
            files = (record["s3"]["object"] for record in json.loads(message["Body"]).get("Records", []))
            announced.extend((unquote_plus(file["key"]), file["size"]) for file in files)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return len(announced) >= len(sizes)

    wait_until(receive, f"{len(sizes)} notifications", timeout_seconds=PATIENCE_SECONDS)
    assert sorted(announced) == sorted(sizes.items())


# ----------------------------------------------------------------------------------------------------------------------
# Bucket policies
# ----------------------------------------------------------------------------------------------------------------------


def deny_writes(account: CustomerAccount, condition: dict[str, Any]) -> None:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{account.bucket}/*",
        "Condition": condition,
    }
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    account.s3.put_bucket_policy(Bucket=account.bucket, Policy=json.dumps(policy))


@pytest.mark.parametrize(
    "condition",
    [
        # Row: policy demands a VPC endpoint (`aws:SourceVpce`, `aws:SourceVpc`)
        {"StringNotEquals": {"aws:SourceVpce": "vpce-1a2b3c4d"}},
        {"StringNotEquals": {"aws:SourceVpc": "vpc-1a2b3c4d"}},
        # Row: policy demands addresses (`aws:SourceIp`)
        {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
        # Row: policy demands MFA (`aws:MultiFactorAuthPresent`)
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    ],
    ids=json.dumps,
)
def test_a_policy_on_the_origin_of_requests_has_to_exempt_the_role(
    customers: CustomerFactory, condition: dict[str, Any]
) -> None:
    customer = customers.with_role(account=bucket_of(customers))
    account = customer.account
    deny_writes(account, condition)
    assert_refused(customer, "WRITE_DENIED")
    assert customer.role_name is not None
    exempt = {"ArnNotEquals": {"aws:PrincipalArn": account.role_arn(customer.role_name)}}
    deny_writes(account, condition | exempt)
    assert_works(customer)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        # Row: policy demands `AES256` or `aws:kms:dsse`
        ("s3:x-amz-server-side-encryption", "AES256"),
        ("s3:x-amz-server-side-encryption", "aws:kms:dsse"),
        # Row: policy demands `s3:x-amz-acl`
        ("s3:x-amz-acl", "bucket-owner-full-control"),
    ],
)
def test_a_policy_that_demands_a_header_that_is_not_sent(customers: CustomerFactory, key: str, value: str) -> None:
    customer = customers.with_role(account=bucket_of(customers))
    deny_writes(customer.account, {"StringNotEquals": {key: value}})
    assert_refused(customer, "WRITE_DENIED")
    # Requests without the header are let through: the bucket's default applies to them.
    deny_writes(customer.account, {"StringNotEquals": {key: value}, "Null": {key: "false"}})
    assert_works(customer)
