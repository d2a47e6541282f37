"""Deploys the built stack to the running emulator, and describes it in stack.json."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import boto3

from infra.local import server_certificate
from infra.local.emulator import LOG
from infra.local.emulators.interface import Capability, Emulator
from infra.local.settings import (
    ARCHITECTURE,
    DEV_TOOLS,
    LOCAL,
    REGION,
    ROOT,
    SERVICE_ACCOUNT,
    STACK_FILE,
    STACK_NAME,
    STAGE,
    TOKEN_AUDIENCE,
    TOKEN_DIRECTORY,
    TOKEN_ISSUER,
    TOOLS,
    aws_environment,
    tool_environment,
)

DEPLOY_LOG = LOCAL / "deploy.log"


def deploy(emulator: Emulator, endpoint: str) -> dict[str, Any]:
    """Deploys the stack; returns the content of stack.json."""
    started = time.monotonic()
    print(f"Deploying {STACK_NAME} to {emulator.name} at {endpoint}.", flush=True)
    _run_sam(endpoint)
    session = boto3.Session(SERVICE_ACCOUNT, "local", region_name=REGION)
    stacks = session.client("cloudformation", endpoint_url=endpoint).describe_stacks(StackName=STACK_NAME)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks["Stacks"][0]["Outputs"]}
    emulator.repair(session, endpoint, outputs)
    description = _describe(emulator, endpoint, outputs)
    STACK_FILE.write_text(json.dumps(description, indent=2) + "\n")
    print(f"Deployed in {time.monotonic() - started:.0f} s.", flush=True)
    return description


def _run_sam(endpoint: str) -> None:
    # A file, because a JSON Web Key Set does not survive the quoting of --parameter-overrides. JSON is YAML.
    parameters = LOCAL / "parameters.yaml"
    server_certificate.create()
    parameters.write_text(json.dumps(_parameters(), indent=2))
    command = [
        TOOLS / "sam", "deploy",
        "--stack-name", STACK_NAME,
        "--resolve-s3",
        "--capabilities", "CAPABILITY_IAM",
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--parameter-overrides", f"file://{parameters}",
    ]  # fmt: skip
    with DEPLOY_LOG.open("wb") as log:
        outcome = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=aws_environment(endpoint),
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if outcome.returncode != 0:
        print(DEPLOY_LOG.read_text())
        raise SystemExit(f"sam deploy failed; see {DEPLOY_LOG}")


def _parameters() -> dict[str, object]:
    return {
        "Architecture": ARCHITECTURE,
        # Nothing is there; tests check the link that the API builds from it.
        "CustomerTemplateUrl": f"https://audit-export-local.s3.{REGION}.amazonaws.com/cloudformation.yaml",
        "DeploymentMode": "development",
        "DevelopmentJwks": _development_jwks(),
        "DevelopmentScheduleExpression": "cron(* * * * ? *)",
        # Shorter than the minute between two firings: each exports what was received up to 13 s earlier, instead of up to 2 minutes.
        "DevelopmentSlotSeconds": 10,
        "DevelopmentCaFile": str(server_certificate.CERTIFICATE),
        # tests/e2e/test_producers.py creates them.
        "EventRuleArns": f"arn:aws:events:{REGION}:{SERVICE_ACCOUNT}:rule/audit-events",
        "EventTopicArns": ",".join(
            f"arn:aws:sns:{REGION}:{SERVICE_ACCOUNT}:{topic}" for topic in ("audit-events", "audit-events-raw")
        ),
        "EventSenders": f"arn:aws:iam::{SERVICE_ACCOUNT}:root",
        "Introspection": "enabled",
        "PageTokenInLink": "enabled",
        "SettleSeconds": 3,
        "TokenAudience": TOKEN_AUDIENCE,
        "TokenIssuer": TOKEN_ISSUER,
    }


def _development_jwks() -> str:
    """Returns the public key of this stack as a key set; creates the key pair if it is missing."""
    jwks = TOKEN_DIRECTORY / "jwks.json"
    if not jwks.exists():
        subprocess.run(
            [DEV_TOOLS, "token", "keygen", "--directory", TOKEN_DIRECTORY],
            env=tool_environment(), stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    return json.dumps(json.loads(jwks.read_text()), separators=(",", ":"))


def _describe(emulator: Emulator, endpoint: str, outputs: dict[str, str]) -> dict[str, Any]:
    return {
        "emulator": emulator.name,
        "capabilities": {capability.key: capability not in emulator.lacks for capability in Capability},
        "lacks": {capability.key: reason for capability, reason in emulator.lacks.items()},
        "endpoint": endpoint,
        "region": REGION,
        "serviceAccountId": SERVICE_ACCOUNT,
        "apiUrl": f"{endpoint}/restapis/{outputs['RestApiId']}/{STAGE}/_user_request_",
        "pageUrl": f"{endpoint}/restapis/{outputs['RestApiId']}/{STAGE}/_user_request_/audit",
        "stackName": STACK_NAME,
        "functions": {
            "api": outputs["ApiFunction"],
            "ingest": outputs["IngestFunction"],
            "exporter": outputs["ExporterFunction"],
            "converter": outputs["ConverterFunction"],
            "housekeeper": outputs["HousekeeperFunction"],
            "archiver": outputs["ArchiverFunction"],
            "notifier": outputs["NotifierFunction"],
            "page": outputs["PageFunction"],
            "verifier": outputs["VerifierFunction"],
        },
        "queues": {
            "events": outputs["EventsQueueUrl"],
            "eventsDeadLetter": outputs["EventsDeadLetterQueueUrl"],
            "topicEventsDeadLetter": outputs["TopicEventsDeadLetterQueueUrl"],
            "ruleEventsDeadLetter": outputs["RuleEventsDeadLetterQueueUrl"],
            "runs": outputs["RunsQueueUrl"],
            "runsDeadLetter": outputs["RunsDeadLetterQueueUrl"],
            "manualRuns": outputs["ManualRunsQueueUrl"],
            "manualRunsDeadLetter": outputs["ManualRunsDeadLetterQueueUrl"],
            "conversions": outputs["ConversionQueueUrl"],
            "conversionsDeadLetter": outputs["ConversionDeadLetterQueueUrl"],
            "manualConversions": outputs["ManualConversionQueueUrl"],
            "manualConversionsDeadLetter": outputs["ManualConversionDeadLetterQueueUrl"],
            "schedulesDeadLetter": outputs["SchedulesDeadLetterQueueUrl"],
            "webhooks": outputs["WebhooksQueueUrl"],
            "webhooksDeadLetter": outputs["WebhooksDeadLetterQueueUrl"],
        },
        "queueArns": {
            "topicEvents": outputs["TopicEventsQueueArn"],
            "ruleEvents": outputs["RuleEventsQueueArn"],
        },
        "tables": {
            "events": outputs["EventsTable"],
            "configurations": outputs["ConfigurationsTable"],
            "runs": outputs["RunsTable"],
        },
        "archiveBucket": outputs["ArchiveBucket"],
        "secretKeyArn": outputs["SecretKeyArn"],
        "signingKeyArn": outputs["SigningKeyArn"],
        "logs": str(LOG),
    }
