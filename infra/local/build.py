"""Builds the functions through the SAM CLI, and the command-line programs from the same compiled crates."""

from __future__ import annotations

import shutil
import subprocess

from infra.local.settings import (
    ARCHITECTURE,
    CLI_BINARY,
    DEV_TOOLS_BINARY,
    OPERATOR_BINARY,
    ROOT,
    TOOLS,
    tool_environment,
)

# A local stack is built without link-time optimization: linking a function takes seconds instead of minutes. For AWS, `sam build`
# uses the profile of Cargo.toml.
QUICK_PROFILE = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}


def build() -> None:
    if shutil.which("cargo") is None:
        raise SystemExit("cargo is missing: install Rust (https://rustup.rs) and run this again.")
    # With cargo-lambda as well: the same target and flags, so that every crate compiles once.
    architecture = ["--arm64"] if ARCHITECTURE == "arm64" else []
    print("Building the programs: the first build compiles every dependency, which takes minutes.", flush=True)
    programs = [word for name in (CLI_BINARY, OPERATOR_BINARY, DEV_TOOLS_BINARY) for word in ("--bin", name)]
    _run("cargo", "lambda", "build", "--release", *architecture, *programs)
    print("Building the functions.", flush=True)
    _run(
        TOOLS / "sam", "build", "--beta-features", "--parameter-overrides", f"Architecture={ARCHITECTURE}",
    )  # fmt: skip


def _run(*command: object) -> None:
    outcome = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=tool_environment() | QUICK_PROFILE, check=False
    )
    if outcome.returncode != 0:
        raise SystemExit(f"{command[0]} failed with exit status {outcome.returncode}.")


if __name__ == "__main__":
    build()
