"""The emulators that the bench's suite `emulators` exports from and to.

The template's tables are in MiniStack and in Amazon's DynamoDB Local. Everything else that an export needs, the customer's bucket
and role included, is in MiniStack.

Usage: python -m infra.local.bench_emulators CONFIGURATION_ID…

The ids are the external IDs under which the role may be assumed. Writes a line of JSON with the address of everything, which
tests/bench/src/suites/emulators.rs reads; then, for each configuration ID in its input, a line with the content of its export.
At the end of its input it stops everything that it started.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import sys
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.client import BaseClient

from infra.local import emulator
from infra.local.dynamodb_local import dynamodb_local, missing_requirement
from infra.local.settings import LOCAL, REGION, ROOT, SERVICE_ACCOUNT
from infra.local.stores import tables

CUSTOMER_ACCOUNT = "222222222222"
# The path in the bench's configurations: functions.rs.
BUCKET_PATH = "audit"
SIGNING_ALGORITHM = "ECDSA_SHA_256"
SIGNATURE_SUFFIX = ".sig"


@dataclass
class World:
    """The resources of one run, except tables."""

    endpoint: str
    name: str = field(default_factory=lambda: f"bench-{uuid.uuid4().hex[:12]}")
    signing_key_arn: str = ""
    secret_key_arn: str = ""
    queue_url: str = ""
    role_arn: str = ""

    @classmethod
    def create(cls, endpoint: str, configuration_ids: list[str]) -> World:
        world = cls(endpoint)
        kms = world.client("kms")
        signing_key = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")
        world.signing_key_arn = signing_key["KeyMetadata"]["Arn"]
        world.secret_key_arn = kms.create_key()["KeyMetadata"]["Arn"]
        world.queue_url = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
        world.client("s3", CUSTOMER_ACCOUNT).create_bucket(Bucket=world.name)
        world._create_role(configuration_ids)
        return world

    def client(self, service: str, account: str = SERVICE_ACCOUNT) -> BaseClient:
        """Returns a client with the credentials of the account's root user."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="local",
        )

    def _create_role(self, configuration_ids: list[str]) -> None:
        iam = self.client("iam", CUSTOMER_ACCOUNT)
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{SERVICE_ACCOUNT}:root"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": configuration_ids}},
        }
        permission = {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{self.name}/{BUCKET_PATH}/*",
        }
        role = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=_policy(trust))
        iam.put_role_policy(RoleName=self.name, PolicyName="audit-export", PolicyDocument=_policy(permission))
        self.role_arn = role["Role"]["Arn"]

    def exported(self, configuration_id: str) -> dict[str, int]:
        """Checks that every file in the bucket unpacks and is listed in a signed digest; returns their totals."""
        s3, kms = self.client("s3", CUSTOMER_ACCOUNT), self.client("kms")
        prefix = f"{BUCKET_PATH}/{configuration_id}/"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]

        def read(key: str) -> bytes:
            return s3.get_object(Bucket=self.name, Key=key)["Body"].read()

        listed: set[str] = set()
        ids: set[str] = set()
        events = raw_bytes = 0
        for digest_key in keys:
            if not (digest_key.startswith(f"{prefix}_digests/") and digest_key.endswith(".json")):
                continue
            digest = read(digest_key)
            # For a wrong signature AWS raises an error; an emulator may return SignatureValid = false.
            verified = kms.verify(
                KeyId=self.signing_key_arn,
                Message=hashlib.sha256(digest).digest(),
                MessageType="DIGEST",
                Signature=read(digest_key + SIGNATURE_SUFFIX),
                SigningAlgorithm=SIGNING_ALGORITHM,
            )
            if not verified["SignatureValid"]:
                raise SystemExit(f"The signature of {digest_key} is invalid.")
            for entry in json.loads(digest)["objects"]:
                stored = read(entry["key"])
                raw = gzip.decompress(stored)
                lines = raw.splitlines()
                found = (len(stored), hashlib.sha256(stored).hexdigest(), len(raw), len(lines))
                if found != (entry["storedLength"], entry["sha256"], entry["rawLength"], entry["events"]):
                    raise SystemExit(f"{entry['key']} differs from its digest: found {found}, expected {entry}")
                listed.add(entry["key"])
                ids.update(json.loads(line)["id"] for line in lines)
                events += len(lines)
                raw_bytes += len(raw)
        data = {key for key in keys if key.endswith(".ndjson.gz")}
        if data != listed or len(ids) != events:
            raise SystemExit(f"{len(data)} files, {len(listed)} in digests; {len(ids)} distinct ids in {events} events")
        return {"objects": len(data), "events": events, "rawBytes": raw_bytes}


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def main(configuration_ids: list[str]) -> None:
    if LOCAL == ROOT / ".local":
        raise SystemExit("AUDIT_EXPORT_LOCAL_DIRECTORY must name a directory other than that of `make up`.")
    # Everything else that is printed goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with ExitStack() as ends:
        ends.callback(emulator.stop)
        _, endpoint = emulator.start()
        stores = [_store("MiniStack", endpoint, ends)]
        lack = missing_requirement()
        if lack is None:
            stores.append(_store("DynamoDB Local, the rest MiniStack", ends.enter_context(dynamodb_local()), ends))
        world = World.create(endpoint, configuration_ids)
        description = {
            "endpoint": endpoint,
            "region": REGION,
            "accessKeyId": SERVICE_ACCOUNT,
            "secretAccessKey": "local",
            "queueUrl": world.queue_url,
            "signingKeyArn": world.signing_key_arn,
            "secretKeyArn": world.secret_key_arn,
            "bucketName": world.name,
            "roleArn": world.role_arn,
            "stores": stores,
            "leftOut": lack,
        }
        print(json.dumps(description), file=answers)
        for line in sys.stdin:
            print(json.dumps(world.exported(line.strip())), file=answers)


def _store(name: str, endpoint: str, ends: ExitStack) -> dict[str, Any]:
    names = ends.enter_context(tables(endpoint))
    return {
        "name": name,
        "endpoint": endpoint,
        "tables": {
            "events": names["EVENTS_TABLE"],
            "configurations": names["CONFIGURATIONS_TABLE"],
            "runs": names["RUNS_TABLE"],
        },
    }


if __name__ == "__main__":
    # Ends what was started on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(sys.argv[1:])
