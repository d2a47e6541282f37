"""The exporter as a process of its own, outside of the emulator, so that a test can kill it at any moment.

On Lambda, a program asks the Runtime API for its invocation and gives its answer there. `RuntimeApi` is that interface for
one process and one invocation: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from forwarder import Forwarder

from local_stack import Stack
from settings import ROOT

BINARY = ROOT / ".aws-sam" / "build" / "ExporterFunction" / "bootstrap"
# Of the real function: a slice ends three minutes before.
INVOCATION_SECONDS = 360
ROOT_PATH = "/2018-06-01/runtime"
MAX_ANSWER_BYTES = 6 * 1024 * 1024
# Between two looks at whether the server has to end; the default of half a second would be most of a test.
SERVER_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Invocation:
    request_id: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What the program made of an invocation."""

    kind: str
    """`response`, `error`, or `init error`."""
    body: Any


class RuntimeApi:
    """Hands one invocation to one process. Whatever else that process asks for has to wait until it is killed."""

    def __init__(self, invocation: Invocation, function_arn: str) -> None:
        self._invocation = invocation
        self._function_arn = function_arn
        self._taken = threading.Event()
        self._answered = threading.Event()
        self._closed = threading.Event()
        self._answer: Answer | None = None
        api = self

        class Handler(BaseHTTPRequestHandler):
            # The runtime keeps its connection.
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path != f"{ROOT_PATH}/invocation/next":
                    self.send_error(404)
                elif api._taken.is_set():
                    api._closed.wait(INVOCATION_SECONDS)
                    self.close_connection = True
                else:
                    api._taken.set()
                    self._send(200, api._payload(), api._headers())

            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("content-length", 0)), MAX_ANSWER_BYTES))
                kind = api._kinds().get(self.path)
                if kind is None:
                    self.send_error(404)
                    return
                api._set_answer(kind, body)
                self._send(202, b'{"status":"OK"}', {})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Not a word: the test tells what matters."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """A killed process leaves its connections half open: that is what is tested."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(SERVER_POLL_SECONDS,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def wait(self, seconds: float) -> Answer | None:
        """The answer; None if there is none after that time, or none yet when `interrupt` was called."""
        self._answered.wait(seconds)
        return self._answer

    def interrupt(self) -> None:
        self._answered.set()

    def _payload(self) -> bytes:
        return json.dumps(self._invocation.payload).encode()

    def _headers(self) -> dict[str, str]:
        return {
            "Lambda-Runtime-Aws-Request-Id": self._invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + INVOCATION_SECONDS) * 1_000)),
            "Lambda-Runtime-Invoked-Function-Arn": self._function_arn,
        }

    def _kinds(self) -> dict[str, str]:
        invocation = f"{ROOT_PATH}/invocation/{self._invocation.request_id}"
        return {
            f"{invocation}/response": "response",
            f"{invocation}/error": "error",
            f"{ROOT_PATH}/init/error": "init error",
        }

    def _set_answer(self, kind: str, body: bytes) -> None:
        self._answer = Answer(kind, json.loads(body or b"null"))
        self._answered.set()


@dataclass(frozen=True)
class Moment:
    """When a process is killed: so long after its start, or at its n-th request if that is earlier."""

    seconds: float
    request: int | None = None
    delay_seconds: float = 0.0
    """From then on: the request, its effect, its answer and the next request may come before the kill."""


@dataclass(frozen=True)
class Exporter:
    """The deployed function's program, configuration and permissions, to be run by hand."""

    function_arn: str
    environment: dict[str, str] = field(repr=False)
    log: Path

    @classmethod
    def deployed(cls, stack: Stack, log: Path) -> Exporter:
        deployed = stack.client("lambda").get_function_configuration(FunctionName=stack.functions["exporter"])
        # The emulator lets the account's root into a role that trusts Lambda alone. On AWS nobody but Lambda gets it.
        role = stack.client("sts").assume_role(RoleArn=deployed["Role"], RoleSessionName="killed")["Credentials"]
        environment = deployed["Environment"]["Variables"] | {
            "PATH": os.environ["PATH"],
            "AWS_ACCESS_KEY_ID": role["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": role["SecretAccessKey"],
            "AWS_SESSION_TOKEN": role["SessionToken"],
            "AWS_ENDPOINT_URL": stack.endpoint,
            "AWS_REGION": stack.region,
            "AWS_DEFAULT_REGION": stack.region,
            "AWS_LAMBDA_FUNCTION_NAME": deployed["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployed["MemorySize"]),
            "AWS_LAMBDA_FUNCTION_VERSION": deployed["Version"],
            "AWS_LAMBDA_LOG_GROUP_NAME": deployed["LoggingConfig"]["LogGroup"],
            "AWS_LAMBDA_LOG_STREAM_NAME": "killed",
        }
        return cls(deployed["FunctionArn"], environment, log)

    def invoke(self, invocation: Invocation, moment: Moment) -> tuple[Answer | None, int]:
        """Starts a process for this invocation alone, and kills it (SIGKILL) at that moment, or once it has answered.
        Returns the answer, None if it was killed before, and how many requests it made of AWS."""

        def on_request(number: int) -> None:
            if number == moment.request:
                api.interrupt()

        with (
            RuntimeApi(invocation, self.function_arn) as api,
            Forwarder(self.environment["AWS_ENDPOINT_URL"], on_request) as forwarder,
            self.log.open("ab") as log,
        ):
            process = subprocess.Popen(
                [BINARY],
                env=self.environment | {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_ENDPOINT_URL": forwarder.endpoint},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                if api.wait(moment.seconds) is None:
                    time.sleep(moment.delay_seconds)
            finally:
                process.kill()
                process.wait()
            # What it said with its last breath counts.
            return api.wait(0), forwarder.requests
