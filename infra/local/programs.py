"""Programs that run in the background while a block is executed."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from infra.local.settings import ROOT

ADDRESS = "127.0.0.1"
STOP_SECONDS = 5


@contextmanager
def running(
    command: list[str], environment: dict[str, str], log: IO[Any], stop_seconds: float = STOP_SECONDS
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs the program until the block ends. Kills it if it takes longer than `stop_seconds` to stop."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, what: str, seconds: float) -> None:
    """Waits until a program listens on the port."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((ADDRESS, port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"{what} did not start") from None
            time.sleep(0.2)
