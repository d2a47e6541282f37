"""Export configurations over GraphQL."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.stack import GraphQlFailed, Stack
from tests.e2e.harness import KEY_ACCOUNT, ROLE_ACCOUNT, CustomerFactory, Record, Tenant

ROLE_ARN = f"arn:aws:iam::{ROLE_ACCOUNT}:role/audit-export"
# A well-formed key of nobody: the example in AWS's documentation.
ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
VALID_ROLE = {
    "interval": "EVERY_24_HOURS",
    "bucketName": "customer-audit",
    "bucketPath": "audit/export",
    "region": "eu-west-1",
    "roleArn": ROLE_ARN,
}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"

TEST = f'testExportConfiguration(id: "{UNKNOWN_ID}") {{ id }}'
TWO_TESTS = f"mutation {{ a: {TEST} b: {TEST} }}"


def make_secret(record: Record) -> str:
    secret = (uuid.uuid4().hex + uuid.uuid4().hex)[:40]
    record.secrets.add(secret)
    return secret


def valid_key(record: Record) -> dict[str, str]:
    return {
        "interval": "EVERY_2_HOURS",
        "bucketName": "customer-audit",
        "region": "us-east-1",
        "accessKeyId": ACCESS_KEY_ID,
        "secretAccessKey": make_secret(record),
    }


def field_errors(failure: GraphQlFailed) -> dict[str, str]:
    [error] = failure.errors
    assert error["extensions"]["code"] == "INVALID_INPUT", error
    assert all(field["message"] for field in error["extensions"]["fields"])
    return {field["field"]: field["code"] for field in error["extensions"]["fields"]}


# ----------------------------------------------------------------------------------------------------------------------
# Valid requests
# ----------------------------------------------------------------------------------------------------------------------


def test_a_trust_policy_needs_these_three(tenant: Tenant, stack: Stack) -> None:
    identity = tenant.administrator.identity()
    assert identity == {"account": stack.account, "partition": "aws", "region": stack.region}


def test_a_configuration_with_a_role_may_come_before_the_role(tenant: Tenant) -> None:
    created = tenant.administrator.create_assumed_role(**VALID_ROLE)
    assert created["externalId"] == created["id"]
    assert uuid.UUID(created["id"]).version == 4
    assert (created["interval"], created["enabled"]) == ("EVERY_24_HOURS", True)
    assert (created["connectionStatus"], created["connectionCheckedAt"], created["connectionError"]) == (
        "PENDING", None, None,
    )  # fmt: skip
    assert created["endpointConfiguration"] == {
        "bucketName": "customer-audit",
        "bucketPath": "audit/export",
        "region": "eu-west-1",
        "endpointUrl": None,
        "roleArn": ROLE_ARN,
        "accessKeyId": None,
        "kmsKeyArn": None,
        "expectedBucketOwner": None,
    }
    assert created["createdBy"] == created["updatedBy"] == "administrator@example.com"
    assert created["createdAt"] == created["updatedAt"] == created["startFrom"]
    assert tenant.administrator.get(created["id"]) == created


def test_a_configuration_with_a_key_is_tested_as_it_is_created(customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    created = customer.configuration
    assert (created["connectionStatus"], created["connectionError"]) == ("SUCCESS", None)
    assert created["connectionCheckedAt"] >= created["createdAt"]
    assert created["endpointConfiguration"]["accessKeyId"] == customer.access_key.access_key_id


@pytest.mark.requires("iam enforcement")
def test_a_failed_test_does_not_undo_the_creation(tenant: Tenant, record: Record) -> None:
    created = tenant.administrator.create_access_key(**valid_key(record))
    assert (created["connectionStatus"], created["connectionError"]["code"]) == ("FAILED", "ACCESS_KEY_UNKNOWN")
    assert tenant.administrator.get(created["id"])["connectionStatus"] == "FAILED"


def test_configurations_are_listed_oldest_first_and_deleted_for_good(tenant: Tenant) -> None:
    administrator = tenant.administrator
    assert administrator.list() == []
    created = [administrator.create_assumed_role(**VALID_ROLE) for _ in range(3)]
    assert administrator.list() == created
    assert administrator.delete(created[1]["id"])["id"] == created[1]["id"]
    assert administrator.list() == [created[0], created[2]]
    for operation in (administrator.get, administrator.delete, administrator.enable, administrator.test):
        with pytest.raises(GraphQlFailed) as failure:
            operation(created[1]["id"])
        assert failure.value.codes == ["NOT_FOUND"]


def test_disabling_and_enabling_are_kept_and_safe_to_repeat(tenant: Tenant) -> None:
    administrator = tenant.administrator
    created = administrator.create_assumed_role(**VALID_ROLE)
    for _ in range(2):
        disabled = administrator.disable(created["id"])
        assert disabled["enabled"] is False
    with pytest.raises(GraphQlFailed) as failure:
        administrator.run(created["id"])
    assert failure.value.codes == ["CONFIGURATION_DISABLED"]
    assert administrator.enable(created["id"])["enabled"] is True
    assert administrator.get(created["id"])["updatedAt"] >= disabled["updatedAt"]


@pytest.mark.parametrize("interval", [2, 4, 6, 12, 24])
def test_every_interval_is_possible(tenant: Tenant, interval: int) -> None:
    name = f"EVERY_{interval}_HOURS"
    assert tenant.administrator.create_assumed_role(**VALID_ROLE | {"interval": name})["interval"] == name


@pytest.mark.parametrize("name", ["NDJSON_GZIP", "NDJSON_ZSTD", "PARQUET", "OCSF_PARQUET"])
def test_every_format_is_possible(tenant: Tenant, name: str) -> None:
    created = tenant.administrator.create_assumed_role(**VALID_ROLE | {"format": name})
    assert created["format"] == name
    assert tenant.administrator.get(created["id"]) == created


def test_choices_of_ocsf_are_kept_and_refused_with_another_format(tenant: Tenant) -> None:
    rule = {"action": "publish", "class": "ENTITY_MANAGEMENT", "activity": "update"}
    choices = {"version": "1.8.0", "classes": [rule]}
    created = tenant.administrator.create_assumed_role(**VALID_ROLE | {"format": "OCSF_PARQUET", "ocsf": choices})
    stored = tenant.administrator.get(created["id"])["ocsf"]
    assert stored["version"] == "1.8.0"
    assert stored["classes"] == [rule | {"action": "PUBLISH", "targetType": None, "activity": "Update"}]
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_assumed_role(**VALID_ROLE | {"format": "PARQUET", "ocsf": choices})
    assert [error["code"] for error in failure.value.errors[0]["extensions"]["fields"]] == ["OCSF_CONFLICT"]


def test_a_wrong_format_is_refused_with_the_nearest(tenant: Tenant) -> None:
    assert tenant.administrator.create_assumed_role(**VALID_ROLE)["format"] == "NDJSON_GZIP"
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_assumed_role(**VALID_ROLE | {"format": "parkett"})
    assert failure.value.codes == ["GRAPHQL_VALIDATION_FAILED"]
    [error] = failure.value.errors
    assert "Did you mean PARQUET?" in error["message"] and "parkett" not in error["message"]


def test_optional_fields_are_kept(tenant: Tenant) -> None:
    optional = {
        "kmsKeyArn": f"arn:aws:kms:eu-west-1:{ROLE_ACCOUNT}:key/{KEY_ID}",
        "expectedBucketOwner": KEY_ACCOUNT,
    }
    created = tenant.administrator.create_assumed_role(**VALID_ROLE, **optional, startFrom="2026-01-01T00:00:00Z")
    assert optional.items() <= created["endpointConfiguration"].items()
    assert created["startFrom"] == "2026-01-01T00:00:00.000Z"


# ----------------------------------------------------------------------------------------------------------------------
# Idempotency
# ----------------------------------------------------------------------------------------------------------------------


def test_a_repeated_creation_gives_the_same_configuration(tenant: Tenant) -> None:
    data = VALID_ROLE | {"idempotencyKey": str(uuid.uuid4())}
    first, second = (tenant.administrator.create_assumed_role(**data) for _ in range(2))
    assert first == second
    assert tenant.administrator.list() == [first]


def test_another_creation_under_the_same_key_is_refused(tenant: Tenant) -> None:
    data = VALID_ROLE | {"idempotencyKey": str(uuid.uuid4())}
    created = tenant.administrator.create_assumed_role(**data)
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_assumed_role(**data | {"bucketName": "another-bucket"})
    assert failure.value.codes == ["IDEMPOTENCY_KEY_REUSED"]
    # A deleted configuration is not returned.
    tenant.administrator.delete(created["id"])
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_assumed_role(**data)
    assert failure.value.codes == ["IDEMPOTENCY_KEY_REUSED"]
    assert tenant.administrator.list() == []


# ----------------------------------------------------------------------------------------------------------------------
# Refused requests
# ----------------------------------------------------------------------------------------------------------------------

BAD_FIELDS = [
    ("bucketName", "", "REQUIRED"),
    ("bucketName", "Upper", "BUCKET_NAME_INVALID"),
    ("bucketName", "ab", "BUCKET_NAME_INVALID"),
    ("bucketName", "a" * 64, "BUCKET_NAME_INVALID"),
    ("bucketName", "a..b", "BUCKET_NAME_INVALID"),
    ("bucketName", "192.168.0.1", "BUCKET_NAME_INVALID"),
    ("bucketName", "arn:aws:s3:::bucket", "BUCKET_NAME_INVALID"),
    ("bucketName", "bucket-s3alias", "BUCKET_NAME_INVALID"),
    ("bucketName", "bucket--use1-az4--x-s3", "BUCKET_NAME_INVALID"),
    ("bucketName", "bucket/../other", "BUCKET_NAME_INVALID"),
    ("bucketPath", "/audit", "BUCKET_PATH_INVALID"),
    ("bucketPath", "audit/", "BUCKET_PATH_INVALID"),
    ("bucketPath", "a//b", "BUCKET_PATH_INVALID"),
    ("bucketPath", "a/../b", "BUCKET_PATH_INVALID"),
    ("bucketPath", "./a", "BUCKET_PATH_INVALID"),
    ("bucketPath", "a*", "BUCKET_PATH_INVALID"),
    ("bucketPath", "ä", "BUCKET_PATH_INVALID"),
    ("bucketPath", "a" * 257, "BUCKET_PATH_INVALID"),
    ("region", "", "REQUIRED"),
    ("region", "nowhere", "REGION_INVALID"),
    ("region", "eu-west-1.attacker.invalid", "REGION_INVALID"),
    ("region", "eu-west-1#", "REGION_INVALID"),
    ("region", "cn-north-1", "REGION_PARTITION_MISMATCH"),
    ("roleArn", "", "REQUIRED"),
    ("roleArn", "audit-export", "ROLE_ARN_INVALID"),
    ("roleArn", f"arn:aws:iam::{ROLE_ACCOUNT}:user/a", "ROLE_ARN_INVALID"),
    ("roleArn", f"arn:aws:iam::{ROLE_ACCOUNT}:role/*", "ROLE_ARN_INVALID"),
    ("roleArn", f"arn:aws-cn:iam::{ROLE_ACCOUNT}:role/a", "ROLE_PARTITION_MISMATCH"),
    ("roleArn", "arn:aws:iam::111111111111:role/a", "ROLE_IN_SERVICE_ACCOUNT"),
    ("kmsKeyArn", "alias/audit", "KMS_KEY_ARN_INVALID"),
    ("kmsKeyArn", f"arn:aws:kms:eu-west-1:{ROLE_ACCOUNT}:alias/audit", "KMS_KEY_ARN_INVALID"),
    ("kmsKeyArn", f"arn:aws:kms:us-east-1:{ROLE_ACCOUNT}:key/{KEY_ID}", "KMS_KEY_REGION_MISMATCH"),
    ("expectedBucketOwner", "1234", "ACCOUNT_ID_INVALID"),
    ("startFrom", "yesterday", "START_FROM_INVALID"),
    ("idempotencyKey", "", "IDEMPOTENCY_KEY_INVALID"),
]


@pytest.mark.parametrize(("field", "value", "code"), BAD_FIELDS)
def test_a_bad_field_is_named_with_its_rule(tenant: Tenant, field: str, value: str, code: str) -> None:
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_assumed_role(**VALID_ROLE | {field: value})
    assert field_errors(failure.value) == {field: code}
    assert tenant.administrator.list() == []


def test_all_field_errors_come_at_once(tenant: Tenant, record: Record) -> None:
    secret = make_secret(record)
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_access_key(
            interval="EVERY_2_HOURS",
            bucketName="Bad_Bucket",
            bucketPath="/a",
            region="",
            kmsKeyArn="alias/key",
            expectedBucketOwner="1",
            startFrom="yesterday",
            idempotencyKey="",
            # A secret in the wrong field must not be returned either.
            accessKeyId=secret.lower(),
            secretAccessKey=secret + "x",
        )
    assert field_errors(failure.value) == {
        "bucketName": "BUCKET_NAME_INVALID",
        "bucketPath": "BUCKET_PATH_INVALID",
        "region": "REQUIRED",
        "kmsKeyArn": "KMS_KEY_ARN_INVALID",
        "expectedBucketOwner": "ACCOUNT_ID_INVALID",
        "startFrom": "START_FROM_INVALID",
        "idempotencyKey": "IDEMPOTENCY_KEY_INVALID",
        "accessKeyId": "ACCESS_KEY_ID_INVALID",
        "secretAccessKey": "SECRET_ACCESS_KEY_INVALID",
    }
    assert tenant.administrator.list() == []


@pytest.mark.parametrize("access_key_id", ["AKIA", "ASIAIOSFODNN7EXAMPLE", "akiaiosfodnn7example"])
def test_access_keys_have_iams_form(tenant: Tenant, record: Record, access_key_id: str) -> None:
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.create_access_key(**valid_key(record) | {"accessKeyId": access_key_id})
    assert field_errors(failure.value) == {"accessKeyId": "ACCESS_KEY_ID_INVALID"}


def test_a_secret_in_the_wrong_place_is_not_repeated(tenant: Tenant, record: Record) -> None:
    """No error contains a value of the request."""
    data = valid_key(record)
    secret = data["secretAccessKey"]
    create = "mutation($data: CreateS3AccessKeyExportConfigurationInput!) { createS3AccessKeyExportConfiguration(data: $data) { id } }"
    attempts: list[tuple[str, dict[str, Any]]] = [
        (create, {"data": data | {"interval": secret}}),
        (create, {"data": data | {secret: "x"}}),
        (create, {"data": data | {"secretAccessKey": [secret, secret]}}),
        (create, {"data": secret}),
        (f'{{ getExportConfiguration(id: "{secret}") {{ id }} }}', {}),
        (f"{{ getExportConfiguration(id: {secret}) {{ id }} }}", {}),
        (f"{{ {secret[:1]}x{secret} }}", {}),
        (create.replace("$data", f"$x{secret}"), {}),
    ]
    for query, variables in attempts:
        answer = tenant.administrator.post(query, variables)
        assert answer.json()["errors"], answer.text
        assert secret not in answer.text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ unknown }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ getAllExportConfigurations { secretAccessKey } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ getAllExportConfigurations { endpointConfiguration { secretAccessKey } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{" * 200, "GRAPHQL_VALIDATION_FAILED"),
        (TWO_TESTS, "TOO_MANY_VERIFICATIONS"),
    ],
)
def test_malformed_requests_are_refused_with_a_code(tenant: Tenant, query: str, code: str) -> None:
    with pytest.raises(GraphQlFailed) as failure:
        tenant.administrator.execute(query)
    assert set(failure.value.codes) == {code}


# ----------------------------------------------------------------------------------------------------------------------
# Tenancy and secrets
# ----------------------------------------------------------------------------------------------------------------------


def test_no_operation_reaches_another_tenant(customers: CustomerFactory, make_tenant: Callable[..., Tenant]) -> None:
    victim = customers.with_access_key()
    before = victim.tenant.administrator.get(victim.id)
    attacker = make_tenant().administrator
    operations = [attacker.get, attacker.test, attacker.enable, attacker.disable, attacker.run, attacker.delete]
    for operation in operations:
        # The id, other spellings of it, and attempts to leave the tenant's partition.
        for configuration_id in (victim.id, victim.id.upper(), f"{victim.tenant.name}#{victim.id}", f"../{victim.id}"):
            with pytest.raises(GraphQlFailed) as failure:
                operation(configuration_id)
            assert failure.value.codes == ["NOT_FOUND"]
    assert attacker.list() == []
    assert victim.tenant.administrator.get(victim.id) == before


def test_names_that_contain_each_other_stay_apart(make_tenant: Callable[..., Tenant]) -> None:
    short = make_tenant()
    long = make_tenant(f"{short.name}-2")
    created = long.administrator.create_assumed_role(**VALID_ROLE)
    assert short.administrator.list() == []
    assert long.administrator.list() == [created]


def test_the_secret_is_stored_encrypted_for_this_configuration_alone(customers: CustomerFactory, stack: Stack) -> None:
    customer = customers.with_access_key()
    secret = customer.access_key.secret_access_key
    table = stack.tables["configurations"]
    item = stack.client("dynamodb").get_item(
        TableName=table, Key={"tenantId": {"S": customer.tenant.name}, "id": {"S": customer.id}}, ConsistentRead=True
    )["Item"]
    assert secret not in repr(item)
    ciphertexts = [value for value in binaries(item) if len(value) > 40]
    assert ciphertexts, item
    kms = stack.client("kms")
    contexts: list[dict[str, str]] = [
        {},
        {"tenantId": customer.tenant.name},
        {"tenantId": "x", "configurationId": customer.id},
    ]
    for context in contexts:
        for ciphertext in ciphertexts:
            with pytest.raises(kms.exceptions.InvalidCiphertextException):
                kms.decrypt(CiphertextBlob=ciphertext, EncryptionContext=context)


def binaries(value: Any) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, dict):
        return [found for inner in value.values() for found in binaries(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in binaries(inner)]
    return []


def test_no_type_of_an_answer_has_room_for_a_secret(tenant: Tenant) -> None:
    schema = tenant.administrator.execute("{ __schema { types { kind name fields { name } } } }")["__schema"]
    outputs = {kind["name"]: [field["name"] for field in kind["fields"] or []] for kind in schema["types"]}
    assert "ExportConfiguration" in outputs
    assert "secret" not in json.dumps(outputs).lower().replace("secretaccesskeyexport", "")
