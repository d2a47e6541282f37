"""Runs the files of examples/, each in its language."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from infra.local.settings import LOCAL, ROOT

EXAMPLES = ROOT / "examples"
# Those that send a file with retries of their own.
SENDERS = ("send_events.sh", "send_events.py", "send_events.ts", "SendEvents.java", "send_events.rs")
# The compiler for machines whose Node.js does not read TypeScript itself.
TYPESCRIPT = ("typescript@5.9.3", "@types/node@20")
NATIVE_TYPESCRIPT = (22, 18)
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
            return _typescript()
        case "SendEvents.java":
            return [program("java"), EXAMPLES / name]
        case _:
            built = ROOT / "target" / "debug" / "examples" / "send_events"
            if not built.exists():
                unavailable("Rust: the unit tests, which build the example, have not run")
            return [built]


@cache
def _typescript() -> list[str | Path]:
    """Returns the command of the TypeScript example, compiled if Node.js can't read it."""
    node = program("node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) >= NATIVE_TYPESCRIPT:
        return [node, EXAMPLES / "send_events.ts"]
    # Workers of the tests compile at the same time.
    folder = LOCAL / "examples" / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    installed = subprocess.run(
        [program("npm"), "install", "--no-audit", "--no-fund", "--prefix", folder, *TYPESCRIPT],
        capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS,
    )  # fmt: skip
    if installed.returncode != 0:
        unavailable(f"TypeScript: npm can't install the compiler: {installed.stderr.strip()[-200:]}")
    shutil.copy(EXAMPLES / "send_events.ts", folder)
    (folder / "package.json").write_text(json.dumps({"type": "module"}))
    compiled = subprocess.run(
        [
            node, "node_modules/typescript/bin/tsc", "--strict", "--target", "es2022", "--module", "es2022",
            "--moduleResolution", "bundler", "--lib", "es2022,dom", "--types", "node", "--outDir", "out", "send_events.ts",
        ],
        cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stdout
    return [node, folder / "out" / "send_events.js"]
