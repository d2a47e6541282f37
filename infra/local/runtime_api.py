"""The Lambda Runtime API for one process of a function.

A function's program asks this API for its invocations and posts its responses to it:
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.

Imports nothing but the standard library: LocalStack's Python loads this module as well (localstack/process_executor.py).
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any, Self

ADDRESS = "127.0.0.1"
ROOT_PATH = "/2018-06-01/runtime"
# Lambda's limit for the response of a synchronous invocation.
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
# The interval at which a server checks whether it has to stop. The default of half a second would slow every stop.
SERVER_POLL_SECONDS = 0.01


class OutcomeKind(StrEnum):
    RESPONSE = "response"
    ERROR = "error"
    INIT_ERROR = "init error"


@dataclass(frozen=True)
class Outcome:
    """The result of an invocation, as the program posted it."""

    kind: OutcomeKind
    body: bytes


@dataclass(frozen=True)
class Invocation:
    request_id: str
    payload: bytes
    function_arn: str
    timeout_seconds: float
    trace_id: str = ""


class StartFailed(Exception):
    """The program ended, or reported an error, before it asked for its first invocation."""

    def __init__(self, error: bytes) -> None:
        super().__init__(error.decode(errors="replace"))
        self.error = error
        """The error document."""


@dataclass
class _Current:
    """The invocation that the program works on, or will work on next."""

    request_id: str = ""
    deadline_milliseconds: int = 0
    outcome: Future[Outcome] = field(default_factory=Future)


class RuntimeApi:
    """Hands invocations, one at a time, to one process. A request for the next invocation waits until there is one."""

    def __init__(self) -> None:
        self.ready: Future[None] = Future()
        """Done when the program asks for its first invocation; raises StartFailed if it ended before."""
        self._invocations: SimpleQueue[Invocation | None] = SimpleQueue()
        self._current = _Current()
        self._server = _Server((ADDRESS, 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(SERVER_POLL_SECONDS,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"{ADDRESS}:{self._server.server_port}"

    def submit(self, invocation: Invocation) -> Future[Outcome]:
        """Makes the invocation the next one. The one before it must have an outcome."""
        deadline = int((time.time() + invocation.timeout_seconds) * 1000)
        self._current = _Current(invocation.request_id, deadline)
        self._invocations.put(invocation)
        return self._current.outcome

    def fail(self, error_type: str, message: str) -> None:
        """Ends the start or the current invocation, whichever waits, with an error of Lambda itself."""
        _settle(self._current.outcome, Outcome(OutcomeKind.ERROR, error(error_type, self._current.request_id, message)))
        self._fail_start(error(error_type, "", message))

    def close(self) -> None:
        self._invocations.put(None)
        self._server.shutdown()
        self._server.server_close()

    def _fail_start(self, document: bytes) -> None:
        with contextlib.suppress(InvalidStateError):
            self.ready.set_exception(StartFailed(document))

    def _next(self) -> tuple[bytes, dict[str, str]] | None:
        """Waits for the next invocation; returns its payload and headers, None if the API was closed."""
        _settle(self.ready, None)
        invocation = self._invocations.get()
        if invocation is None:
            return None
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(self._current.deadline_milliseconds),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        return invocation.payload, {name: value for name, value in headers.items() if value}

    def _post(self, path: str, body: bytes) -> bool:
        """Takes what the program posted; returns whether there is such a path."""
        current = self._current
        if path == f"{ROOT_PATH}/init/error":
            self._fail_start(body)
            _settle(current.outcome, Outcome(OutcomeKind.INIT_ERROR, body))
        elif path == f"{ROOT_PATH}/invocation/{current.request_id}/response":
            _settle(current.outcome, Outcome(OutcomeKind.RESPONSE, body))
        elif path == f"{ROOT_PATH}/invocation/{current.request_id}/error":
            _settle(current.outcome, Outcome(OutcomeKind.ERROR, body))
        else:
            return False
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            # The program keeps its connection.
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path != f"{ROOT_PATH}/invocation/next":
                    self._send(404)
                elif (found := api._next()) is None:
                    self.close_connection = True
                else:
                    self._send(200, *found)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if length > MAX_RESPONSE_BYTES:
                    self.rfile.read(MAX_RESPONSE_BYTES)
                    self.close_connection = True
                    api.fail(
                        "Function.ResponseSizeTooLarge",
                        f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes).",
                    )
                    self._send(413)
                elif api._post(self.path, self.rfile.read(length)):
                    self._send(202, b'{"status":"OK"}')
                else:
                    self._send(404)

            def _send(self, status: int, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Writes nothing: the function has its own log."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Ignores connections that a killed process left half open."""


def error(error_type: str, request_id: str, message: str) -> bytes:
    """Returns an error document in the form of Lambda's own errors."""
    prefix = f"RequestId: {request_id} Error: " if request_id else "Error: "
    return json.dumps({"errorType": error_type, "errorMessage": prefix + message}).encode()


def _settle(future: Future[Any], value: Any) -> None:
    """Sets the result of a future that has none yet."""
    with contextlib.suppress(InvalidStateError):
        future.set_result(value)
