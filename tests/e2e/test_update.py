"""Updates of a configuration, and the audit events of each change."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from infra.local.settings import TOKEN_ISSUER
from infra.local.stack import MARKER, Credentials, GraphQlFailed, Stack
from infra.local.verification import COMPLETE, Verifier
from tests.e2e.harness import KEY_ACCOUNT, ROLE_ACCOUNT, Customer, CustomerFactory, Record, Tenant, make_events


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    """Returns the `extensions` of the only error of a call."""
    with pytest.raises(GraphQlFailed) as failed:
        call()
    [error] = failed.value.errors
    return error["extensions"]


# ----------------------------------------------------------------------------------------------------------------------
# Settings
# ----------------------------------------------------------------------------------------------------------------------


def test_interval_and_description_change_and_nothing_else(customers: CustomerFactory) -> None:
    customer = customers.with_access_key(interval="EVERY_24_HOURS", description="Nightly")
    administrator = customer.tenant.administrator
    before = administrator.get(customer.id)
    assert (before["description"], before["connectionStatus"]) == ("Nightly", "SUCCESS")
    updated = administrator.update_access_key(customer.id, interval="EVERY_2_HOURS", description=None)
    changed = {"version": 2, "interval": "EVERY_2_HOURS", "description": None, "updatedAt": updated["updatedAt"]}
    assert updated == before | changed
    assert administrator.get(customer.id) == updated
    assert customer.stored()["schedulePartition"]["S"].startswith("EVERY_2_HOURS#")
    # The same update again changes nothing.
    assert administrator.update_access_key(customer.id, interval="EVERY_2_HOURS") == updated
    administrator.disable(customer.id)
    administrator.update_access_key(customer.id, interval="EVERY_4_HOURS")
    assert "schedulePartition" not in customer.stored()
    administrator.enable(customer.id)
    assert customer.stored()["schedulePartition"]["S"].startswith("EVERY_4_HOURS#")


def test_another_format_is_stored_without_a_test(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    before = administrator.test(customer.id)
    updated = administrator.update_assumed_role(customer.id, format="NDJSON_ZSTD")
    assert updated == before | {"version": 2, "format": "NDJSON_ZSTD", "updatedAt": updated["updatedAt"]}
    assert customer.stored()["format"]["S"] == "NDJSON_ZSTD"
    cleared = administrator.update_assumed_role(customer.id, format=None)
    assert (cleared["version"], cleared["format"]) == (3, "NDJSON_GZIP")
    assert "format" not in customer.stored()


def test_a_stale_version_is_a_conflict(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    administrator.update_assumed_role(customer.id, version=1, interval="EVERY_2_HOURS")
    extensions = refused(lambda: administrator.update_assumed_role(customer.id, version=1, interval="EVERY_4_HOURS"))
    assert (extensions["code"], extensions["currentVersion"]) == ("CONFLICT", 2)
    assert administrator.get(customer.id)["interval"] == "EVERY_2_HOURS"


def test_of_two_updates_at_once_one_is_a_conflict(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    administrator = customer.tenant.administrator
    intervals = [
        ("EVERY_2_HOURS", "EVERY_4_HOURS"),
        ("EVERY_6_HOURS", "EVERY_12_HOURS"),
        ("EVERY_2_HOURS", "EVERY_24_HOURS"),
    ]

    def update(version: int, interval: str) -> str:
        try:
            return administrator.update_assumed_role(customer.id, version=version, interval=interval)["interval"]
        except GraphQlFailed as error:
            [code] = error.codes
            return code

    with ThreadPoolExecutor(max_workers=2) as workers:
        for version, pair in enumerate(intervals, start=1):
            first, second = workers.map(update, [version, version], pair)
            [winner] = {first, second} - {"CONFLICT"}
            assert "CONFLICT" in (first, second), (first, second)
            current = administrator.get(customer.id)
            assert (current["version"], current["interval"]) == (version + 1, winner)
    changes = [event for event in customer.tenant.stored_changes() if event["action"] == "UPDATE"]
    assert [event["auditPayload"]["after"]["version"] for event in changes] == [2, 3, 4]


def test_every_field_error_comes_at_once_and_rules_hold_for_what_comes_out(customers: CustomerFactory) -> None:
    customer = customers.with_role()
    update = customer.tenant.administrator.update_assumed_role
    extensions = refused(
        lambda: update(customer.id, interval=None, bucketName="No", region="mars", roleArn="x", description="a\nb")
    )
    assert extensions["code"] == "INVALID_INPUT"
    assert {(field["field"], field["code"]) for field in extensions["fields"]} == {
        ("interval", "REQUIRED"),
        ("bucketName", "BUCKET_NAME_INVALID"),
        ("region", "REGION_INVALID"),
        ("roleArn", "ROLE_ARN_INVALID"),
        ("description", "DESCRIPTION_INVALID"),
    }
    key = "arn:aws:kms:ap-south-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    extensions = refused(lambda: update(customer.id, kmsKeyArn=key))
    assert [field["code"] for field in extensions["fields"]] == ["KMS_KEY_REGION_MISMATCH"]
    assert customer.tenant.administrator.get(customer.id)["version"] == 1


def test_another_tenants_configuration_is_not_there(customers: CustomerFactory, tenant: Tenant) -> None:
    customer = customers.with_access_key()
    for update in (tenant.administrator.update_access_key, tenant.administrator.update_assumed_role):
        assert refused(partial(update, customer.id, interval="EVERY_2_HOURS"))["code"] == "NOT_FOUND"
    assert customer.tenant.administrator.get(customer.id)["version"] == 1
    assert tenant.stored_blocks() == []


# ----------------------------------------------------------------------------------------------------------------------
# Destination
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.requires("iam enforcement")
def test_events_go_on_in_the_new_bucket(
    customers: CustomerFactory, stack: Stack, command: Path, tmp_path: Path
) -> None:
    customer = customers.with_access_key()
    old_bucket, administrator = customer.account, customer.tenant.administrator
    first = customer.tenant.send(make_events(20))
    customer.run_export(first)
    assert administrator.get(customer.id)["connectionStatus"] == "SUCCESS"

    new_bucket = customers.account(KEY_ACCOUNT, path="moved")
    before = administrator.get(customer.id)
    # The user can't write there yet, so the working connection stays.
    extensions = refused(lambda: administrator.update_access_key(customer.id, **new_bucket.destination))
    assert (extensions["code"], extensions["connectionError"]["code"]) == ("NEW_CONNECTION_REFUSED", "WRITE_DENIED")
    assert administrator.get(customer.id) == before
    new_bucket.client("iam").put_user_policy(
        UserName=user_of(customer), PolicyName="moved", PolicyDocument=json.dumps(new_bucket.export_policy())
    )
    updated = administrator.update_access_key(customer.id, **new_bucket.destination)
    assert (updated["version"], updated["connectionStatus"]) == (2, "SUCCESS")

    customer.account = new_bucket
    second = customer.tenant.send(make_events(20))
    customer.run_export(second)
    assert customer.exported_ids() == second
    assert [event["auditPayload"]["after"]["bucketName"] for event in customer.exported_changes()] == [
        new_bucket.bucket
    ]
    customer.account = old_bucket
    assert customer.exported_ids() == first
    verifier = Verifier.create(stack, command, tmp_path)
    status, report = verifier.bucket(new_bucket, customer.id, "--deep")
    assert (status, report["objects"]["events"]) == (COMPLETE, len(second) + 1), report
    # The export in the old bucket ends before the newest window, and is complete up to there.
    token_file = tmp_path / "token"
    token_file.write_text(administrator.token)
    token_file.chmod(0o600)
    service = ("--url", stack.api_url, "--token-file", str(token_file))
    status, report = verifier.bucket(old_bucket, customer.id, *service)
    assert (status, report["expectation"]["source"]) == (COMPLETE, "SERVICE"), report
    assert report["expectation"]["head"] == report["digests"]["headSha256"]
    assert verifier.bucket(new_bucket, customer.id, *service)[0] == COMPLETE


@pytest.mark.requires("iam enforcement")
def test_a_change_of_place_is_tested_before_it_replaces_what_works(customers: CustomerFactory) -> None:
    account = customers.account(ROLE_ACCOUNT, "eu-west-1", path="first")
    customer = customers.with_role(account=account)
    administrator = customer.tenant.administrator
    assert administrator.test(customer.id)["connectionStatus"] == "SUCCESS"
    # The test may start a run.
    customer.wait_until_at_rest()
    before = administrator.get(customer.id)
    for change, code in [
        ({"bucketPath": "second"}, "WRITE_DENIED"),
        ({"roleArn": account.role_arn("missing")}, "ROLE_NOT_ASSUMABLE"),
    ]:
        extensions = refused(partial(administrator.update_assumed_role, customer.id, **change))
        assert (extensions["code"], extensions["connectionError"]["code"]) == ("NEW_CONNECTION_REFUSED", code)
        assert administrator.get(customer.id) == before
    updated = administrator.update_assumed_role(customer.id, bucketPath="second", force=True)
    assert (updated["version"], updated["connectionError"]["code"]) == (2, "WRITE_DENIED")
    # A connection that does not work can be repaired in steps.
    updated = administrator.update_assumed_role(customer.id, roleArn=account.role_arn("missing"))
    assert (updated["version"], updated["connectionError"]["code"]) == (3, "ROLE_NOT_ASSUMABLE")
    role = before["endpointConfiguration"]["roleArn"]
    updated = administrator.update_assumed_role(customer.id, bucketPath="first", roleArn=role)
    assert (updated["connectionStatus"], updated["connectionError"], updated["version"]) == ("SUCCESS", None, 4)


# ----------------------------------------------------------------------------------------------------------------------
# Access keys
# ----------------------------------------------------------------------------------------------------------------------


def user_of(customer: Customer) -> str:
    assert customer.credentials
    iam = customer.account.client("iam")
    return iam.get_access_key_last_used(AccessKeyId=customer.credentials.access_key_id)["UserName"]


def sealed(customer: Customer) -> bytes:
    return customer.stored()["sealedSecret"]["B"]


@pytest.mark.requires("iam enforcement")
def test_a_key_that_does_not_work_replaces_nothing(customers: CustomerFactory, record: Record) -> None:
    customer = customers.with_access_key()
    administrator = customer.tenant.administrator
    before, secret = administrator.get(customer.id), sealed(customer)
    wrong = "wrong" + "x" * 35
    record.secrets.add(wrong)
    denied = customers.user(customer.account, {"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})  # fmt: skip
    for credentials, code in [
        (Credentials("AKIAIOSFODNN7EXAMPLE", wrong), "ACCESS_KEY_UNKNOWN"),
        (Credentials(denied.access_key_id, wrong), "SECRET_ACCESS_KEY_WRONG"),
        (denied, "WRITE_DENIED"),
    ]:
        extensions = refused(
            partial(
                administrator.update_access_key,
                customer.id,
                accessKeyId=credentials.access_key_id,
                secretAccessKey=credentials.secret_access_key,
                interval="EVERY_2_HOURS",
            )
        )
        assert (extensions["code"], extensions["connectionError"]["code"]) == ("NEW_ACCESS_KEY_REFUSED", code)
        assert extensions["connectionError"]["message"]
    assert administrator.get(customer.id) == before
    assert sealed(customer) == secret
    # The old key works as before.
    sent = customer.tenant.send(make_events(3))
    assert [event["id"] for event in customer.run_export(sent)] == sent
    assert [event["action"] for event in customer.tenant.stored_changes()] == ["CREATE"]


def test_a_key_that_works_replaces_the_old(customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    administrator = customer.tenant.administrator
    old, new = customer.credentials, customers.user(customer.account)
    assert old
    updated = administrator.update_access_key(
        customer.id, accessKeyId=new.access_key_id, secretAccessKey=new.secret_access_key
    )
    assert (updated["version"], updated["connectionStatus"]) == (2, "SUCCESS")
    assert updated["endpointConfiguration"]["accessKeyId"] == new.access_key_id
    iam = customer.account.client("iam")
    iam.update_access_key(UserName=user_of(customer), AccessKeyId=old.access_key_id, Status="Inactive")
    sent = customer.tenant.send(make_events(3))
    assert [event["id"] for event in customer.run_export(sent)] == sent


def test_a_secret_that_is_left_out_stays(customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    administrator, secret = customer.tenant.administrator, sealed(customer)
    assert customer.credentials
    updated = administrator.update_access_key(
        customer.id, accessKeyId=customer.credentials.access_key_id, interval="EVERY_2_HOURS"
    )
    assert (updated["version"], updated["connectionStatus"]) == (2, "SUCCESS")
    assert sealed(customer) == secret
    other = customers.user(customer.account)
    extensions = refused(lambda: administrator.update_access_key(customer.id, accessKeyId=other.access_key_id))
    assert [(field["field"], field["code"]) for field in extensions["fields"]] == [("secretAccessKey", "REQUIRED")]


def test_the_kind_can_be_switched_and_back(customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    account, administrator = customer.account, customer.tenant.administrator
    extensions = refused(lambda: administrator.update_assumed_role(customer.id, interval="EVERY_2_HOURS"))
    assert [(field["field"], field["code"]) for field in extensions["fields"]] == [("roleArn", "REQUIRED")]
    role = account.create_role(f"audit-export-{customer.id[:8]}", customer.id)
    updated = administrator.update_assumed_role(customer.id, roleArn=role)
    assert (updated["type"], updated["connectionStatus"]) == ("S3_ASSUMED_ROLE", "SUCCESS")
    assert not {"accessKeyId", "sealedSecret"} & set(customer.stored())
    first = customer.tenant.send(make_events(3))
    customer.run_export(first)

    assert customer.credentials
    updated = administrator.update_access_key(
        customer.id,
        accessKeyId=customer.credentials.access_key_id,
        secretAccessKey=customer.credentials.secret_access_key,
    )
    assert (updated["type"], updated["connectionStatus"]) == ("S3_ACCESS_KEY", "SUCCESS")
    assert "roleArn" not in customer.stored()
    second = customer.tenant.send(make_events(3))
    assert [event["id"] for event in customer.run_export(first + second)] == first + second


# ----------------------------------------------------------------------------------------------------------------------
# Each change is an audit event of the tenant
# ----------------------------------------------------------------------------------------------------------------------


def test_every_change_arrives_in_the_bucket(customers: CustomerFactory) -> None:
    # The other configuration exports the changes to the watched one.
    watched = customers.with_access_key(description="Nightly")
    exporting = customers.with_role(tenant=watched.tenant, startFrom="earliest")
    administrator, credentials = watched.tenant.administrator, customers.user(watched.account)
    administrator.update_access_key(watched.id, interval="EVERY_2_HOURS")
    administrator.update_access_key(
        watched.id, accessKeyId=credentials.access_key_id, secretAccessKey=credentials.secret_access_key
    )
    administrator.disable(watched.id)
    administrator.disable(watched.id)
    administrator.enable(watched.id)
    last = administrator.get(watched.id)
    assert administrator.delete(watched.id) == last
    assert refused(lambda: administrator.get(watched.id))["code"] == "NOT_FOUND"
    # A change of another tenant must not appear.
    customers.with_role()

    def changes() -> list[dict[str, Any]]:
        return [event for event in exporting.exported_changes() if event["targets"][0]["id"] == watched.id]

    exporting.tenant.last_sent = time.monotonic()
    exporting.run_export([])
    events = changes()
    assert [event["action"] for event in events] == ["CREATE", "UPDATE", "UPDATE", "DISABLE", "ENABLE", "DELETE"]
    for event in events:
        assert event["actionStatus"] == "SUCCESS"
        assert event["actor"] == {"id": "administrator@example.com", "type": "USER", "issuer": TOKEN_ISSUER}
        assert event["tenantId"] == watched.tenant.name
        assert event["actorIp"] == "127.0.0.1"
        assert event["requestId"]
        assert (event["targetType"], event["targets"][0]["name"]) == ("AUDIT_EXPORT_CONFIGURATION", "Nightly")
        assert (event["auditPayload"]["type"], event["auditPayload"]["version"]) == (
            "AuditExportConfigurationChange",
            1,
        )
    assert len({event["id"] for event in events}) == len(events)
    before = [event["auditPayload"]["before"] for event in events]
    after = [event["auditPayload"]["after"] for event in events]
    # Each change starts with the result of the one before.
    assert (before[0], after[-1]) == (None, None)
    assert [side and side["version"] for side in after] == [1, 2, 3, 4, 5, None]
    for previous, following in zip(after, before[1:], strict=False):
        assert {name: value for name, value in previous.items() if name != "secretAccessKey"} == following
    assert (before[1]["interval"], after[1]["interval"]) == ("EVERY_24_HOURS", "EVERY_2_HOURS")
    assert (after[2]["accessKeyId"], after[2]["secretAccessKey"]) == (credentials.access_key_id, "CHANGED")
    assert watched.credentials
    text = str(events)
    for secret in (credentials.secret_access_key, watched.credentials.secret_access_key, "sealed"):
        assert secret not in text


def test_a_refused_change_leaves_no_event(customers: CustomerFactory, tenant: Tenant) -> None:
    customer = customers.with_role(tenant=tenant)
    administrator = tenant.administrator
    refused(lambda: administrator.update_assumed_role(customer.id, version=9, interval="EVERY_2_HOURS"))
    refused(lambda: administrator.update_assumed_role(customer.id, interval=None))
    administrator.enable(customer.id)
    assert [event["action"] for event in tenant.stored_changes()] == ["CREATE"]
    assert MARKER not in [entry["Key"] for entry in customer.account.objects()]
