#!/bin/sh
# Moto 5.2.5, server mode: in a bucket with a default retention, an object's version can't be deleted, as on S3. But GetObjectRetention,
# which S3 answers with that retention, is answered with 500; a multipart upload's object has the same.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install 'moto[server,s3]==5.2.5' boto3==1.44.8
venv/bin/python - 2>server.log <<'PYTHON'
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
address, port = server.get_host_and_port()
s3 = boto3.client(
    "s3", endpoint_url=f"http://{address}:{port}", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
    config=Config(retries={"max_attempts": 0}),
)
s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
version = s3.put_object(Bucket="locked", Key="k", Body=b"1")["VersionId"]


def code(call, **parameters):
    try:
        call(Bucket="locked", Key="k", **parameters)
        return "none"
    except ClientError as error:
        return error.response["Error"]["Code"]


seen = {"delete": code(s3.delete_object, VersionId=version), "retention": code(s3.get_object_retention)}
server.stop()
print(seen)
assert seen == {"delete": "AccessDenied", "retention": "500"}
PYTHON
