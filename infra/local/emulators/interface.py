"""The interface of an emulator, and the capabilities in which emulators differ.

A test asks for the capability that it needs, never for an emulator by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol

import boto3


class Capability(StrEnum):
    """A capability of AWS that an emulator may lack. Tests name the value in `requires`."""

    IAM_ENFORCEMENT = "iam enforcement"
    """Policies of identities, buckets, queues and keys are enforced, and signatures are checked."""
    TRUST_POLICIES = "trust policies"
    """A role's trust policy is enforced for callers of other accounts."""
    SCHEDULE_FIRING = "schedule firing"
    """A schedule of EventBridge Scheduler invokes its target."""
    BUCKET_REGIONS = "bucket regions"
    """A bucket is served in its Region only; elsewhere, the response names that Region."""
    CHECKSUMS = "checksums"
    """S3 refuses bytes that differ from the checksum in `x-amz-checksum-…`."""
    PAYLOAD_HASHES = "payload hashes"
    """S3 refuses bytes that differ from the hash in the signature (`x-amz-content-sha256`)."""
    UNTOUCHED_BODIES = "untouched bodies"
    """API Gateway passes a request's body on unchanged, whatever its Content-Encoding is."""
    BINARY_ANSWERS = "binary answers"
    """API Gateway decodes an answer in base64, if all media types are declared as binary."""
    GATEWAY_RESPONSES = "gateway responses"
    """API Gateway's own errors have the form that the template defines."""
    ALARM_EVALUATION = "alarm evaluation"
    """CloudWatch evaluates alarms as soon as data is put, and functions log to their log groups."""
    DASHBOARDS = "dashboards"
    """CloudFormation creates a template's dashboards."""
    TABLE_RESTORES = "table restores"
    """DynamoDB restores a table to a point in time."""
    USER_POOLS = "user pools"
    """Cognito has user pools, and signs their tokens."""
    QUICK_CALLS = "quick calls"
    """A hundred exports that are killed and restarted complete within a few minutes."""

    @property
    def key(self) -> str:
        """The name of the capability in stack.json."""
        first, *others = self.value.split()
        return first + "".join(word.capitalize() for word in others)


class Emulator(Protocol):
    """An emulator that serves every AWS API under one port."""

    name: ClassVar[str]
    start_seconds: ClassVar[float]

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """The missing capabilities, each with the reason. They depend on how `prepare` set it up."""

    def prepare(self, directory: Path) -> None:
        """Installs it into .tools, and its data into `directory`. Raises SystemExit if that is not possible."""

    def command(self, port: int) -> list[str | Path]:
        """Returns the command that runs it in the foreground. On SIGTERM it stops with everything that it started."""

    def environment(self, port: int, directory: Path) -> dict[str, str]:
        """Returns the variables of the process, which gets only PATH, HOME and LANG besides."""

    def repair(self, session: boto3.Session, endpoint: str, outputs: dict[str, str]) -> None:
        """Works around its defects in the deployed stack with these outputs. Idempotent."""
