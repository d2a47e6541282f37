"""The tenants and customers of the end-to-end tests, each of which belongs to one test, and the record of every secret used and
every answer received.

Nothing here stands in for a part of the service: every answer comes from the deployed functions.
"""

from __future__ import annotations

import json
import time
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from infra.local.emulators.interface import Capability
from infra.local.settings import REGION, TOKEN_AUDIENCE, TOKEN_ISSUER
from infra.local.stack import (
    CHANGES,
    REQUEST_TIMEOUT_SECONDS,
    Administrator,
    Credentials,
    CustomerAccount,
    Stack,
    wait_until,
)

ROLE_ACCOUNT = "222222222222"
KEY_ACCOUNT = "333333333333"
SHARDS = 16
# The local stack settles for 3 s: a run exports events that were received before that.
SETTLE_SECONDS = 3.5
EXPORT_TIMEOUT_SECONDS = 60
TOKEN_LIFETIME_SECONDS = 3_600


@dataclass
class Record:
    """The secrets in use, and everything that the service returned."""

    secrets: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)

    def keep(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        self.answers.append(f"{dict(answer.headers)}\n{answer.text}")

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"secrets": sorted(self.secrets), "answers": self.answers}))

    def add(self, path: Path) -> None:
        kept = json.loads(path.read_text())
        self.secrets.update(kept["secrets"])
        self.answers.extend(kept["answers"])


@dataclass
class TokenFactory:
    """Signs valid and invalid tokens with the key of the local stack."""

    record: Record
    private_key: str = field(repr=False)
    key_id: str

    def claims(self, tenant: Any, permissions: Any, **changes: Any) -> dict[str, Any]:
        """Returns the claims of a valid token with `changes`; None removes a claim."""
        now = int(time.time())
        claims = {
            "iss": TOKEN_ISSUER,
            "aud": TOKEN_AUDIENCE,
            "sub": "administrator@example.com",
            "iat": now,
            "exp": now + TOKEN_LIFETIME_SECONDS,
            "tenant_id": tenant,
            "permissions": permissions,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], headers: dict[str, Any] | None = None) -> str:
        token = jwt.encode(claims, self.private_key, "ES256", {"kid": self.key_id} | (headers or {}))
        return self.remember(token)

    def remember(self, token: str) -> str:
        self.record.secrets.add(token)
        return token

    def __call__(self, tenant: str, *permissions: str, **changes: Any) -> str:
        return self.sign(self.claims(tenant, list(permissions), **changes))


def make_events(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": str(uuid.uuid4()),
            "action": "QUERY",
            "actionStatus": "SUCCESS",
            "actor": {"id": "u-1", "name": "Zoë O'Brien", "type": "USER_ACTOR"},
            "eventTimestamp": "2026-03-01T12:00:00.000Z",
            "targets": [{"id": number, "type": "DATASOURCE"}],
        }
        | changes
        for number in range(count)
    ]


def is_change(event: dict[str, Any]) -> bool:
    """Checks whether the service wrote the event for a change to a configuration. Such events are stored among the sent ones."""
    return event.get("targetType") == CHANGES


def to_lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@dataclass
class Tenant:
    """A tenant that only one test uses. Sends events, administers exports, and reads what is stored."""

    stack: Stack
    http: requests.Session
    name: str
    write_token: str = field(repr=False)
    administrator: Administrator
    last_sent: float = 0.0

    def post_events(
        self, body: bytes, content_type: str | None = "application/x-ndjson", **headers: str
    ) -> requests.Response:
        """Posts any body. Underscores in the names of `headers` stand for hyphens."""
        sent = {"authorization": f"Bearer {self.write_token}"}
        if content_type is not None:
            sent["content-type"] = content_type
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.http.post(self.stack.events_url, data=body, headers=sent, timeout=REQUEST_TIMEOUT_SECONDS)
        self.last_sent = time.monotonic()
        return answer

    def send(self, events: list[dict[str, Any]]) -> list[str]:
        """Sends valid events; returns their ids."""
        answer = self.post_events(to_lines(events))
        assert (answer.status_code, answer.json()) == (202, {"accepted": len(events)}), answer.text
        return [event["id"] for event in events]

    def stored_blocks(self) -> list[dict[str, Any]]:
        """Returns the tenant's blocks, sorted by id. Those of changes to configurations are included."""
        client = self.stack.client("dynamodb")
        blocks: list[dict[str, Any]] = []
        for shard in range(SHARDS):
            pages = client.get_paginator("query").paginate(
                TableName=self.stack.tables["events"],
                KeyConditionExpression="#p = :p",
                ExpressionAttributeNames={"#p": "partition"},
                ExpressionAttributeValues={":p": {"S": f"{self.name}#{shard:02}"}},
                ConsistentRead=True,
            )
            blocks.extend(item for page in pages for item in page["Items"])
        return sorted(blocks, key=lambda item: item["blockId"]["S"])

    def stored_events(self) -> list[dict[str, Any]]:
        """Returns the stored events that were sent."""
        return [event for event in self._stored() if not is_change(event)]

    def stored_changes(self) -> list[dict[str, Any]]:
        """Returns the stored events that the service wrote for changes to configurations."""
        return [event for event in self._stored() if is_change(event)]

    def stored_lines(self) -> list[bytes]:
        """Returns the lines in the tenant's blocks, inflated by zlib instead of the service's code."""
        raw = b"".join(zlib.decompressobj(-15).decompress(item["block"]["B"]) for item in self.stored_blocks())
        return raw.splitlines()

    def _stored(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stored_lines()]

    def stored_ids(self) -> list[str]:
        return [event["id"] for event in self.stored_events()]


@dataclass
class Customer:
    """A tenant with an account, a bucket and a configuration."""

    tenant: Tenant
    account: CustomerAccount
    configuration: dict[str, Any]
    role_name: str | None = None
    credentials: Credentials | None = None

    @property
    def access_key(self) -> Credentials:
        """The access key; fails for a customer with a role."""
        assert self.credentials is not None
        return self.credentials

    @property
    def id(self) -> str:
        return self.configuration["id"]

    def exported(self) -> list[dict[str, Any]]:
        """Returns the events in the bucket that were sent, in the order of the objects and their lines."""
        return [event for event in self._exported() if not is_change(event)]

    def exported_changes(self) -> list[dict[str, Any]]:
        """Returns the events in the bucket that the service wrote for changes to configurations."""
        return [event for event in self._exported() if is_change(event)]

    def _exported(self) -> list[dict[str, Any]]:
        lines = [
            line
            for key in self.account.data_keys(self.id)
            for line in zlib.decompress(self.account.download(key), wbits=31).splitlines()
        ]
        return [json.loads(line) for line in lines]

    def exported_ids(self) -> list[str]:
        return [event["id"] for event in self.exported()]

    def run_export(
        self, expected_ids: list[str], timeout_seconds: float = EXPORT_TIMEOUT_SECONDS
    ) -> list[dict[str, Any]]:
        """Exports now, waits until the expected number of events has arrived, and returns them."""
        time.sleep(max(0.0, self.tenant.last_sent + SETTLE_SECONDS - time.monotonic()))
        self.tenant.administrator.run(self.id)
        self.wait_for(len(expected_ids), timeout_seconds)
        return self.exported()

    def run_request(self, through: str) -> dict[str, str]:
        """Returns a message of the run queue."""
        return {"tenantId": self.tenant.name, "configurationId": self.id, "through": through, "trigger": "MANUAL"}

    def wait_for(self, count: int, timeout_seconds: float = EXPORT_TIMEOUT_SECONDS) -> None:
        wait_until(
            lambda: len(self.exported()) >= count,
            f"{count} events in {self.account.bucket}",
            timeout_seconds=timeout_seconds,
            interval_seconds=0.5,
        )


@dataclass
class CustomerFactory:
    """Sets customers up as the documentation describes; `changes` introduces mistakes."""

    stack: Stack
    record: Record
    make_tenant: Callable[..., Tenant]

    def account(self, account: str, region: str = "us-east-1", **bucket: Any) -> CustomerAccount:
        return CustomerAccount.create(self.stack, account, region, **bucket)

    def with_role(
        self,
        *,
        tenant: Tenant | None = None,
        account: CustomerAccount | None = None,
        policy: dict[str, Any] | None = None,
        trust: Callable[[CustomerAccount, str], dict[str, Any]] | None = None,
        create_role: bool = True,
        interval: str = "EVERY_24_HOURS",
        **changes: Any,
    ) -> Customer:
        """Creates a customer with a role, whose connection isn't tested yet.

        Skips the test on an emulator without trust policies: the service would refuse every role as too open.
        """
        if reason := self.stack.why_without(Capability.TRUST_POLICIES):
            pytest.skip(f"{Capability.TRUST_POLICIES}: {reason}")
        account = account or self.account(ROLE_ACCOUNT, "eu-west-1", path="audit/export")
        tenant = tenant or self.make_tenant()
        role_name = f"audit-export-{uuid.uuid4().hex[:12]}"
        data = {"interval": interval, "roleArn": account.role_arn(role_name)} | account.destination | changes
        configuration = tenant.administrator.create_assumed_role(**data)
        if create_role:
            external_id = configuration["externalId"]
            document = trust(account, external_id) if trust else None
            account.create_role(role_name, external_id, policy=policy, trust=document)
        return Customer(tenant, account, configuration, role_name=role_name)

    def user(self, account: CustomerAccount, policy: dict[str, Any] | None = None) -> Credentials:
        credentials = account.create_user(f"audit-export-{uuid.uuid4().hex[:12]}", policy=policy)
        self.record.secrets.add(credentials.secret_access_key)
        return credentials

    def with_access_key(
        self,
        *,
        tenant: Tenant | None = None,
        account: CustomerAccount | None = None,
        policy: dict[str, Any] | None = None,
        credentials: Credentials | None = None,
        interval: str = "EVERY_24_HOURS",
        **changes: Any,
    ) -> Customer:
        """Creates a customer with an access key, whose connection was tested when the configuration was created."""
        account = account or self.account(KEY_ACCOUNT)
        tenant = tenant or self.make_tenant()
        credentials = credentials or self.user(account, policy)
        self.record.secrets.add(credentials.secret_access_key)
        data = {
            "interval": interval,
            "accessKeyId": credentials.access_key_id,
            "secretAccessKey": credentials.secret_access_key,
        }
        configuration = tenant.administrator.create_access_key(**(data | account.destination | changes))
        return Customer(tenant, account, configuration, credentials=credentials)


def as_batch(request: dict[str, str]) -> dict[str, Any]:
    """Returns the event with which Lambda passes a queue's message to a function."""
    message = {
        "messageId": str(uuid.uuid4()),
        # Of no message: a failed run can't delay its next attempt, and only logs that.
        "receiptHandle": "none",
        "body": json.dumps(request),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": REGION,
    }
    return {"Records": [message]}
