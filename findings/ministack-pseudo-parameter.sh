#!/bin/sh
# MiniStack 1.5.33: a pseudo parameter in a condition of a CloudFormation template is taken for its own name, so that comparing a parameter
# with AWS::AccountId never holds; in properties and in rules it has its value.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install ministack==1.5.33 boto3==1.43.106
cat > try.py <<'PYTHON'
import json
import os
import socket
import subprocess
import sys
import time

import boto3

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "ministack"],
    env=os.environ | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"},
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.2)
    client = boto3.client(
        "cloudformation", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
        aws_access_key_id="111111111111", aws_secret_access_key="root",
    )
    template = {
        "Parameters": {"Account": {"Type": "String"}},
        "Conditions": {"IsOwn": {"Fn::Equals": [{"Ref": "Account"}, {"Ref": "AWS::AccountId"}]}},
        "Resources": {
            "Always": {"Type": "AWS::SNS::Topic"},
            "Own": {"Type": "AWS::SNS::Topic", "Condition": "IsOwn"},
        },
        "Outputs": {"Account": {"Value": {"Ref": "AWS::AccountId"}}},
    }
    seen = {}
    for account in ("111111111111", "AWS::AccountId"):
        name = f"try-{len(seen)}"
        parameters = [{"ParameterKey": "Account", "ParameterValue": account}]
        client.create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=parameters)
        client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        stack = client.describe_stacks(StackName=name)["Stacks"][0]
        resources = client.list_stack_resources(StackName=name)["StackResourceSummaries"]
        seen[account] = (stack["Outputs"][0]["OutputValue"], sorted(each["LogicalResourceId"] for each in resources))
finally:
    server.kill()
    server.wait()
print(seen)
# On AWS: the first has Always and Own, the second has Always alone.
assert seen == {
    "111111111111": ("111111111111", ["Always"]),
    "AWS::AccountId": ("111111111111", ["Always", "Own"]),
}
PYTHON
venv/bin/python try.py
