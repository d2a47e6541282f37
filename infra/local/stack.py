"""The running local stack, its API, and customers' AWS accounts, for the demonstration and the end-to-end tests.

Customers' accounts are set up as the documentation describes: they permit only what an export needs.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

import boto3
import requests
from botocore.client import BaseClient
from botocore.config import Config

from infra.local.emulators.interface import Capability
from infra.local.settings import DEV_TOOLS, STACK_FILE, TOKEN_DIRECTORY

MARKER = ".immuta.export.log"
# The `targetType` of the audit events for changes to configurations, which are in the tenant's log as well.
CHANGES = "AUDIT_EXPORT_CONFIGURATION"
REQUEST_TIMEOUT_SECONDS = 60

Value = TypeVar("Value")

CONFIGURATION_FIELDS = """
    id externalId type version description interval format enabled connectionStatus connectionCheckedAt connectionError { code message }
    filter { include { actions actorTypes targetTypes } exclude { actions actorTypes targetTypes } }
    endpointConfiguration {
        bucketName bucketPath region endpointUrl roleArn accessKeyId kmsKeyArn expectedBucketOwner
    }
    ocsf { version classes { action targetType class activity } }
    startFrom createdBy createdAt updatedBy updatedAt
"""


class StackMissing(Exception):
    """There is no running stack."""


@dataclass(frozen=True)
class Credentials:
    """An access key. For the emulator, a 12-digit access key ID is the root user of that account."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def account_root(account: str) -> Credentials:
    """Returns credentials of an account's root user. The emulator accepts any secret."""
    return Credentials(account, "root")


class Stack:
    """The local stack, as `make up` describes it in .local/stack.json."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.endpoint: str = description["endpoint"]
        self.region: str = description["region"]
        self.account: str = description["serviceAccountId"]
        self.api_url: str = description["apiUrl"].rstrip("/")
        self.functions: dict[str, str] = description["functions"]
        self.queues: dict[str, str] = description["queues"]
        self.tables: dict[str, str] = description["tables"]

    @classmethod
    def load(cls) -> Stack:
        try:
            return cls(json.loads(STACK_FILE.read_text()))
        except FileNotFoundError:
            raise StackMissing(f"{STACK_FILE} is missing: run `make up` first") from None

    def why_without(self, capability: Capability) -> str | None:
        """Returns the reason why the emulator lacks a capability, None if it has it."""
        return self.description["lacks"].get(capability.key)

    @property
    def graphql_url(self) -> str:
        return f"{self.api_url}/api/audit/graphql"

    @property
    def events_url(self) -> str:
        return f"{self.api_url}/api/audit/events"

    def client(
        self, service: str, credentials: Credentials | str | None = None, region: str | None = None
    ) -> BaseClient:
        """Returns a client with the service's account, another account's root user, or an access key."""
        if credentials is None:
            credentials = self.account
        if isinstance(credentials, str):
            credentials = account_root(credentials)
        return _client(self.endpoint, service, credentials, region or self.region)


@lru_cache(maxsize=256)
def _client(endpoint: str, service: str, credentials: Credentials, region: str) -> BaseClient:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(
            connect_timeout=5,
            read_timeout=REQUEST_TIMEOUT_SECONDS,
            retries={"max_attempts": 2},
            s3={"addressing_style": "path"},
        ),
    )


class GraphQlFailed(Exception):
    """The API responded with errors."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(json.dumps(errors))
        self.errors = errors

    @property
    def codes(self) -> list[str]:
        return [error.get("extensions", {}).get("code", "") for error in self.errors]


def sign_token(tenant: str) -> str:
    """Returns a development token of an administrator who may also send events.

    Raises CalledProcessError if the token can't be signed.
    """
    command = [
        *(str(DEV_TOOLS), "token", "sign", "--directory", str(TOKEN_DIRECTORY), "--tenant", tenant),
        *("--permissions", "AUDIT,AUDIT_WRITE", "--subject", f"admin@{tenant}.example"),
    ]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Administrator:
    """A customer's administrator, who calls the GraphQL API with a token that has the permission AUDIT."""

    def __init__(self, stack: Stack, token: str, session: requests.Session | None = None) -> None:
        self.stack = stack
        self.token = token
        self.session = session or requests.Session()

    def post(self, query: str, variables: dict[str, Any] | None = None) -> requests.Response:
        return self.session.post(
            self.stack.graphql_url,
            json={"query": query, "variables": variables or {}},
            headers={"authorization": f"Bearer {self.token}"},
            timeout=REQUEST_TIMEOUT_SECONDS,
        )

    def execute(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.post(query, variables)
        try:
            body = answer.json()
        except ValueError:
            raise GraphQlFailed([{"message": f"{answer.status_code} {answer.text[:300]}"}]) from None
        if body.get("errors"):
            raise GraphQlFailed(body["errors"])
        return body["data"]

    def create_assumed_role(self, **data: Any) -> dict[str, Any]:
        return self._with_data(
            "createS3AssumedRoleExportConfiguration", "CreateS3AssumedRoleExportConfigurationInput", data
        )

    def create_access_key(self, **data: Any) -> dict[str, Any]:
        return self._with_data(
            "createS3AccessKeyExportConfiguration", "CreateS3AccessKeyExportConfigurationInput", data
        )

    def update_assumed_role(self, configuration_id: str, **data: Any) -> dict[str, Any]:
        """Updates the fields in `data`; None clears a field."""
        return self._with_data(
            "updateS3AssumedRoleExportConfiguration",
            "UpdateS3AssumedRoleExportConfigurationInput",
            {"id": configuration_id} | data,
        )

    def update_access_key(self, configuration_id: str, **data: Any) -> dict[str, Any]:
        """Updates the fields in `data`; None clears a field."""
        return self._with_data(
            "updateS3AccessKeyExportConfiguration",
            "UpdateS3AccessKeyExportConfigurationInput",
            {"id": configuration_id} | data,
        )

    def _with_data(self, operation: str, input_type: str, data: dict[str, Any]) -> dict[str, Any]:
        query = f"mutation($data: {input_type}!) {{ {operation}(data: $data) {{ {CONFIGURATION_FIELDS} }} }}"
        return self.execute(query, {"data": data})[operation]

    def get(self, configuration_id: str) -> dict[str, Any]:
        return self._by_id("query", "getExportConfiguration", configuration_id)

    def list(self) -> list[dict[str, Any]]:
        query = f"{{ getAllExportConfigurations {{ {CONFIGURATION_FIELDS} }} }}"
        return self.execute(query)["getAllExportConfigurations"]

    def test(self, configuration_id: str) -> dict[str, Any]:
        return self._by_id("mutation", "testExportConfiguration", configuration_id)

    def enable(self, configuration_id: str) -> dict[str, Any]:
        return self._by_id("mutation", "enableExportConfiguration", configuration_id)

    def disable(self, configuration_id: str) -> dict[str, Any]:
        return self._by_id("mutation", "disableExportConfiguration", configuration_id)

    def run(self, configuration_id: str) -> dict[str, Any]:
        return self._by_id("mutation", "runExportConfiguration", configuration_id)

    def delete(self, configuration_id: str) -> dict[str, Any]:
        return self._by_id("mutation", "deleteExportConfiguration", configuration_id)

    def identity(self) -> dict[str, Any]:
        """Returns the service's account, partition and Region, which a trust policy names."""
        return self.execute("{ exportServiceIdentity { account partition region } }")["exportServiceIdentity"]

    def _by_id(self, kind: str, operation: str, configuration_id: str) -> Any:
        query = f"{kind}($id: ID!) {{ {operation}(id: $id) {{ {CONFIGURATION_FIELDS} }} }}"
        return self.execute(query, {"id": configuration_id})[operation]


# ----------------------------------------------------------------------------------------------------------------------
# A customer's account
# ----------------------------------------------------------------------------------------------------------------------


@dataclass
class CustomerAccount:
    """One customer's AWS account with one bucket for the export."""

    stack: Stack
    account: str
    region: str
    bucket: str
    path: str | None = None
    kms_key_arn: str | None = None

    @classmethod
    def create(
        cls, stack: Stack, account: str, region: str, *, path: str | None = None, encrypted: bool = False
    ) -> CustomerAccount:
        """Creates the bucket; with `encrypted`, its default encryption uses a KMS key of the customer."""
        customer = cls(stack, account, region, f"export-{account}-{uuid.uuid4().hex[:12]}", path)
        location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        customer.s3.create_bucket(Bucket=customer.bucket, **location)
        if encrypted:
            key = customer.client("kms").create_key(Description="Encrypts the audit export")
            customer.kms_key_arn = key["KeyMetadata"]["Arn"]
            rule = {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": customer.kms_key_arn,
                },
                "BucketKeyEnabled": True,
            }
            customer.s3.put_bucket_encryption(
                Bucket=customer.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
            )
        return customer

    def client(self, service: str, region: str | None = None) -> BaseClient:
        return self.stack.client(service, self.account, region or self.region)

    @property
    def s3(self) -> BaseClient:
        return self.client("s3")

    @property
    def destination(self) -> dict[str, str]:
        """Returns the destination fields of a configuration."""
        destination = {"bucketName": self.bucket, "region": self.region}
        if self.path is not None:
            destination["bucketPath"] = self.path
        if self.kms_key_arn is not None:
            destination["kmsKeyArn"] = self.kms_key_arn
        return destination

    @property
    def prefix(self) -> str:
        return f"{self.path}/" if self.path else ""

    def export_policy(self) -> dict[str, Any]:
        """Returns the permissions that an export needs: to put objects under the prefix, and to use the bucket's key."""
        statements: list[dict[str, Any]] = [
            {
                "Effect": "Allow",
                "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{self.bucket}/{self.prefix}*",
            }
        ]
        if self.kms_key_arn is not None:
            statements.append(
                {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": self.kms_key_arn}
            )
        return {"Version": "2012-10-17", "Statement": statements}

    def trust_policy(self, external_id: str | None, service_account: str | None = None) -> dict[str, Any]:
        """Returns the trust policy that the API prints: the service may assume the role with this external ID only."""
        account = service_account or self.stack.account
        condition: dict[str, Any] = {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{account}:role/audit-export/*"}}
        if external_id is not None:
            condition["StringEquals"] = {"sts:ExternalId": external_id}
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def role_arn(self, name: str) -> str:
        return f"arn:aws:iam::{self.account}:role/{name}"

    def create_role(
        self,
        name: str,
        external_id: str | None,
        *,
        policy: dict[str, Any] | None = None,
        trust: dict[str, Any] | None = None,
    ) -> str:
        iam = self.client("iam")
        document = trust or self.trust_policy(external_id)
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        iam.put_role_policy(
            RoleName=name, PolicyName="audit-export", PolicyDocument=json.dumps(policy or self.export_policy())
        )
        return role["Role"]["Arn"]

    def create_user(self, name: str, *, policy: dict[str, Any] | None = None) -> Credentials:
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(
            UserName=name, PolicyName="audit-export", PolicyDocument=json.dumps(policy or self.export_policy())
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def objects(self, prefix: str = "") -> list[dict[str, Any]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry for page in pages for entry in page.get("Contents", [])]

    def data_keys(self, configuration_id: str) -> list[str]:
        """Returns the keys of the exported files, sorted by name, which is the order in which their events were received."""
        prefix = f"{self.prefix}{configuration_id}/date="
        return sorted(entry["Key"] for entry in self.objects(prefix) if entry["Key"].endswith(".ndjson.gz"))

    def download(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()


# ----------------------------------------------------------------------------------------------------------------------
# Waiting
# ----------------------------------------------------------------------------------------------------------------------


def wait_until(
    probe: Callable[[], Value | None], what: str, *, timeout_seconds: float, interval_seconds: float = 0.5
) -> Value:
    """Calls `probe` until its result is truthy, and returns that; raises TimeoutError after `timeout_seconds`."""
    for _ in _attempts(timeout_seconds, interval_seconds):
        value = probe()
        if value:
            return value
    raise TimeoutError(f"waited {timeout_seconds:.0f} s for {what}")


def _attempts(timeout_seconds: float, interval_seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout_seconds
    while True:
        yield
        if time.monotonic() + interval_seconds > deadline:
            return
        time.sleep(interval_seconds)
