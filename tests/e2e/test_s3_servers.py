"""Exports to S3 servers other than AWS's, over HTTPS, with everything that the connection test demands of them.

The emulator stands for such a server. It honours conditional writes and checks signatures, but not the hashes of payloads: the
front in front of it does. `make s3-servers` runs the same tests on real servers.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from itertools import pairwise
from typing import Any

import pytest

from infra.local.https_front import https_front
from infra.local.s3_servers import VARIABLE, RunningServer, client
from infra.local.stack import MARKER, Administrator, CustomerAccount, GraphQlFailed, Stack, wait_until
from infra.local.verification import COMPLETE, Verifier
from tests.e2e.harness import (
    EXPORT_TIMEOUT_SECONDS,
    KEY_ACCOUNT,
    Customer,
    CustomerFactory,
    Tenant,
    is_change,
    make_events,
)

# Without checks of signatures, no server would need an access key.
pytestmark = pytest.mark.requires("iam enforcement")

REAL = [RunningServer(**server) for server in json.loads(os.environ.get(VARIABLE) or "[]")]
PATH = "audit/export"
# Nothing is sent there: the input is refused for another field.
ENDPOINT = "https://s3.example.com"
CONNECTION_TEST = """query($id: ID!) { getExportConnectionTest(exportConfigurationId: $id) {
    isRunning startedAt checks { check status title code message } } }"""
# The time of each request to a slow server. A test of four has 15 s.
SLOW_SECONDS = 2.0
POLL_SECONDS = 0.3


def emulator(stack: Stack, customers: CustomerFactory, refused_with: str | None) -> RunningServer:
    """Returns the emulator as a server, with a bucket and an access key of a customer."""
    account = customers.account(KEY_ACCOUNT, path=PATH)
    key = customers.user(account)
    return RunningServer(
        "emulator",
        stack.endpoint,
        account.region,
        key.access_key_id,
        key.secret_access_key,
        refused_with,
        account.bucket,
    )


@contextmanager
def configured(tenant: Tenant, server: RunningServer, **front: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields the configuration of an export to the server behind a front with these options, and its endpoint."""
    with https_front(server.address, **front) as endpoint:
        created = tenant.administrator.create_access_key(
            interval="EVERY_24_HOURS",
            bucketName=server.bucket,
            bucketPath=PATH,
            region=server.region,
            endpointUrl=endpoint,
            accessKeyId=server.access_key_id,
            secretAccessKey=server.secret_access_key,
        )
        yield created, endpoint


def reader(stack: Stack, server: RunningServer) -> Any:
    """Returns a client that may read: the export's key may not on the emulator."""
    return stack.client("s3", KEY_ACCOUNT) if server.address == stack.endpoint else client(server)


def keys(s3: Any, server: RunningServer, prefix: str = "") -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=server.bucket, Prefix=prefix).get("Contents", [])]


def exported(s3: Any, server: RunningServer, configuration_id: str) -> list[str]:
    """Returns the ids of the events in the bucket that were sent."""
    bodies = [
        s3.get_object(Bucket=server.bucket, Key=key)["Body"].read()
        for key in sorted(keys(s3, server, f"{PATH}/{configuration_id}/date="))
    ]
    events = [json.loads(line) for body in bodies for line in zlib.decompress(body, wbits=31).splitlines()]
    return [event["id"] for event in events if not is_change(event)]


def assert_exported(
    stack: Stack, customers: CustomerFactory, tenant: Tenant, server: RunningServer, verifier: Verifier, is_real: bool
) -> None:
    customers.record.secrets.add(server.secret_access_key)
    s3 = reader(stack, server)
    with configured(tenant, server, checks_hashes=not is_real) as (created, endpoint):
        assert (created["connectionStatus"], created["connectionError"]) == ("SUCCESS", None)
        assert created["endpointConfiguration"]["endpointUrl"] == endpoint
        assert keys(s3, server) == [f"{PATH}/{MARKER}"]

        sent = tenant.send(make_events(5))
        account = CustomerAccount(stack, KEY_ACCOUNT, server.region, server.bucket, PATH)
        customer = Customer(tenant, account, created)
        customer.settle()
        tenant.administrator.run(created["id"])
        arrived = wait_until(
            lambda: found if len(found := exported(s3, server, created["id"])) == len(sent) else None,
            "the events on the server",
            timeout_seconds=EXPORT_TIMEOUT_SECONDS,
        )
        assert sorted(arrived) == sorted(sent)
        customer.wait_until_at_rest()

        target = f"s3://{server.bucket}/{PATH}/{created['id']}"
        credentials = {
            "AWS_ACCESS_KEY_ID": KEY_ACCOUNT if server.address == stack.endpoint else server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        }
        options = ("--endpoint-url", server.address, "--region", server.region, "--deep")
        status, report = verifier.at(target, credentials, *options)
        assert (status, report["breaks"]) == (COMPLETE, []), report
        assert report["objects"]["events"] >= len(sent)

        # What a test leaves is there already.
        tested = tenant.administrator.test(created["id"])
        assert tested["connectionStatus"] == "SUCCESS"
        tenant.administrator.delete(created["id"])


def test_an_export_to_another_server_arrives_and_is_verified(
    stack: Stack, customers: CustomerFactory, tenant: Tenant, verifier: Verifier
) -> None:
    assert_exported(stack, customers, tenant, emulator(stack, customers, None), verifier, is_real=False)


def assert_refused(stack: Stack, tenant: Tenant, server: RunningServer) -> None:
    with configured(tenant, server, checks_hashes=False) as (created, endpoint):
        error = created["connectionError"]
        assert (created["connectionStatus"], error["code"]) == ("FAILED", server.refused_with), created
        assert endpoint in error["message"]
        assert keys(reader(stack, server), server) == [f"{PATH}/{MARKER}"], "a test leaves the marker alone"
        tenant.administrator.delete(created["id"])


def test_a_server_that_accepts_wrong_bytes_is_refused(stack: Stack, customers: CustomerFactory, tenant: Tenant) -> None:
    assert_refused(stack, tenant, emulator(stack, customers, "CHECKSUMS_MISSING"))


@pytest.mark.parametrize(
    "refusal",
    [lambda _: 412, lambda headers: 412 if "if-none-match" in headers else 500],
    ids=["412 to everything", "a full disk"],
)
def test_a_server_that_stores_nothing_is_refused(
    stack: Stack, customers: CustomerFactory, tenant: Tenant, refusal: Callable[[Message], int]
) -> None:
    """It refuses what an export needs to be refused, for another reason."""
    server = emulator(stack, customers, "BUCKET_REFUSED")
    with configured(tenant, server, refusal=refusal) as (created, _):
        assert (created["connectionStatus"], created["connectionError"]["code"]) == ("FAILED", server.refused_with)
        assert keys(reader(stack, server), server) == []
        tenant.administrator.delete(created["id"])


def test_each_check_of_a_slow_test_is_visible_when_it_has_ended(
    stack: Stack, customers: CustomerFactory, tenant: Tenant, make_tenant: Callable[..., Tenant]
) -> None:
    """The test makes four writes, and the first one proves four checks."""
    server, other = emulator(stack, customers, None), make_tenant()
    # The test of the creation is not delayed.
    delay = [0.0]
    with configured(tenant, server, checks_hashes=True, delay_seconds=lambda: delay[0]) as (created, _):
        variables = {"id": created["id"]}
        watcher = Administrator(stack, tenant.administrator.token)

        def progress() -> dict[str, Any]:
            return watcher.execute(CONNECTION_TEST, variables)["getExportConnectionTest"]

        delay[0] = SLOW_SECONDS
        seen: list[dict[str, Any]] = []
        with ThreadPoolExecutor(1) as pool:
            test = pool.submit(tenant.administrator.test, created["id"])
            while not test.done():
                seen.append(progress())
                with pytest.raises(GraphQlFailed) as failed:
                    other.administrator.execute(CONNECTION_TEST, variables)
                assert failed.value.errors[0]["extensions"]["code"] == "NOT_FOUND"
                time.sleep(POLL_SECONDS)
        tested = test.result()
        assert tested["connectionStatus"] == "SUCCESS"

        running = [each for each in seen if each["isRunning"]]
        passed = [{check["check"] for check in each["checks"] if check["status"] == "PASSED"} for each in running]
        by_first_write = {"REGION_AVAILABLE", "ACCESS_KEY_VALID", "BUCKET_FOUND", "BUCKET_REGION_CORRECT"}
        assert passed[0] == set() and passed[-1] == by_first_write, passed
        assert all(earlier <= later for earlier, later in pairwise(passed))
        assert {each["startedAt"] for each in running} == {running[0]["startedAt"]}
        # What is not proven yet is not claimed.
        assert {check["check"] for check in running[0]["checks"]} - by_first_write == {
            "WRITE_ALLOWED",
            "SERVER_CAPABLE",
        }

        ended = progress()
        assert (ended["isRunning"], ended["startedAt"]) == (False, None)
        assert {check["status"] for check in ended["checks"]} == {"PASSED"}
        tenant.administrator.delete(created["id"])
        with pytest.raises(GraphQlFailed):
            progress()


@pytest.mark.parametrize("server", REAL, ids=lambda server: server.name)
def test_a_real_server_works_or_is_refused_with_the_reason(
    stack: Stack, customers: CustomerFactory, tenant: Tenant, verifier: Verifier, server: RunningServer
) -> None:
    customers.record.secrets.add(server.secret_access_key)
    if server.refused_with is None:
        assert_exported(stack, customers, tenant, server, verifier, is_real=True)
    else:
        assert_refused(stack, tenant, server)


def errors_of(tenant: Tenant, **changes: Any) -> list[tuple[str, str]]:
    data = {
        "interval": "EVERY_24_HOURS",
        "bucketName": "acme-audit",
        "region": "auto",
        "endpointUrl": ENDPOINT,
        "accessKeyId": "audit-export",
        "secretAccessKey": "not-a-secret-of-anybody",
    }
    with pytest.raises(GraphQlFailed) as failed:
        tenant.administrator.create_access_key(**(data | changes))
    return [(field["field"], field["code"]) for field in failed.value.errors[0]["extensions"]["fields"]]


@pytest.mark.parametrize(
    "url",
    [
        "http://s3.example.com",
        "https://10.0.0.1",
        "https://[::1]:9000",
        "https://minio",
        "https://minio.internal",
        "https://s3.example.com/bucket",
        "https://user@s3.example.com",
        "https://s3.example.com:22",
        "https://s3.eu-west-1.amazonaws.com",
    ],
)
def test_an_endpoint_is_a_public_name_over_https(tenant: Tenant, url: str) -> None:
    assert errors_of(tenant, endpointUrl=url) == [("endpointUrl", "ENDPOINT_URL_INVALID")]


def test_fields_of_aws_can_not_be_combined_with_an_endpoint(tenant: Tenant) -> None:
    key = "arn:aws:kms:eu-west-1:222222222222:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert errors_of(tenant, kmsKeyArn=key, expectedBucketOwner="222222222222") == [
        ("kmsKeyArn", "ENDPOINT_CONFLICT"),
        ("expectedBucketOwner", "ENDPOINT_CONFLICT"),
    ]
