"""The evaluation of trust policies that customers write, right and wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from trust_policies import UnknownElement, lets_in

SERVICE = "111111111111"
ROLE = f"arn:aws:iam::{SERVICE}:role/audit-export/exporter"


def policy(condition: dict[str, Any] | None, principal: Any = None, **changes: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": principal or {"AWS": f"arn:aws:iam::{SERVICE}:root"},
        "Action": "sts:AssumeRole",
    }
    return {"Statement": [statement | ({"Condition": condition} if condition else {}) | changes]}


OWN = {"StringEquals": {"sts:ExternalId": "own"}}
PATH = {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{SERVICE}:role/audit-export/*"}}


@pytest.mark.parametrize(
    ("document", "external_id", "is_in"),
    [
        (policy(OWN), "own", True),
        (policy(OWN), "another", False),
        (policy(OWN), None, False),
        (policy(OWN | PATH), "own", True),
        (policy(OWN | {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{SERVICE}:role/other/*"}}), "own", False),
        (policy(OWN, {"AWS": "arn:aws:iam::444444444444:root"}), "own", False),
        (policy(OWN, {"AWS": ["444444444444", SERVICE]}), "own", True),
        (policy(OWN, {"AWS": ROLE}), "own", True),
        (policy(OWN, {"Service": "lambda.amazonaws.com"}), "own", False),
        (policy(OWN, Action="sts:TagSession"), "own", False),
        (policy(None), None, True),
        (policy(None, "*"), None, True),
        (policy({"StringLike": {"sts:ExternalId": "*"}}), "anything", True),
        (policy({"StringLike": {"sts:ExternalId": "*"}}), None, False),
        (policy({"StringEqualsIfExists": {"sts:ExternalId": "own"}}), None, True),
        (policy({"StringEqualsIfExists": {"sts:ExternalId": "own"}}), "another", False),
        ({"Statement": [*policy(OWN)["Statement"], *policy(None)["Statement"]]}, None, True),
    ],
)
def test_trusted_principals_are_admitted(document: dict[str, Any], external_id: str | None, is_in: bool) -> None:
    assert lets_in(document, SERVICE, {"aws:PrincipalArn": ROLE, "sts:ExternalId": external_id}) is is_in


@pytest.mark.parametrize(
    "document",
    [
        policy({"StringNotEquals": {"sts:ExternalId": "own"}}),
        policy({"StringEquals": {"aws:SourceIp": "203.0.113.1"}}),
        policy(None, Effect="Deny"),
    ],
)
def test_unknown_elements_admit_nobody(document: dict[str, Any]) -> None:
    with pytest.raises(UnknownElement):
        lets_in(document, SERVICE, {"aws:PrincipalArn": ROLE, "sts:ExternalId": "own"})
