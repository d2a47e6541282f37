"""Invokes each function with `cargo lambda invoke`, without Docker: `make lambda-local`. Expects the running local stack.

The functions run as they were built for the stack, each with its own Runtime API. `cargo lambda watch` is not used: it would
build them a second time.

`make lambda-serve` serves invocations without starting the functions, for one that you start yourself, such as under a debugger.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.local import event_files
from infra.local.emulator import free_port
from infra.local.programs import ADDRESS, running
from infra.local.runtime_api import Invocation, OutcomeKind, RuntimeApi, error
from infra.local.settings import LOCAL, REGION, SERVICE_ACCOUNT, tool_environment
from infra.local.stack import Stack

DEFAULT_PORT = 9000
INVOKE_SECONDS = 60
# The Invoke API: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
INVOKE_PATH = "/2015-03-31/functions/{}/invocations"


def main(command: str = "check") -> None:
    stack = Stack.load()
    port = free_port(DEFAULT_PORT)
    with ExitStack() as started:
        apis = {function: started.enter_context(RuntimeApi()) for function in stack.functions}
        started.enter_context(serving(port, apis))
        environments = {function: environment(stack, function, api) for function, api in apis.items()}
        if command == "serve":
            serve(environments, port)
            return
        log = started.enter_context((LOCAL / "lambda-local.log").open("wb"))
        for function, variables in environments.items():
            started.enter_context(running([str(event_files.program(function))], variables, log))
        event_files.run(lambda function, event: invoke(function, event, port))


def serve(environments: dict[str, dict[str, str]], port: int) -> None:
    """Writes each function's environment to a file, and waits until it is interrupted."""
    directory = LOCAL / "functions"
    directory.mkdir(exist_ok=True)
    for function, variables in environments.items():
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in variables.items()]
        (directory / f"{function}.env").write_text("".join(lines))
    print(f"Start a function with the environment in {directory}/<function>.env, then invoke it from another terminal:")
    print(
        shlex.join(["cargo", "lambda", "invoke", "ingest", *at(port), "--data-file", "tests/events/queue-batch.json"])
    )
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def environment(stack: Stack, function: str, api: RuntimeApi) -> dict[str, str]:
    return event_files.environment(stack, function, stack.endpoint) | {
        **event_files.credentials(),
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_RUNTIME_API": api.address,
    }


def invoke(function: str, event: Path, port: int) -> Any:
    command = ["cargo", "lambda", "invoke", function, *at(port), "--output-format", "json", "--data-file", str(event)]
    outcome = subprocess.run(
        command, env=tool_environment(), capture_output=True, text=True, timeout=INVOKE_SECONDS, check=False
    )
    if outcome.returncode != 0:
        raise event_files.WrongResponse(f"{function} failed: {outcome.stdout}{outcome.stderr}")
    return json.loads(outcome.stdout)


def at(port: int) -> list[str]:
    return ["--invoke-address", ADDRESS, "--invoke-port", str(port)]


@contextmanager
def serving(port: int, apis: Mapping[str, RuntimeApi]) -> Iterator[None]:
    """Serves Lambda's Invoke API for functions that take their invocations from `apis`."""
    functions = {INVOKE_PATH.format(function): (function, api, threading.Lock()) for function, api in apis.items()}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if self.path not in functions:
                self.send_error(404)
                return
            function, api, lock = functions[self.path]
            payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            arn = f"arn:aws:lambda:{REGION}:{SERVICE_ACCOUNT}:function:{function}"
            invocation = Invocation(str(uuid.uuid4()), payload, arn, INVOKE_SECONDS)
            headers = {"Content-Type": "application/json"}
            # A process takes one invocation at a time.
            with lock:
                try:
                    outcome = api.submit(invocation).result(INVOKE_SECONDS)
                    body, failed = outcome.body, outcome.kind is not OutcomeKind.RESPONSE
                except TimeoutError:
                    message = f"Task timed out after {INVOKE_SECONDS:.2f} seconds"
                    body, failed = error("Sandbox.Timedout", invocation.request_id, message), True
            self.send_response(200)
            for name, value in (headers | ({"X-Amz-Function-Error": "Unhandled"} if failed else {})).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Writes nothing: the functions have their own log."""

    server = ThreadingHTTPServer((ADDRESS, port), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    # Ends what was started on SIGTERM, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main(*sys.argv[1:])
