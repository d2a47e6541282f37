"""Invokes each function with `sam local invoke`, and both paths with `sam local start-api`: `make sam-local`. Expects the running
local stack and a Docker engine. `make sam-shell` opens a shell in which `sam local` works, to invoke by hand.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from samtranslator.yaml_helper import yaml_parse

from infra.local import event_files
from infra.local.docker_engine import ensure_base_image, host_address, require_engine
from infra.local.emulator import free_port
from infra.local.programs import running, wait_for
from infra.local.settings import ARCHITECTURE, LOCAL, aws_environment
from infra.local.stack import Stack

TEMPLATE = LOCAL / "sam-local.json"
DEFAULT_PORT = 3000
INVOKE_SECONDS = 180
START_SECONDS = 60
BUFFER_BYTES = 65536


def main(command: str = "check") -> None:
    stack = Stack.load()
    require_engine()
    ensure_base_image()
    with reachable(stack, host_address()) as endpoint:
        write_template(stack, endpoint)
        # Variables of the shell override those of the template.
        environment = aws_environment(endpoint)
        if command == "shell":
            print(
                f"For example: {shlex.join(sam('invoke', 'IngestFunction', '--event', 'tests/events/queue-batch.json'))}"
            )
            subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=environment, check=False)
        else:
            check(environment)


def check(environment: dict[str, str]) -> None:
    """Raises WrongResponse."""
    with (LOCAL / "sam-local.log").open("w") as log:

        def invoke(function: str, event: Path) -> Any:
            command = sam("invoke", f"{function.capitalize()}Function", "--event", str(event))
            outcome = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=INVOKE_SECONDS, check=False
            )
            log.write(outcome.stderr)
            if outcome.returncode != 0:
                raise event_files.WrongResponse(f"{function} failed:\n{outcome.stdout}{outcome.stderr}")
            return json.loads(outcome.stdout.strip().splitlines()[-1])

        event_files.run(invoke)
        port = free_port(DEFAULT_PORT)
        with running(sam("start-api", "--host", "127.0.0.1", "--port", str(port)), environment, log):
            wait_for(port, "sam local start-api", START_SECONDS)
            call(f"http://127.0.0.1:{port}")


def call(url: str) -> None:
    """Calls both paths with the requests of the event files."""
    for file, status in (("http-plain-array.json", 202), ("http-graphql-query.json", 200)):
        event = json.loads((event_files.FILES / file).read_text())
        headers = {name: event["headers"][name] for name in ("Authorization", "Content-Type")}
        answer = requests.post(url + event["path"], event["body"].encode(), headers=headers, timeout=INVOKE_SECONDS)
        if answer.status_code != status:
            raise event_files.WrongResponse(f"{event['path']} answered {answer.status_code} {answer.text}")
        print(f"{event['path']:43} passed (sam local start-api)", flush=True)


def sam(command: str, *arguments: str) -> list[str]:
    return [
        "sam", "local", command, *arguments, "--template", str(TEMPLATE), "--skip-pull-image",
        "--parameter-overrides", f"Architecture={ARCHITECTURE}",
    ]  # fmt: skip


def write_template(stack: Stack, endpoint: str) -> None:
    """Writes the built template with the values of the running stack.

    `sam local` knows neither tables nor queues, and sets only those variables of a function that the template has."""
    template = yaml_parse((event_files.BUILT / "template.yaml").read_text())
    for function in stack.functions:
        properties = template["Resources"][f"{function.capitalize()}Function"]["Properties"]
        properties["CodeUri"] = str(event_files.program(function).parent)
        properties["Environment"] = {"Variables": event_files.environment(stack, function, endpoint)}
    TEMPLATE.write_text(json.dumps(template, indent=2))


@contextmanager
def reachable(stack: Stack, address: str) -> Iterator[str]:
    """Forwards a port that containers reach to the emulator, which listens on the loopback interface only; yields the URL."""
    port = int(stack.endpoint.rpartition(":")[2])
    with socket.create_server((address, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port), daemon=True).start()
        yield f"http://{address}:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        try:
            inside, _ = listener.accept()
        except OSError:
            return
        outside = socket.create_connection(("127.0.0.1", port))
        for source, target in ((inside, outside), (outside, inside)):
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(BUFFER_BYTES):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        """One of the two has ended."""


if __name__ == "__main__":
    # Ends what was started on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(*sys.argv[1:])
