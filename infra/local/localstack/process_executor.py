"""Runs Lambda functions of LocalStack as processes of this machine, where LocalStack itself would want a Docker engine.

LocalStack finds it by the entry point in the *.dist-info folder beside this file, if this folder is on PYTHONPATH and
LAMBDA_RUNTIME_EXECUTOR=process is set. Each execution environment is one process of the function's `bootstrap`, which
speaks with a Runtime API of its own: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.

What Lambda does and this doesn't: limit memory, processors and the file system, freeze a process between invocations.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import tempfile
import threading
import time
from concurrent.futures import Future, InvalidStateError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from typing import Any

from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

LOG = logging.getLogger(__name__)

PATHS = "/2018-06-01/runtime"
# Lambda's own bound of a synchronous answer.
MAX_ANSWER_BYTES = 6 * 1024 * 1024 + 100
# Of what a function writes during one invocation; what is beyond is left out of its logs.
MAX_LOG_BYTES = 1024 * 1024
# Between two looks at whether a server has to end: the default of half a second would slow every stop.
SERVER_POLL_SECONDS = 0.02


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *_: Any, **__: Any) -> type[RuntimeExecutor]:
        return ProcessExecutor


class Runtime:
    """One process of a function, with the Runtime API that it asks for its invocations."""

    def __init__(self, directory: str, environment: dict[str, str], log: Any) -> None:
        self.ready: Future[None] = Future()
        """Done when the process asks for its first invocation; fails with the error that kept it from doing so."""
        self._invocations: SimpleQueue[dict[str, str] | None] = SimpleQueue()
        self._current: tuple[str, Future[tuple[bytes, bool]]] = ("", Future())
        self._deadline_milliseconds = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.block_on_close = False
        # Of the emulator's process group: it ends with it.
        self._process = subprocess.Popen(
            [f"{directory}/bootstrap"],
            cwd=directory,
            env=environment | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        threading.Thread(target=self._server.serve_forever, args=(SERVER_POLL_SECONDS,), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def invoke(self, request_id: str, payload: dict[str, str], timeout_seconds: int) -> tuple[bytes, bool]:
        """Answer, and whether it is an error. Raises TimeoutError; the process has to be ended then."""
        self._current = (request_id, Future())
        self._deadline_milliseconds = int((time.time() + timeout_seconds) * 1000)
        self._invocations.put(payload)
        if not self.is_running:
            self._watch()
        return self._current[1].result(timeout_seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._invocations.put(None)
        self._server.shutdown()
        self._server.server_close()

    def _watch(self) -> None:
        """Whoever waits for the process when it ends is told how it did."""
        status = self._process.wait()
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        request_id, answer = self._current
        _settle(answer, (error("Runtime.ExitError", request_id, f"Runtime exited with error: {how}"), True))
        _fail(self.ready, error("Runtime.ExitError", "", f"Runtime exited before it was ready: {how}"))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        runtime = self

        class Handler(BaseHTTPRequestHandler):
            # The runtime keeps its connections.
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path != f"{PATHS}/invocation/next":
                    return self.send_error(404)
                _settle(runtime.ready, None)
                payload = runtime._invocations.get()
                if payload is None:
                    self.close_connection = True
                    return None
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": payload["invoke-id"],
                    "Lambda-Runtime-Deadline-Ms": str(runtime._deadline_milliseconds),
                    "Lambda-Runtime-Invoked-Function-Arn": payload["invoked-function-arn"],
                    "Lambda-Runtime-Trace-Id": payload["trace-id"],
                }
                return self._send(200, payload["payload"].encode(), headers)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(min(length, MAX_ANSWER_BYTES))
                request_id, answer = runtime._current
                if length > MAX_ANSWER_BYTES:
                    self.close_connection = True
                    message = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."
                    _settle(answer, (error("Function.ResponseSizeTooLarge", request_id, message), True))
                    return self._send(413, b"{}", {})
                if self.path == f"{PATHS}/init/error":
                    _fail(runtime.ready, body)
                elif self.path == f"{PATHS}/invocation/{request_id}/response":
                    _settle(answer, (body, False))
                elif self.path == f"{PATHS}/invocation/{request_id}/error":
                    _settle(answer, (body, True))
                else:
                    return self._send(404, b"{}", {})
                return self._send(202, b'{"status":"OK"}', {})

            def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """The function's own log tells what matters."""

        return Handler


class ProcessExecutor(RuntimeExecutor):
    """One execution environment. LocalStack makes another for each invocation that comes while this one works."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:
        super().__init__(id, function_version)
        self._environment: dict[str, str] = {}
        # Written by the process alone: reading at an offset leaves its position be.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (kept as long as the environment)
        self._logged = 0
        self._runtime: Runtime | None = None

    def start(self, env_vars: dict[str, str]) -> None:
        directory = str(self.function_version.config.code.get_unzipped_code_location())
        variables = {name: str(value) for name, value in env_vars.items()}
        self._environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | variables | {"LAMBDA_TASK_ROOT": directory}
        self._runtime = Runtime(directory, self._environment, self._log)
        self._runtime.ready.result()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id = payload["invoke-id"]
        if not self._runtime.is_running:
            # It crashed, or ran out of time: as on Lambda, the next invocation initializes it anew.
            self.stop()
            self.start(self._environment)
        seconds = self.function_version.config.timeout
        try:
            answer, failed = self._runtime.invoke(request_id, payload, seconds)
        except TimeoutError:
            self._runtime.end()
            answer, failed = error("Sandbox.Timedout", request_id, f"Task timed out after {seconds:.2f} seconds"), True
        return InvocationResult(request_id, answer, failed, self._new_logs())

    def stop(self) -> None:
        if self._runtime is not None:
            self._runtime.end()

    def get_logs(self) -> str:
        return os.pread(self._log.fileno(), MAX_LOG_BYTES, 0).decode(errors="replace")

    def _new_logs(self) -> str:
        end = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), min(end - self._logged, MAX_LOG_BYTES), self._logged).decode(
            errors="replace"
        )
        self._logged = end
        if text:
            LOG.info("%s wrote:\n%s", self.function_version.id.function_name, text.rstrip())
        # LocalStack takes an empty text for a fault.
        return text or "\n"

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        # An address, not a name: SDKs put a bucket's name before a host name, and into the path after an address.
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """The unpacked code is LocalStack's, which removes it."""


def error(kind: str, request_id: str, message: str) -> bytes:
    """An error as Lambda words its own."""
    prefix = f"RequestId: {request_id} Error: " if request_id else "Error: "
    return json.dumps({"errorType": kind, "errorMessage": prefix + message}).encode()


def _settle(future: Future[Any], value: Any) -> None:
    """The first outcome counts."""
    with contextlib.suppress(InvalidStateError):
        future.set_result(value)


def _fail(future: Future[Any], payload: bytes) -> None:
    with contextlib.suppress(InvalidStateError):
        future.set_exception(StatusErrorException("The function did not start", payload=payload))
