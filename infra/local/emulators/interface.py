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
    """What AWS does and an emulator may not. The value is what tests ask for."""

    IAM_ENFORCEMENT = "iam enforcement"
    """Policies of identities, buckets, queues and keys decide, and signatures are verified."""
    TRUST_POLICIES = "trust policies"
    """A role's trust policy says who of another account may assume it."""
    SCHEDULE_FIRING = "schedule firing"
    """A schedule of EventBridge Scheduler invokes its target."""
    BUCKET_REGIONS = "bucket regions"
    """A bucket answers in its own Region alone, and elsewhere says which that is."""
    UNTOUCHED_BODIES = "untouched bodies"
    """API Gateway hands a request's body on as it came, whatever its Content-Encoding says."""
    GATEWAY_RESPONSES = "gateway responses"
    """API Gateway gives its own refusals the form that the template says."""
    ALARM_EVALUATION = "alarm evaluation"
    """CloudWatch evaluates alarms as soon as data is put, and functions' logs are in their log groups."""
    QUICK_CALLS = "quick calls"
    """A hundred exports that are killed and begun again end within a few minutes."""

    @property
    def key(self) -> str:
        """In stack.json."""
        first, *others = self.value.split()
        return first + "".join(word.capitalize() for word in others)


class Emulator(Protocol):
    """An emulator that serves every AWS API under one port."""

    name: ClassVar[str]
    start_seconds: ClassVar[float]

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """The capabilities that it doesn't have, each with the reason; of the way that it was prepared to run."""

    def prepare(self, directory: Path) -> None:
        """Installs what it needs into .tools, and into `directory`, which is its own. Raises SystemExit if that can't be."""

    def command(self, port: int) -> list[str | Path]:
        """Runs it in the foreground; it ends on SIGTERM, with all that it started."""

    def environment(self, port: int, directory: Path) -> dict[str, str]:
        """Of the process, which is given nothing else but PATH, HOME and LANG."""

    def repair(self, session: boto3.Session, endpoint: str, outputs: dict[str, str]) -> None:
        """Puts right what it made of the deployed template, whose outputs these are. Safe to repeat."""
