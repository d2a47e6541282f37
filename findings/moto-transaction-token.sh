#!/bin/sh
# Moto 5.2.5: TransactWriteItems carries out a request with a ClientRequestToken that it has seen, instead of answering as it did before.
# DynamoDB documents that within ten minutes such a request has no further effect, and that other content under the same token is
# refused: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install 'moto[dynamodb]==5.2.5' boto3==1.44.8
AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b AWS_DEFAULT_REGION=us-east-1 venv/bin/python - <<'PYTHON'
import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

with mock_aws():
    client = boto3.client("dynamodb")
    client.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

    def put(key):
        item = {"TableName": "t", "Item": {"p": {"S": key}}, "ConditionExpression": "attribute_not_exists(p)"}
        try:
            client.transact_write_items(ClientRequestToken="token", TransactItems=[{"Put": item}])
            return "done"
        except ClientError as error:
            return error.response["Error"]["Code"]

    seen = [put("a"), put("a"), put("b")]
print(seen)
# On DynamoDB: done, done, IdempotentParameterMismatchException.
assert seen == ["done", "TransactionCanceledException", "done"]
PYTHON
