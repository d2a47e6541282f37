"""LocalStack 4.14.0, the last release that needs no account: a second opinion on the template and on every API used.

With a Docker engine that has or gets its official image, that; otherwise the same release as a process, with DynamoDB Local
from npm and with functions as processes (../localstack/).
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
    Capability.IAM_ENFORCEMENT: "LocalStack 4.14.0 evaluates no policy but trust policies, and verifies no signature",
    Capability.SCHEDULE_FIRING: "LocalStack 4.14.0 keeps schedules, and never fires them",
    Capability.BUCKET_REGIONS: "LocalStack 4.14.0 serves a bucket in every Region",
    Capability.UNTOUCHED_BODIES: "LocalStack 4.14.0 unpacks what Content-Encoding calls gzip, and fails if it is not",
    Capability.GATEWAY_RESPONSES: "LocalStack 4.14.0 answers what it refuses itself in a form of its own",
    Capability.ALARM_EVALUATION: "LocalStack 4.14.0 evaluates an alarm once a period, and the longest here is an hour",
    Capability.QUICK_CALLS: "each call goes through LocalStack to DynamoDB Local and back, so fewer moments come to be tried",
}
# Exit status of install.sh if this machine lacks something.
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
        return LACKS | {Capability.TRUST_POLICIES: "what evaluates them is not in LocalStack's image"}

    def prepare(self, directory: Path) -> None:
        self._in_docker = _has_image()
        if self._in_docker:
            return
        outcome = subprocess.run([PLUGIN_DIRECTORY / "install.sh"], env=tool_environment(), check=False)
        if outcome.returncode != 0:
            raise SystemExit(
                "LocalStack could not be installed; install what is missing, or a Docker engine that can pull its image."
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
        """It answers what it refuses itself in a form of its own (see LACKS), so that nothing may be refused before the
        functions."""
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
    """Whether there is a Docker engine that has the official image, or can pull it."""
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
    """What holds for both ways to run it."""
    return {
        "DISABLE_EVENTS": "1",
        "DYNAMODB_IN_MEMORY": "1",
        # Or a queue that was idle for a while is looked at only every 10 s.
        "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC": "1",
        "LOCALSTACK_HOST": f"localhost:{port}",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "SQS_ENDPOINT_STRATEGY": "path",
    }


def _link_dynamodb(directory: Path) -> None:
    """Puts DynamoDB Local and a Java where LocalStack would have put those that it downloads."""
    packages = directory / "var" / "lib" / "localstack" / "lib"
    installed = packages / "dynamodb-local" / "2"
    installed.mkdir(parents=True, exist_ok=True)
    for part in ("DynamoDBLocal.jar", "DynamoDBLocal_lib"):
        (installed / part).unlink(missing_ok=True)
        (installed / part).symlink_to(DYNAMODB / part)
    java = packages / "java" / "21" / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    # The agent that LocalStack loads into it is a download as well; it lifts the bound of 20 secondary indexes.
    java.write_text(
        "#!/bin/sh\n"
        'for argument; do shift; case $argument in -javaagent:*) ;; *) set -- "$@" "$argument" ;; esac; done\n'
        f'exec "{Path(shutil.which("java") or "java").resolve()}" "$@"\n'
    )
    java.chmod(0o755)
