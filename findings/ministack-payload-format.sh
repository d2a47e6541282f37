#!/bin/sh
# MiniStack 1.5.33: an integration of an HTTP API keeps payloadFormatVersion 1.0 and returns it, but the function receives format 2.0.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip --quiet install ministack==1.5.33 boto3==1.43.106
cat > try.py <<'PYTHON'
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile

import boto3

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "-m", "ministack"],
    env=os.environ | {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "LAMBDA_EXECUTOR": "local"},
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
)
try:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.2)

    def client(service):
        return boto3.client(
            service, endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="root",
        )

    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("echo.py", """
import json
def handle(event, context):
    return {"statusCode": 200, "body": json.dumps({"version": event.get("version"), "names": sorted(event)})}
""")
    function = client("lambda").create_function(
        FunctionName="echo", Runtime=f"python3.{sys.version_info.minor}", Handler="echo.handle",
        Role="arn:aws:iam::000000000000:role/echo", Code={"ZipFile": code.getvalue()},
    )["FunctionArn"]
    apis = client("apigatewayv2")
    api = apis.create_api(Name="try", ProtocolType="HTTP")["ApiId"]
    integration = apis.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="1.0",
    )["IntegrationId"]
    apis.create_route(ApiId=api, RouteKey="POST /events", Target=f"integrations/{integration}")
    apis.create_stage(ApiId=api, StageName="live", AutoDeploy=True)
    kept = apis.get_integration(ApiId=api, IntegrationId=integration)["PayloadFormatVersion"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/_aws/execute-api/{api}/live/events", data=b"{}", method="POST",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        received = json.loads(answer.read())
finally:
    server.kill()
    server.wait()
print(kept, received)
# On AWS: version 1.0, with httpMethod, path, resource and multiValueHeaders.
assert kept == "1.0"
assert received["version"] == "2.0"
assert not {"httpMethod", "path", "resource", "multiValueHeaders"} & set(received["names"])
PYTHON
venv/bin/python try.py
