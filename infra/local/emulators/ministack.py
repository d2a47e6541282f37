"""MiniStack, the default emulator, which enforces IAM."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import boto3

from infra.local import repairs
from infra.local.emulators.interface import Capability
from infra.local.settings import REGION, SERVICE_ACCOUNT, TOOL_DIRECTORY

REPAIRED_EMULATOR = Path(__file__).parents[1] / "repaired_emulator.py"


class MiniStack:
    name: ClassVar[str] = "ministack"
    start_seconds: ClassVar[float] = 30.0
    lacks: ClassVar[dict[Capability, str]] = {
        Capability.PAYLOAD_HASHES: "MiniStack 1.5.33 takes the hash in a signature as it is",
    }

    def prepare(self, directory: Path) -> None:
        """Does nothing: bootstrap.sh has installed it."""

    def command(self, port: int) -> list[str | Path]:
        # Isolated (-I), so that no module in the script's folder shadows one of MiniStack's.
        return [TOOL_DIRECTORY / "emulator" / "bin" / "python", "-I", REPAIRED_EMULATOR]

    def environment(self, port: int, directory: Path) -> dict[str, str]:
        # The functions inherit these variables.
        return {
            "AUTH": "true",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            # Listeners on more ports, which nothing here uses.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "MINISTACK_ACCOUNT_ID": SERVICE_ACCOUNT,
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(directory),
        }

    def repair(self, session: boto3.Session, endpoint: str, outputs: dict[str, str]) -> None:
        repairs.repair(session, endpoint, outputs)
