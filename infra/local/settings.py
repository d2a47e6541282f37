"""Where things are, and the fixed facts of the local stack."""

from __future__ import annotations

import os
import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL_DIRECTORY = ROOT / ".tools"
TOOLS = TOOL_DIRECTORY / "tools" / "bin"

# What the local stack runs on: the name of one of emulators/.
EMULATOR = os.environ.get("EMULATOR") or "ministack"

# Everything that belongs to one running stack. The tests have one of their own.
LOCAL = Path(os.environ.get("AUDIT_EXPORT_LOCAL_DIRECTORY") or ROOT / ".local").resolve()
STACK_FILE = LOCAL / "stack.json"
TOKEN_DIRECTORY = LOCAL / "token"

REGION = "us-east-1"
# Every emulator takes a 12-digit access key id for the root user of that account, with any secret.
SERVICE_ACCOUNT = "111111111111"
STACK_NAME = "audit-export-local"
STAGE = "v1"

# What `audit-export token sign` writes into a token unless told otherwise.
TOKEN_ISSUER = "https://development.audit-export.invalid"
TOKEN_AUDIENCE = "audit-export"

_ARM = platform.machine() in ("arm64", "aarch64")
ARCHITECTURE = "arm64" if _ARM else "x86_64"
# Where cargo-lambda moves the program that it builds with the functions.
CLI_BINARY = "audit-export"
CLI = ROOT / "target" / "lambda" / CLI_BINARY / "bootstrap"


def tool_environment() -> dict[str, str]:
    """The environment for build tools: the project's own tools first, and nothing that leads to a real account."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment["PATH"] = f"{TOOLS}{os.pathsep}{environment['PATH']}"
    environment["SAM_CLI_TELEMETRY"] = "0"
    return environment


def aws_environment(endpoint: str) -> dict[str, str]:
    """The environment for AWS tools: the emulator, as the root user of the service's account."""
    return tool_environment() | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": SERVICE_ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
