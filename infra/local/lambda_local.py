"""`make lambda-local`: each function once with `cargo lambda invoke`, without Docker. Expects the running local stack.

`cargo lambda watch` serves the invocations. It would build the functions once more, so they run here as they were built for the
stack; between the two is a relay, because cargo-lambda 1.9.2 tells every invocation that its time ended in 1970.

`make lambda-serve`: the same without the functions, for one that you start yourself, under a debugger say.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import event_files
from emulator import free_port
from local_stack import Stack
from programs import ADDRESS, running, wait_for
from settings import LOCAL, tool_environment

DEFAULT_PORT = 9000
START_SECONDS = 30
INVOKE_SECONDS = 60


def main(command: str = "check") -> None:
    stack = Stack.load()
    port = free_port(DEFAULT_PORT)
    with ExitStack() as started:
        log = started.enter_context((LOCAL / "lambda-local.log").open("wb"))
        watch = ["cargo", "lambda", "watch", "--only-lambda-apis", *at(port)]
        started.enter_context(running(watch, tool_environment(), log))
        wait_for(port, "cargo lambda watch", START_SECONDS)
        relay = started.enter_context(relayed(port))
        environments = {function: environment(stack, function, relay) for function in stack.functions}
        if command == "serve":
            serve(environments, port)
            return
        for function, variables in environments.items():
            started.enter_context(running([str(event_files.program(function))], variables, log))
        event_files.run(lambda function, event: invoke(function, event, port))


def serve(environments: dict[str, dict[str, str]], port: int) -> None:
    """Until it is interrupted."""
    directory = LOCAL / "functions"
    directory.mkdir(exist_ok=True)
    for function, variables in environments.items():
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in variables.items()]
        (directory / f"{function}.env").write_text("".join(lines))
    print(f"Start a function with the environment of {directory}/<function>.env, and invoke it from elsewhere:")
    print(
        shlex.join(["cargo", "lambda", "invoke", "ingest", *at(port), "--data-file", "tests/events/queue-batch.json"])
    )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def environment(stack: Stack, function: str, relay: int) -> dict[str, str]:
    return event_files.environment(stack, function, stack.endpoint) | {
        **event_files.credentials(),
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_RUNTIME_API": f"http://{ADDRESS}:{relay}/.rt/{function}",
    }


def invoke(function: str, event: Path, port: int) -> Any:
    command = ["cargo", "lambda", "invoke", function, *at(port), "--output-format", "json", "--data-file", str(event)]
    outcome = subprocess.run(
        command, env=tool_environment(), capture_output=True, text=True, timeout=INVOKE_SECONDS, check=False
    )
    if outcome.returncode != 0:
        raise event_files.WrongAnswer(f"{function} failed: {outcome.stdout}{outcome.stderr}")
    return json.loads(outcome.stdout)


def at(port: int) -> list[str]:
    return ["--invoke-address", ADDRESS, "--invoke-port", str(port)]


@contextmanager
def relayed(port: int) -> Iterator[int]:
    """A port that passes on to that of `cargo lambda watch`, and says how long an invocation really has."""

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            watch = http.client.HTTPConnection(ADDRESS, port)
            watch.request(self.command, self.path, body, headers)
            answer = watch.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() == "lambda-runtime-deadline-ms":
                    value = str(int((time.time() + INVOKE_SECONDS) * 1000))
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            watch.close()

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            """The functions' own log tells what matters."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                """One of the two has ended."""

    server = ThreadingHTTPServer((ADDRESS, 0), Relay)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(*sys.argv[1:])
