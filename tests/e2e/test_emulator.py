"""The enforcement that other tests rely on, of the patched emulator (infra/local/repaired_emulator.py)."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any

import botocore.credentials
import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from infra.local.stack import REQUEST_TIMEOUT_SECONDS, Credentials, CustomerAccount, Stack
from tests.e2e.harness import PATIENCE_SECONDS, ROLE_ACCOUNT

pytestmark = pytest.mark.requires("iam enforcement", "trust policies")

BUCKET_ACCOUNT = "555555555555"
OTHER_BYTES = hashlib.sha256(b"other bytes")


@pytest.mark.parametrize(("pattern", "is_granted"), [("role/audit-export/*", True), ("role/other/*", False)])
def test_the_principal_of_a_session_is_its_role_with_the_path(stack: Stack, pattern: str, is_granted: bool) -> None:
    """Without the patch neither pattern matches: the session's ARN has no path."""
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


@pytest.mark.parametrize("is_named", [True, False])
def test_another_accounts_bucket_knows_who_asks(stack: Stack, is_named: bool) -> None:
    """Without the patch a policy can only name a whole account: every caller counts as its account's root user."""
    bucket = CustomerAccount.create(stack, BUCKET_ACCOUNT, stack.region)
    user = f"test-{uuid.uuid4().hex[:12]}"
    customer = stack.client("iam", ROLE_ACCOUNT)
    arn = customer.create_user(UserName=user)["User"]["Arn"]
    other_arn = customer.create_user(UserName=f"{user}-other")["User"]["Arn"]
    writes = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket.bucket}/*"}
    customer.put_user_policy(UserName=user, PolicyName="write", PolicyDocument=document(writes))
    named = {"Principal": {"AWS": arn if is_named else other_arn}}
    bucket.s3.put_bucket_policy(Bucket=bucket.bucket, Policy=document(writes | named))
    key = customer.create_access_key(UserName=user)["AccessKey"]
    s3 = stack.client("s3", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    if is_named:
        s3.put_object(Bucket=bucket.bucket, Key="k", Body=b"x")
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.put_object(Bucket=bucket.bucket, Key="k", Body=b"x")


def test_a_condition_of_a_template_knows_its_account(stack: Stack) -> None:
    parameter = {"Type": "String"}
    template = {
        "Parameters": {"Account": parameter},
        "Conditions": {"IsOwn": {"Fn::Equals": [{"Ref": "Account"}, {"Ref": "AWS::AccountId"}]}},
        "Resources": {"Group": {"Type": "AWS::Logs::LogGroup", "Condition": "IsOwn"}},
    }
    client, names = stack.client("cloudformation"), {}
    for account in (stack.account, "999999999999"):
        name = f"test-{uuid.uuid4().hex[:12]}"
        parameters = [{"ParameterKey": "Account", "ParameterValue": account}]
        client.create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=parameters)
        waiting = {"Delay": 1, "MaxAttempts": PATIENCE_SECONDS}
        client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=waiting)
        names[account] = [
            r["LogicalResourceId"] for r in client.list_stack_resources(StackName=name)["StackResourceSummaries"]
        ]
        client.delete_stack(StackName=name)
    assert list(names.values()) == [["Group"], []]


@pytest.mark.parametrize(("partition", "is_granted"), [("acme#15", True), ("acme#00", False)])
@pytest.mark.parametrize("operation", ["put", "transaction", "query"])
def test_a_role_can_be_confined_to_partitions(stack: Stack, partition: str, is_granted: bool, operation: str) -> None:
    """Without the patch the condition key is absent, and nothing is allowed."""
    tables = [f"test-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    admin = stack.client("dynamodb")
    for table in tables:
        admin.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        )
    arns = [f"arn:aws:dynamodb:{stack.region}:{stack.account}:table/{table}" for table in tables]
    confined = {"Effect": "Allow", "Action": ["dynamodb:PutItem", "dynamodb:Query"], "Resource": arns[0]} | {
        "Condition": {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#15"]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        }
    }
    free = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": arns[1]}
    user, iam = f"test-{uuid.uuid4().hex[:12]}", stack.client("iam")
    iam.create_user(UserName=user)
    policy = {"Version": "2012-10-17", "Statement": [confined, free]}
    iam.put_user_policy(UserName=user, PolicyName="put", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    client = stack.client("dynamodb", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    def access() -> None:
        item = {"p": {"S": partition}}
        if operation == "query":
            client.query(
                TableName=tables[0],
                KeyConditionExpression="#p = :p",
                ExpressionAttributeNames={"#p": "p"},
                ExpressionAttributeValues={":p": {"S": partition}},
            )
        elif operation == "transaction":
            puts = [{"TableName": tables[0], "Item": item}, {"TableName": tables[1], "Item": {"p": {"S": "any"}}}]
            client.transact_write_items(TransactItems=[{"Put": put} for put in puts])
        else:
            client.put_item(TableName=tables[0], Item=item)

    try:
        if is_granted:
            access()
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                access()
    finally:
        for table in tables:
            admin.delete_table(TableName=table)


@pytest.mark.requires("checksums")
def test_s3_refuses_bytes_with_the_checksum_of_others(stack: Stack) -> None:
    bucket = CustomerAccount.create(stack, BUCKET_ACCOUNT, stack.region)
    with pytest.raises(ClientError, match="BadDigest"):
        bucket.s3.put_object(
            Bucket=bucket.bucket, Key="k", Body=b"bytes", ChecksumSHA256=base64.b64encode(OTHER_BYTES.digest()).decode()
        )
    assert bucket.objects() == []


@pytest.mark.requires("payload hashes")
def test_s3_refuses_bytes_with_the_hash_of_others_in_the_signature(stack: Stack) -> None:
    bucket = CustomerAccount.create(stack, BUCKET_ACCOUNT, stack.region)
    url = f"{stack.endpoint}/{bucket.bucket}/k"
    request = AWSRequest("PUT", url, data=b"bytes")
    signer = S3SigV4Auth(botocore.credentials.Credentials(BUCKET_ACCOUNT, "root"), "s3", stack.region)
    signer.payload = lambda _: OTHER_BYTES.hexdigest()
    signer.add_auth(request)
    answer = requests.put(url, data=b"bytes", headers=dict(request.headers), timeout=REQUEST_TIMEOUT_SECONDS)
    assert (answer.status_code, bucket.objects()) == (400, []), answer.text


def trust(principal: str, condition: dict[str, Any] | None) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    return document(statement | ({"Condition": condition} if condition else {}))


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
