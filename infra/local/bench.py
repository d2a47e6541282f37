"""Builds the programs with the deployed profile, and measures them: `make bench`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from infra.local.settings import ARCHITECTURE, ROOT, TOOLS, tool_environment

FUNCTIONS = ("api", "archiver", "converter", "exporter", "housekeeper", "ingest", "notifier", "verifier")
# Built apart: neither is deployed, so neither may add features to the crates of the functions.
OTHERS = ("minimal-function", "bench")
DIRECTORY = ROOT / "target" / "bench"
BINARIES = DIRECTORY / "functions"


def build() -> None:
    if shutil.which("cargo") is None:
        raise SystemExit("cargo is missing: install Rust (https://rustup.rs) and run this again.")
    print("Building with link-time optimization: the first build takes half an hour on two cores.", flush=True)
    # With the target and flags of `sam build`.
    _build(*(argument for name in FUNCTIONS for argument in ("--bin", name)))
    for package in OTHERS:
        _build("--package", package)


def _build(*arguments: str) -> None:
    architecture = ["--arm64"] if ARCHITECTURE == "arm64" else []
    _run("cargo", "lambda", "build", "--release", "--lambda-dir", BINARIES, *architecture, *arguments)


def measure(arguments: list[str]) -> None:
    _run(BINARIES / "bench" / "bootstrap", "--python", TOOLS / "python", *arguments)
    print(f"\nThe same as JSON: {os.path.relpath(DIRECTORY / 'report.json')}")


def _run(*command: object) -> None:
    outcome = subprocess.run([str(part) for part in command], cwd=ROOT, env=tool_environment(), check=False)
    if outcome.returncode != 0:
        raise SystemExit(f"{command[0]} failed with exit status {outcome.returncode}.")


if __name__ == "__main__":
    build()
    if "--suites" not in sys.argv or "parquet" in sys.argv[sys.argv.index("--suites") + 1].split(","):
        _run(ROOT / "tests" / "bench" / "peers" / "install.sh")
    measure(sys.argv[1:])
