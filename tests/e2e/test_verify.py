"""The connection test, and every failure that can be provoked on the emulator.

The emulator does not enforce `expectedBucketOwner`, permissions on a bucket's KMS key, or Regions that are disabled or don't
exist. WRITE_DENIED by a wrong owner, KMS_DENIED, KMS_KEY_UNUSABLE, KMS_REFUSED, BUCKET_REFUSED,
STS_REFUSED, REGION_DISABLED and ENDPOINT_UNREACHABLE are tested with doubles of the clients in shared/aws-adapters and
shared/export-engine. So are policies on `s3:if-none-match`, the checksum that Object Lock requires, and `s3:PutObjectAcl`
(shared/aws-adapters/tests/strict_bucket.rs). Other settings of a bucket are in test_bucket_settings.py.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.stack import MARKER, Credentials, CustomerAccount, Stack
from tests.e2e.harness import KEY_ACCOUNT, ROLE_ACCOUNT, Customer, CustomerFactory, Record

# API Gateway gives up after this time.
ANSWER_SECONDS = 29

Invoke = Callable[[str, Any], dict[str, Any]]
Trust = Callable[[CustomerAccount, str], dict[str, Any]]


def probe(customer: Customer) -> dict[str, Any]:
    started = time.monotonic()
    tested = customer.tenant.administrator.test(customer.id)
    assert time.monotonic() - started < ANSWER_SECONDS
    # The response equals the stored state.
    assert customer.tenant.administrator.get(customer.id) == tested
    return tested


def assert_success(customer: Customer, tested: dict[str, Any]) -> None:
    assert (tested["connectionStatus"], tested["connectionError"]) == ("SUCCESS", None)
    marker = customer.account.s3.head_object(Bucket=customer.account.bucket, Key=customer.account.prefix + MARKER)
    # Not a multipart upload, like the objects of an export.
    assert "-" not in marker["ETag"]
    assert marker["ContentType"] == "text/plain; charset=utf-8"


def assert_failure(tested: dict[str, Any], code: str, *words: str) -> None:
    assert (tested["connectionStatus"], tested["connectionError"]["code"]) == ("FAILED", code), tested
    assert tested["connectionCheckedAt"]
    for word in words:
        assert word in tested["connectionError"]["message"]


def assert_nothing_written(customer: Customer) -> None:
    assert customer.account.objects() == []


# ----------------------------------------------------------------------------------------------------------------------
# Success
# ----------------------------------------------------------------------------------------------------------------------


def test_a_role_with_only_the_documented_permissions_succeeds(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    assert_success(customer, probe(customer))


def test_an_encrypted_bucket_succeeds(customers: CustomerFactory) -> None:
    account = customers.account("222222222222", "eu-west-1", encrypted=True)
    customer = customers.with_role(account=account)
    assert_success(customer, probe(customer))
    marker = account.s3.head_object(Bucket=account.bucket, Key=MARKER)
    assert (marker["ServerSideEncryption"], marker["SSEKMSKeyId"]) == ("aws:kms", account.kms_key_arn)


def test_a_user_with_only_the_documented_permissions_succeeds(customers: CustomerFactory) -> None:
    customer = customers.with_access_key(account=customers.account(KEY_ACCOUNT, path="a/b"))
    assert_success(customer, probe(customer))


# Row: versioning on
def test_a_test_can_be_repeated_and_leaves_one_version_of_the_marker(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    # A connection test must not start an export.
    customer.tenant.administrator.disable(customer.id)
    account = customer.account
    versioning = {"Status": "Enabled"}
    account.s3.put_bucket_versioning(Bucket=account.bucket, VersioningConfiguration=versioning)
    first, second = probe(customer), probe(customer)
    assert_success(customer, second)
    assert first["connectionCheckedAt"] < second["connectionCheckedAt"]
    versions = account.s3.list_object_versions(Bucket=account.bucket)["Versions"]
    assert [version["Key"] for version in versions] == [account.prefix + MARKER]
    assert account.s3.list_multipart_uploads(Bucket=account.bucket).get("Uploads", []) == []


# ----------------------------------------------------------------------------------------------------------------------
# Roles
# ----------------------------------------------------------------------------------------------------------------------


def trusting(account: CustomerAccount, condition: dict[str, Any] | None) -> dict[str, Any]:
    document = account.trust_policy(None)
    if condition is not None:
        document["Statement"][0]["Condition"] = condition
    return document


NOT_ASSUMABLE: dict[str, Trust | None] = {
    "no role": None,
    "another configuration's external id": lambda account, _: account.trust_policy(str(uuid.uuid4())),
    "another account trusted": lambda account, external_id: account.trust_policy(external_id, "444444444444"),
}


@pytest.mark.parametrize("case", NOT_ASSUMABLE)
def test_a_role_that_can_not_be_assumed(customers: CustomerFactory, case: str) -> None:
    trust = NOT_ASSUMABLE[case]
    customer = customers.with_role(trust=trust, create_role=trust is not None)
    assert_failure(probe(customer), "ROLE_NOT_ASSUMABLE", "trust policy", "minute")
    assert_nothing_written(customer)


TOO_OPEN: dict[str, Trust] = {
    "no external id required": lambda account, _: trusting(account, None),
    "any external id": lambda account, _: trusting(account, {"StringLike": {"sts:ExternalId": "*"}}),
    "required only if it is given": lambda account, external_id: trusting(
        account, {"StringEqualsIfExists": {"sts:ExternalId": external_id}}
    ),
    "a second statement without condition": lambda account, external_id: {
        "Version": "2012-10-17",
        "Statement": [*account.trust_policy(external_id)["Statement"], *account.trust_policy(None)["Statement"]],
    },
}


@pytest.mark.parametrize("case", TOO_OPEN)
def test_a_trust_policy_that_others_could_use(customers: CustomerFactory, case: str) -> None:
    customer = customers.with_role(trust=TOO_OPEN[case])
    assert_failure(probe(customer), "TRUST_POLICY_TOO_OPEN", "sts:ExternalId")
    assert_nothing_written(customer)


def test_a_repaired_connection_succeeds(customers: CustomerFactory) -> None:
    customer = customers.with_role(trust=TOO_OPEN["no external id required"])
    assert probe(customer)["connectionStatus"] == "FAILED"
    customer.account.client("iam").update_assume_role_policy(
        RoleName=customer.role_name,
        PolicyDocument=json.dumps(customer.account.trust_policy(customer.id)),
    )
    assert_success(customer, probe(customer))


# ----------------------------------------------------------------------------------------------------------------------
# Buckets
# ----------------------------------------------------------------------------------------------------------------------


def test_no_such_bucket(customers: CustomerFactory) -> None:
    missing = f"missing-{uuid.uuid4().hex[:12]}"
    customer = customers.with_access_key(policy=put_anywhere(), bucketName=missing)
    assert_failure(probe(customer), "BUCKET_NOT_FOUND", missing)


@pytest.mark.requires("bucket regions")
def test_a_bucket_in_another_region_is_reported_with_its_region(customers: CustomerFactory) -> None:
    account = customers.account(KEY_ACCOUNT, "eu-central-1")
    customer = customers.with_access_key(account=account, region="us-east-1")
    assert_failure(probe(customer), "BUCKET_IN_ANOTHER_REGION", "eu-central-1")
    assert_nothing_written(customer)


def put_anywhere() -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}


def nothing_allowed() -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::another-bucket/*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


@pytest.mark.requires("iam enforcement")
@pytest.mark.parametrize("make", ["with_role", "with_access_key"])
def test_a_policy_that_does_not_allow_the_prefix(customers: CustomerFactory, make: str) -> None:
    customer = getattr(customers, make)(policy=nothing_allowed())
    assert_failure(probe(customer), "WRITE_DENIED", "s3:PutObject", "expectedBucketOwner")
    assert_nothing_written(customer)


@pytest.mark.requires("iam enforcement")
def test_a_bucket_policy_that_denies(customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    account = customer.account
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{account.bucket}/*",
    }
    account.s3.put_bucket_policy(
        Bucket=account.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    )
    assert_failure(probe(customer), "WRITE_DENIED", "no policy denies")


def demand(account: CustomerAccount, header: str, value: str) -> None:
    """Denies every write to the bucket without the header."""
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{account.bucket}/*",
        "Condition": {"StringNotEquals": {f"s3:{header}": value}},
    }
    policy = {"Version": "2012-10-17", "Statement": [deny]}
    account.s3.put_bucket_policy(Bucket=account.bucket, Policy=json.dumps(policy))


# Row: policy demands `aws:kms` and a key
@pytest.mark.requires("iam enforcement")
def test_a_bucket_policy_that_demands_encryption_is_met_with_the_key_and_named_without(
    customers: CustomerFactory,
) -> None:
    account = customers.account(ROLE_ACCOUNT, "eu-west-1", encrypted=True)
    demand(account, "x-amz-server-side-encryption", "aws:kms")
    without_key = customers.with_role(account=account, kmsKeyArn=None)
    assert_failure(probe(without_key), "WRITE_DENIED", "requires a header", "kmsKeyArn")
    assert_nothing_written(without_key)
    customer = customers.with_role(account=account)
    assert_success(customer, probe(customer))


# ----------------------------------------------------------------------------------------------------------------------
# Access keys
# ----------------------------------------------------------------------------------------------------------------------


def make_wrong_secret(record: Record) -> str:
    secret = (uuid.uuid4().hex + uuid.uuid4().hex)[:40]
    record.secrets.add(secret)
    return secret


@pytest.mark.requires("iam enforcement")
def test_an_unknown_access_key(customers: CustomerFactory, record: Record) -> None:
    unknown = Credentials("AKIA" + uuid.uuid4().hex[:16].upper(), make_wrong_secret(record))
    customer = customers.with_access_key(credentials=unknown)
    assert_failure(customer.configuration, "ACCESS_KEY_UNKNOWN", "access key")
    assert_failure(probe(customer), "ACCESS_KEY_UNKNOWN")


@pytest.mark.requires("iam enforcement")
def test_a_deleted_access_key(customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    assert customer.configuration["connectionStatus"] == "SUCCESS"
    iam = customer.account.client("iam")
    key_id = customer.access_key.access_key_id
    user = iam.get_access_key_last_used(AccessKeyId=key_id)["UserName"]
    iam.delete_access_key(UserName=user, AccessKeyId=key_id)
    assert_failure(probe(customer), "ACCESS_KEY_UNKNOWN")


@pytest.mark.requires("iam enforcement")
def test_a_wrong_secret(customers: CustomerFactory, record: Record) -> None:
    account = customers.account(KEY_ACCOUNT)
    right = customers.user(account)
    wrong = Credentials(right.access_key_id, make_wrong_secret(record))
    customer = customers.with_access_key(account=account, credentials=wrong)
    assert_failure(customer.configuration, "SECRET_ACCESS_KEY_WRONG", "secret access key")
    assert_failure(probe(customer), "SECRET_ACCESS_KEY_WRONG")
    assert_nothing_written(customer)


# ----------------------------------------------------------------------------------------------------------------------
# The verifier, invoked directly
# ----------------------------------------------------------------------------------------------------------------------


def test_the_verifier_can_be_invoked_alone_and_stores_the_outcome(customers: CustomerFactory, invoke: Invoke) -> None:
    customer = customers.with_role()
    answer = invoke("verifier", {"tenantId": customer.tenant.name, "configurationId": customer.id})
    assert (answer["connectionStatus"], answer["connectionError"]) == ("SUCCESS", None)
    stored = customer.tenant.administrator.get(customer.id)
    assert stored["connectionStatus"] == "SUCCESS"
    assert stored["connectionCheckedAt"] == answer["connectionCheckedAt"]


@pytest.mark.requires("iam enforcement")
def test_the_verifier_reports_a_failure_like_the_api(customers: CustomerFactory, invoke: Invoke) -> None:
    customer = customers.with_role(policy=nothing_allowed())
    answer = invoke("verifier", {"tenantId": customer.tenant.name, "configurationId": customer.id})
    stored = customer.tenant.administrator.get(customer.id)
    assert answer["connectionStatus"] == stored["connectionStatus"] == "FAILED"
    assert answer["connectionError"] == stored["connectionError"]


def test_the_verifier_finds_nothing_under_another_tenant(customers: CustomerFactory, invoke: Invoke) -> None:
    customer = customers.with_role()
    other = customers.make_tenant()
    answer = invoke("verifier", {"tenantId": other.name, "configurationId": customer.id})
    assert not answer
    assert customer.tenant.administrator.get(customer.id)["connectionStatus"] == "PENDING"


def test_the_role_of_the_verifier_can_not_assume_roles_of_its_own_account(stack: Stack) -> None:
    """The deployed policy denies it as well, not only the check of the input."""
    iam = stack.client("iam")
    roles = [role for role in iam.list_roles(PathPrefix="/audit-export/")["Roles"] if "Verifier" in role["RoleName"]]
    [role] = roles
    names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    policies = [iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"] for name in names]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    [deny] = [statement for statement in statements if statement["Effect"] == "Deny"]
    assert deny["Action"] == "sts:AssumeRole"
    assert deny["Resource"] == f"arn:aws:iam::{stack.account}:role/*"
