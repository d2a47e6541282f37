"""Runs `audit-export verify` as a customer's auditor does."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from infra.local.settings import aws_environment
from infra.local.stack import CustomerAccount, Stack

COMPLETE = 0
BROKEN = 6
VERIFY_SECONDS = 60


@dataclass(frozen=True)
class Verifier:
    """The command line with the public key of the stack."""

    stack: Stack
    command: Path
    public_key: Path

    @classmethod
    def create(cls, stack: Stack, command: Path, directory: Path) -> Verifier:
        answer = stack.client("kms").get_public_key(KeyId=stack.description["signingKeyArn"])
        public_key = directory / "signing-key.pem"
        key = load_der_public_key(answer["PublicKey"])
        public_key.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return cls(stack, command, public_key)

    def bucket(self, account: CustomerAccount, configuration_id: str, *options: str) -> tuple[int, dict[str, Any]]:
        """Verifies the export in the bucket with the customer's credentials; returns the exit status and the report."""
        credentials = {
            "AWS_ACCESS_KEY_ID": account.account,
            "AWS_SECRET_ACCESS_KEY": "root",
            "AWS_REGION": account.region,
        }
        target = f"s3://{account.bucket}/{account.prefix}{configuration_id}"
        return self._verify(target, options, aws_environment(self.stack.endpoint) | credentials)

    def at(self, target: str, credentials: dict[str, str], *options: str) -> tuple[int, dict[str, Any]]:
        """Verifies an export in a bucket of any server with these credentials; returns the exit status and the report."""
        return self._verify(target, options, aws_environment(self.stack.endpoint) | credentials)

    def folder(self, folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
        """Verifies a copy without any access to AWS; returns the exit status and the report."""
        return self._verify(str(folder), options, {"PATH": os.environ["PATH"]})

    def _verify(self, target: str, options: tuple[str, ...], environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
        outcome = subprocess.run(
            [self.command, "verify", target, "--public-key", self.public_key, "--output", "json", *options],
            env=environment,
            stdout=subprocess.PIPE,
            timeout=VERIFY_SECONDS,
            check=False,
        )
        return outcome.returncode, json.loads(outcome.stdout) if outcome.stdout else {}


def download(account: CustomerAccount, configuration_id: str, directory: Path) -> Path:
    """Downloads the export as `aws s3 sync` does, with its files of Security Lake beside the folder; returns the folder."""
    folder = directory / configuration_id
    beside = account.objects(f"{account.prefix}region=")
    in_lake = [entry for entry in beside if f"/{configuration_id}_" in entry["Key"]]
    for entry in [*account.objects(f"{account.prefix}{configuration_id}/"), *in_lake]:
        path = directory / entry["Key"].removeprefix(account.prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(account.download(entry["Key"]))
    return folder
