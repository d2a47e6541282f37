"""Amazon's DynamoDB Local, whose validation and paging are DynamoDB's, for as long as a command runs.

The command finds the endpoint in DYNAMODB_ENDPOINT. The exit status is the command's, or 3 if this machine lacks a requirement
of DynamoDB Local.

Usage: python -m infra.local.dynamodb_local COMMAND…
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.emulator import free_port
from infra.local.settings import TOOL_DIRECTORY, tool_environment

DIRECTORY = TOOL_DIRECTORY / "dynamodb-local"
DEFAULT_PORT = 8000
START_SECONDS = 60
SCRIPT = Path(__file__).with_name("dynamodb_local.sh")
# The exit status if this machine lacks a requirement.
MISSING = 3


def missing_requirement() -> str | None:
    """Returns the reason why this machine can't run it, None if it can."""
    outcome = subprocess.run([SCRIPT, "check"], capture_output=True, text=True, check=False)
    return outcome.stderr.strip().splitlines()[-1] if outcome.returncode == MISSING else None


@contextmanager
def dynamodb_local() -> Iterator[str]:
    """Starts it without tables and yields the endpoint."""
    outcome = subprocess.run([SCRIPT], check=False)
    if outcome.returncode != 0:
        sys.exit(outcome.returncode)
    port = free_port(DEFAULT_PORT)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [
                "java", f"-Djava.library.path={DIRECTORY / 'DynamoDBLocal_lib'}", "-jar", DIRECTORY / "DynamoDBLocal.jar",
                "-inMemory", "-sharedDb", "-port", str(port), "-disableTelemetry",
            ],
            cwd=DIRECTORY, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"DynamoDB Local did not start:\n{log.read(4096).decode(errors='replace')}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        # It refuses a request without a signature.
        return True
    except OSError:
        return False
    return True


def main(command: list[str]) -> int:
    with dynamodb_local() as endpoint:
        environment = tool_environment() | {"DYNAMODB_ENDPOINT": endpoint}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    # Ends what was started on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
