"""The paths and constants of the local stack."""

from __future__ import annotations

import os
import platform
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL_DIRECTORY = ROOT / ".tools"
TOOLS = TOOL_DIRECTORY / "tools" / "bin"

# The name of the emulator that the local stack runs on: see emulators/.
EMULATOR = os.environ.get("EMULATOR") or "ministack"

# The files of one running stack. The tests use a separate stack.
LOCAL = Path(os.environ.get("AUDIT_EXPORT_LOCAL_DIRECTORY") or ROOT / ".local").resolve()
STACK_FILE = LOCAL / "stack.json"
TOKEN_DIRECTORY = LOCAL / "token"

REGION = "us-east-1"
# Emulators treat a 12-digit access key id as the root user of that account, with any secret.
SERVICE_ACCOUNT = "111111111111"
STACK_NAME = "audit-export-local"
STAGE = "v1"

# The defaults of `dev-tools token sign`.
TOKEN_ISSUER = "https://development.audit-export.invalid"
TOKEN_AUDIENCE = "audit-export"

_ARM = platform.machine() in ("arm64", "aarch64")
ARCHITECTURE = "arm64" if _ARM else "x86_64"
# The programs that cargo-lambda builds with the functions, and the paths it moves them to.
CLI_BINARY = "audit-export"
OPERATOR_BINARY = "audit-export-operator"
DEV_TOOLS_BINARY = "dev-tools"
CLI = ROOT / "target" / "lambda" / CLI_BINARY / "bootstrap"
OPERATOR = ROOT / "target" / "lambda" / OPERATOR_BINARY / "bootstrap"
DEV_TOOLS = ROOT / "target" / "lambda" / DEV_TOOLS_BINARY / "bootstrap"


def tool_environment() -> dict[str, str]:
    """Returns the environment for build tools: .tools/ comes first, and no variable leads to a real AWS account."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment["PATH"] = f"{TOOLS}{os.pathsep}{environment['PATH']}"
    environment["SAM_CLI_TELEMETRY"] = "0"
    return environment


def aws_environment(endpoint: str) -> dict[str, str]:
    """Returns the environment for AWS tools that talk to the emulator as the root user of the service's account."""
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
