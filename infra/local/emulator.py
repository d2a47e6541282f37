"""Starts and stops the emulator that EMULATOR names.

Usage: python -m infra.local.emulator COMMAND…

Runs the command with the emulator's endpoint in DYNAMODB_ENDPOINT. Nothing is deployed there unless the emulator was running
before. The exit status is the command's.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from infra.local.emulators import by_name
from infra.local.emulators.interface import Emulator
from infra.local.settings import EMULATOR, LOCAL, tool_environment

DEFAULT_PORT = 4566
STOP_SECONDS = 20
# ps derives the time from the uptime, so adjusting the clock shifts it.
START_TIME_TOLERANCE_SECONDS = 5

RECORD = LOCAL / "emulator.json"
LOG = LOCAL / "emulator.log"


def start() -> tuple[Emulator, str]:
    """Starts the emulator unless it is running; returns it with its endpoint."""
    emulator = by_name(EMULATOR)
    directory = LOCAL / "emulator"
    directory.mkdir(parents=True, exist_ok=True)
    emulator.prepare(directory)
    record = _running()
    if record is None:
        record = _launch(emulator, directory, free_port(int(os.environ.get("PORT") or DEFAULT_PORT)))
    elif record["emulator"] != emulator.name:
        raise SystemExit(f"{record['emulator']} is running here, not {emulator.name}: run `make down` first.")
    return emulator, f"http://127.0.0.1:{record['port']}"


def stop() -> bool:
    """Stops the emulator and the functions that it runs; returns whether it was running."""
    record = _running()
    if record is not None:
        # The emulator leads a process group.
        _signal_group(record["pid"], signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _running() is not None and time.monotonic() < deadline:
            time.sleep(0.1)
        _signal_group(record["pid"], signal.SIGKILL)
    RECORD.unlink(missing_ok=True)
    return record is not None


def _launch(emulator: Emulator, directory: Path, port: int) -> dict[str, Any]:
    # The functions may inherit this environment, so it has nothing of the user's.
    environment = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            emulator.command(port),
            cwd=directory,
            env=environment | emulator.environment(port, directory),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record = {"emulator": emulator.name, "pid": process.pid, "port": port, "started": _start_time(process.pid)}
    RECORD.write_text(json.dumps(record))
    deadline = time.monotonic() + emulator.start_seconds
    while not _healthy(port):
        if process.poll() is not None or time.monotonic() > deadline:
            stop()
            raise SystemExit(f"The emulator did not start; see {LOG}")
        time.sleep(0.1)
    return record


def _running() -> dict[str, Any] | None:
    """Returns the record of the emulator if it is running. The start time is compared, because process ids are reused."""
    try:
        record = json.loads(RECORD.read_text())
    except FileNotFoundError:
        return None
    started = _start_time(record["pid"])
    same = started is not None and abs(started - record["started"]) <= START_TIME_TOLERANCE_SECONDS
    return record if same else None


def _start_time(pid: int) -> float | None:
    """Returns the start time of a process; None if it has ended (zombies included)."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    state, _, started = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        .stdout.strip()
        .partition(" ")
    )
    if not started or state.startswith("Z"):
        return None
    return time.mktime(time.strptime(started.strip(), "%a %b %d %H:%M:%S %Y"))


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_localstack/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def free_port(wanted: int) -> int:
    """Returns the wanted port, or a free one if that is taken."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                return listener.getsockname()[1]
            except OSError:
                print(f"Port {wanted} is taken; choosing another.")
    raise SystemExit("There is no free port.")


def main(command: list[str]) -> int:
    was_running = _running() is not None
    _, endpoint = start()
    try:
        return subprocess.run(command, env=tool_environment() | {"DYNAMODB_ENDPOINT": endpoint}, check=False).returncode
    finally:
        if not was_running:
            stop()


if __name__ == "__main__":
    # Ends what was started on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main(sys.argv[1:]))
