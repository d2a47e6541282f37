"""LocalStack 4.14.0, the last release that needs no account: a second check of the template and of every API in use.

Runs the official image if there is a Docker engine that has it or can pull it. Otherwise runs the same release as a process,
with DynamoDB Local from npm and with functions as processes (../localstack/).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import boto3

from infra.local.emulators.interface import Capability
from infra.local.settings import ROOT, STAGE, TOOL_DIRECTORY, tool_environment

IMAGE = "localstack/localstack:4.14.0"
PLUGIN_DIRECTORY = Path(__file__).parents[1] / "localstack"
# The plugin, and the package that it takes the Runtime API from.
PLUGIN_PATH = os.pathsep.join((str(PLUGIN_DIRECTORY), str(ROOT)))
DYNAMODB = TOOL_DIRECTORY / "dynamodb-local"
PULL_SECONDS = 600
LACKS = {
    Capability.IAM_ENFORCEMENT: "LocalStack 4.14.0 enforces only trust policies, and checks no signature",
    Capability.SCHEDULE_FIRING: "LocalStack 4.14.0 stores schedules, but never fires them",
    Capability.BUCKET_REGIONS: "LocalStack 4.14.0 serves a bucket in every Region",
    Capability.PAYLOAD_HASHES: "LocalStack 4.14.0 checks no signature, and so no hash in one",
    Capability.UNTOUCHED_BODIES: "LocalStack 4.14.0 unpacks a body that Content-Encoding declares as gzip, and fails if it is not",
    Capability.BINARY_ANSWERS: "LocalStack 4.14.0 decodes an answer only if its very media type is declared as binary",
    Capability.GATEWAY_RESPONSES: "LocalStack 4.14.0 has its own form for its own errors",
    Capability.ALARM_EVALUATION: "LocalStack 4.14.0 evaluates an alarm once per period, and the longest period here is an hour",
    Capability.DASHBOARDS: "LocalStack 4.14.0 accepts the dashboards of a template, and does not create them",
    Capability.TABLE_RESTORES: "DynamoDB Local restores no tables",
    Capability.USER_POOLS: "LocalStack has Cognito only with an account",
    Capability.QUICK_CALLS: "each call goes through LocalStack to DynamoDB Local and back, so fewer moments can be tested",
}
# The exit status of install.sh if this machine lacks a requirement.
MISSING = 3


class LocalStack:
    name: ClassVar[str] = "localstack"
    start_seconds: ClassVar[float] = 120.0

    def __init__(self) -> None:
        self._in_docker = False

    @property
    def lacks(self) -> Mapping[Capability, str]:
        if not self._in_docker:
            return LACKS
        return LACKS | {Capability.TRUST_POLICIES: "LocalStack's image lacks the plugin that enforces them"}

    def prepare(self, directory: Path) -> None:
        self._in_docker = _has_image()
        if self._in_docker:
            return
        outcome = subprocess.run([PLUGIN_DIRECTORY / "install.sh"], env=tool_environment(), check=False)
        if outcome.returncode != 0:
            raise SystemExit(
                "LocalStack could not be installed. Install the missing requirement, or a Docker engine that can pull the image."
            )
        _link_dynamodb(directory)

    def command(self, port: int) -> list[str | Path]:
        if not self._in_docker:
            return [TOOL_DIRECTORY / "localstack" / "bin" / "python", "-m", "localstack.runtime.main"]
        return [
            "docker", "run", "--rm", "--init", "--publish", f"127.0.0.1:{port}:4566",
            "--volume", "/var/run/docker.sock:/var/run/docker.sock",
            *(part for setting in _settings(port).items() for part in ("--env", "=".join(setting))), IMAGE,
        ]  # fmt: skip

    def environment(self, port: int, directory: Path) -> dict[str, str]:
        if self._in_docker:
            return {name: os.environ[name] for name in ("DOCKER_CONTEXT", "DOCKER_HOST") if name in os.environ}
        return _settings(port) | {
            "DNS_ADDRESS": "0",
            "FILESYSTEM_ROOT": str(directory),
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "OVERRIDE_IN_DOCKER": "0",
            "PYTHONPATH": PLUGIN_PATH,
            "TMPDIR": str(directory),
        }

    def repair(self, session: boto3.Session, endpoint: str, outputs: dict[str, str]) -> None:
        """Turns request validation off: LocalStack's own errors have another form than the functions' (see LACKS)."""
        api_gateway, api_id = session.client("apigateway", endpoint_url=endpoint), outputs["RestApiId"]
        for validator in api_gateway.get_request_validators(restApiId=api_id)["items"]:
            api_gateway.update_request_validator(
                restApiId=api_id,
                requestValidatorId=validator["id"],
                patchOperations=[{"op": "replace", "path": "/validateRequestParameters", "value": "false"}],
            )
        api_gateway.create_deployment(restApiId=api_id, stageName=STAGE)


def missing_requirement() -> str | None:
    """Returns the reason why this machine can't run LocalStack, None if it can."""
    return None if _has_image() else missing_for_process()


def missing_for_process() -> str | None:
    """Returns the reason why this machine can't run LocalStack without a Docker engine, None if it can."""
    outcome = subprocess.run(
        [PLUGIN_DIRECTORY / "install.sh", "check"], env=tool_environment(), capture_output=True, text=True, check=False
    )
    return outcome.stderr.strip().splitlines()[-1] if outcome.returncode == MISSING else None


def _has_image() -> bool:
    """Checks whether there is a Docker engine that has the official image, or can pull it."""
    if shutil.which("docker") is None:
        return False
    for command in (["image", "inspect", IMAGE], ["version"], ["pull", "--quiet", IMAGE]):
        try:
            outcome = subprocess.run(["docker", *command], capture_output=True, timeout=PULL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return False
        if command[0] != "version" and outcome.returncode == 0:
            return True
        if command[0] == "version" and outcome.returncode != 0:
            return False
    return False


def _settings(port: int) -> dict[str, str]:
    """Returns the settings for both the image and the process."""
    return {
        "DISABLE_EVENTS": "1",
        "DYNAMODB_IN_MEMORY": "1",
        # The default polls a queue that was idle for a while only every 10 s.
        "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "1",
        "LOCALSTACK_HOST": f"localhost:{port}",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "SQS_ENDPOINT_STRATEGY": "path",
    }


def _link_dynamodb(directory: Path) -> None:
    """Links DynamoDB Local and Java to the places where LocalStack expects its own downloads."""
    packages = directory / "var" / "lib" / "localstack" / "lib"
    installed = packages / "dynamodb-local" / "2"
    installed.mkdir(parents=True, exist_ok=True)
    for part in ("DynamoDBLocal.jar", "DynamoDBLocal_lib"):
        (installed / part).unlink(missing_ok=True)
        (installed / part).symlink_to(DYNAMODB / part)
    java = packages / "java" / "21" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    # Drops the Java agent, which is a download as well: it only lifts the limit of 20 secondary indexes.
    java.write_text(
        "#!/bin/sh\n"
        'for argument; do shift; case $argument in -javaagent:*) ;; *) set -- "$@" "$argument" ;; esac; done\n'
        f'exec "{Path(shutil.which("java") or "java").resolve()}" "$@"\n'
    )
    java.chmod(0o755)
