"""Answers of the GraphQL API, as the page asks for them."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

ID = "0b9f6a0e-6d3b-4d0e-9d6e-0f6f5c1f2a3b"
BUCKET = "acme-audit"

ROLE_CHECKS = {
    "REGION_AVAILABLE": "AWS answers in the Region",
    "ROLE_ASSUMABLE": "The role can be assumed",
    "EXTERNAL_ID_REQUIRED": "The role requires the external ID",
    "BUCKET_FOUND": "The bucket exists",
    "BUCKET_REGION_CORRECT": "The bucket is in the Region",
    "WRITE_ALLOWED": "Files can be written",
    "KEY_USABLE": "The KMS key can be used",
}


def checks(failed: str | None = None, code: str = "WRITE_DENIED", message: str = "Allow it.") -> list[Json]:
    """Returns the results of a test in which a check failed, and those after it were not made."""
    results: list[Json] = []
    status = "PASSED"
    for name, title in ROLE_CHECKS.items():
        if name == failed:
            results.append({"check": name, "status": "FAILED", "title": title, "code": code, "message": message})
            status = "NOT_CHECKED"
        else:
            results.append({"check": name, "status": status, "title": title, "code": None, "message": None})
    return results


def configuration(**changes: Any) -> Json:
    """Returns an export that works, with changes."""
    return {
        "id": ID,
        "version": 3,
        "description": "Audit log of the production",
        "enabled": True,
        "type": "S3_ASSUMED_ROLE",
        "format": "NDJSON_GZIP",
        "interval": "EVERY_2_HOURS",
        "endpointConfiguration": {
            "bucketName": BUCKET,
            "bucketPath": "audit/logs",
            "region": "eu-central-1",
            "endpointUrl": None,
            "roleArn": "arn:aws:iam::123456789012:role/audit-export",
            "accessKeyId": None,
            "kmsKeyArn": None,
            "expectedBucketOwner": None,
        },
        "status": {
            "health": "OK",
            "lagSeconds": 0,
            "lastSuccessAt": "2026-11-22T06:00:10Z",
            "exportedThrough": "2026-11-22T06:00:00.000Z",
            "consecutiveFailures": 0,
            "nextExportAt": "2026-11-22T08:00:00Z",
            "retentionUsedPercent": 1,
            "advice": "The export works.",
        },
        "connectionStatus": "SUCCESS",
        "connectionCheckedAt": "2026-11-22T05:00:00Z",
        "connectionError": None,
        "connectionChecks": checks(),
        "principalArn": "arn:aws:iam::111111111111:role/audit-export/verifier",
        "nextSteps": [],
        "filter": {
            "include": {"actions": ["LOGIN", "POLICY_*"], "actorTypes": [], "targetTypes": []},
            "exclude": {"actions": [], "actorTypes": [], "targetTypes": []},
        },
        "ocsf": None,
        "startFrom": "2026-11-21T20:00:00Z",
        "notifications": [{"url": "https://hooks.example.com/audit"}],
        "createdBy": "ada@example.com",
        "createdAt": "2026-11-21T20:00:00Z",
        "updatedBy": "ada@example.com",
        "updatedAt": "2026-11-21T20:00:00Z",
        "externalId": ID,
        "requestedRunThrough": None,
    } | changes


def policies() -> Json:
    permissions = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/audit/logs/*"}
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": ID}},
    }

    def policy(statement: Json, instruction: str, *, is_required: bool = True) -> Json:
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)
        return {"document": document, "isRequired": is_required, "instruction": instruction}

    return {
        "externalId": ID,
        "principalArn": "arn:aws:iam::111111111111:role/audit-export/verifier",
        "trustPolicy": policy(trust, "Create the role with this trust policy."),
        "iamPolicy": policy(permissions, "Attach it to the role."),
        "bucketPolicy": policy(permissions, "Only if the bucket is in another account.", is_required=False),
        "kmsKeyPolicyStatement": None,
        "cloudFormation": {
            "launchUrl": "https://console.aws.amazon.com/cloudformation/home",
            "parameters": [{"name": "BucketName", "value": BUCKET}],
        },
    }


def jobs() -> Json:
    """Returns windows: one that failed, one with a gap, and delivered ones, one of them without events."""

    def job(number: int, **changes: Any) -> Json:
        return {
            "id": f"{ID}.{number}",
            "startTimestamp": f"2026-11-22T{2 * number:02}:00:00.000Z",
            "endTimestamp": f"2026-11-22T{2 * number + 2:02}:00:00.000Z",
            "startedAt": f"2026-11-22T{2 * number + 2:02}:00:05.000Z",
            "endedAt": f"2026-11-22T{2 * number + 2:02}:00:15.000Z",
            "attempts": 1,
            "status": "SUCCEEDED",
            "failureReason": None,
            "objects": 2,
            "events": 1000 * number,
            "leftOut": 10,
            "bytes": 100_000 * number,
            "gaps": [],
        } | changes

    gap = {
        "startTimestamp": "2026-11-22T06:00:00.000Z",
        "endTimestamp": "2026-11-22T07:00:00.000Z",
        "reason": "RETENTION_ENDED",
        "blockId": None,
    }
    failure = {
        "status": "FAILED",
        "failureReason": "WRITE_DENIED",
        "attempts": 5,
        "events": 0,
        "objects": 0,
        "bytes": 0,
    }
    nodes = [job(4, **failure), job(3, gaps=[gap]), job(2), job(1), job(0)]
    return {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}


def tasks() -> Json:
    node = {
        "id": f"{ID}.2.0",
        "startTimestamp": "2026-11-22T04:00:00.000Z",
        "endTimestamp": "2026-11-22T05:00:00.000Z",
        "attempts": 1,
        "status": "SUCCEEDED",
        "failureReason": None,
        "events": 2000,
        "bytes": 200_000,
        "objectKey": f"audit/logs/{ID}/date=2026-11-22/a-b.ndjson.gz",
        "ocsfClass": None,
        "unknownActions": None,
    }
    return {"nodes": [node], "pageInfo": {"hasNextPage": False, "endCursor": None}}


def backlog() -> Json:
    counted = "2026-11-22T06:10:00Z"
    return {"backlog": {"events": 1234, "oldest": counted, "isComplete": True, "countedAt": counted}}


def replay(**changes: Any) -> Json:
    return {
        "id": "3c1f0a77-2b1c-4c8e-8b0a-3f6c2d5e4a1b",
        "status": "RUNNING",
        "error": None,
        "from": "2026-11-21T20:00:00.000Z",
        "to": "2026-11-21T22:00:00.000Z",
        "bucketName": BUCKET,
        "bucketPath": "replays",
        "place": f"s3://{BUCKET}/replays/3c1f0a77-2b1c-4c8e-8b0a-3f6c2d5e4a1b",
        "percent": 40,
        "objects": 1,
        "events": 100,
        "bytes": 1000,
        "requestedBy": "ada@example.com",
        "requestedAt": "2026-11-22T00:00:00Z",
        "endedAt": None,
    } | changes


def repair(**changes: Any) -> Json:
    return {
        "id": "1",
        "status": "INCOMPLETE",
        "from": "2026-11-21T20:00:00.000Z",
        "to": "2026-11-21T22:00:00.000Z",
        "overwrite": False,
        "requestedBy": "ada@example.com",
        "requestedAt": "2026-11-22T00:00:00Z",
        "updatedAt": "2026-11-22T00:01:00Z",
        "error": None,
        "checked": 10,
        "repaired": 8,
        "present": 1,
        "unrepaired": 1,
        "unrepairedFiles": [
            {"exportJobId": f"{ID}.0", "reason": "PAST_RETENTION", "bucketName": BUCKET, "objectKey": "audit/logs/x"}
        ],
    } | changes
