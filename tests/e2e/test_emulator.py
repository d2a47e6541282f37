"""That the repaired emulator enforces what other tests rely on (infra/local/repaired_emulator.py)."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError
from conftest import ROLE_ACCOUNT

from local_stack import Credentials, Stack


@pytest.mark.parametrize(("pattern", "is_granted"), [("role/audit-export/*", True), ("role/other/*", False)])
def test_the_principal_of_a_session_is_its_role_with_the_path(stack: Stack, pattern: str, is_granted: bool) -> None:
    """Without the repair neither pattern fits: the session's own ARN holds no path."""
    names = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    service, customer = stack.client("iam"), stack.client("iam", ROLE_ACCOUNT)
    trusted = f"arn:aws:iam::{stack.account}:root"
    own_role = service.create_role(
        RoleName=names[0], Path="/audit-export/", AssumeRolePolicyDocument=trust(trusted, None)
    )["Role"]["Arn"]
    permission = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    service.put_role_policy(RoleName=names[0], PolicyName="assume", PolicyDocument=document(permission))
    condition = {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{stack.account}:{pattern}"}}
    role = customer.create_role(RoleName=names[1], AssumeRolePolicyDocument=trust(trusted, condition))["Role"]["Arn"]
    try:
        session = stack.client("sts").assume_role(RoleArn=own_role, RoleSessionName="test")["Credentials"]
        credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        sts = stack.client("sts", credentials)
        if is_granted:
            assert sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                sts.assume_role(RoleArn=role, RoleSessionName="test")
    finally:
        service.delete_role_policy(RoleName=names[0], PolicyName="assume")
        service.delete_role(RoleName=names[0])
        customer.delete_role(RoleName=names[1])


def trust(principal: str, condition: dict | None) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return document(statement | ({"Condition": condition} if condition else {}))


def document(statement: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
