"""Runs Lambda functions of LocalStack as processes of this machine, where LocalStack itself needs a Docker engine.

LocalStack finds it by the entry point in the *.dist-info folder beside this file, if this folder is on PYTHONPATH and
LAMBDA_RUNTIME_EXECUTOR=process is set. Each execution environment is one process of the function's `bootstrap` with its own
Runtime API.

Not simulated: Lambda's limits on memory, processors and the file system, and the freezing of a process between invocations.
"""

from __future__ import annotations

import logging
import os
import subprocess
import tempfile
import threading
from typing import Any

from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from infra.local.runtime_api import Invocation, Outcome, OutcomeKind, RuntimeApi, StartFailed, error

LOG = logging.getLogger(__name__)

# The limit of the output that is kept of one invocation.
MAX_LOG_BYTES = 1024 * 1024


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *_: Any, **__: Any) -> type[RuntimeExecutor]:
        return ProcessExecutor


class Runtime:
    """One process of a function, with the Runtime API that it asks for its invocations."""

    def __init__(self, directory: str, environment: dict[str, str], log: Any) -> None:
        self.api = RuntimeApi()
        # In the emulator's process group: it ends with it.
        self._process = subprocess.Popen(
            [f"{directory}/bootstrap"],
            cwd=directory,
            env=environment | {"AWS_LAMBDA_RUNTIME_API": self.api.address},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises the error that LocalStack reports as a failed start."""
        try:
            self.api.ready.result()
        except StartFailed as failure:
            raise StatusErrorException("The function did not start", payload=failure.error) from None

    def invoke(self, invocation: Invocation) -> Outcome:
        """Raises TimeoutError, after which the process has to be ended."""
        outcome = self.api.submit(invocation)
        if not self.is_running:
            self._watch()
        return outcome.result(invocation.timeout_seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self.api.close()

    def _watch(self) -> None:
        """Fails the start or the invocation that waits for the process when the process ends."""
        status = self._process.wait()
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        when = "before it was ready" if not self.api.ready.done() else "with error"
        self.api.fail("Runtime.ExitError", f"Runtime exited {when}: {how}")


class ProcessExecutor(RuntimeExecutor):
    """One execution environment. LocalStack makes another one for an invocation that arrives while this one is busy."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 (the base class has it)
        super().__init__(id, function_version)
        self._environment: dict[str, str] = {}
        # Only the process moves the position: logs are read at an offset.
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (lives as long as the environment)
        self._logged = 0
        self._runtime: Runtime | None = None
        self._busy = threading.Lock()

    def start(self, env_vars: dict[str, str]) -> None:
        directory = str(self.function_version.config.code.get_unzipped_code_location())
        variables = {name: str(value) for name, value in env_vars.items()}
        self._environment = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | variables | {"LAMBDA_TASK_ROOT": directory}
        self._runtime = Runtime(directory, self._environment, self._log)
        self._runtime.wait_until_ready()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        with self._busy:
            return self._invoke(payload)

    def _invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id = payload["invoke-id"]
        if self._runtime is None or not self._runtime.is_running:
            # It crashed or timed out. As on Lambda, the next invocation initializes it again.
            self._end()
            self.start(self._environment)
        seconds = self.function_version.config.timeout
        invocation = Invocation(
            request_id, payload["payload"].encode(), payload["invoked-function-arn"], seconds, payload["trace-id"]
        )
        try:
            outcome = self._runtime.invoke(invocation)
        except TimeoutError:
            self._runtime.end()
            timed_out = error("Sandbox.Timedout", request_id, f"Task timed out after {seconds:.2f} seconds")
            outcome = Outcome(OutcomeKind.ERROR, timed_out)
        is_error = outcome.kind is not OutcomeKind.RESPONSE
        return InvocationResult(request_id, outcome.body, is_error, self._new_logs())

    def stop(self) -> None:
        """Ends the process after its invocation.

        LocalStack stops the environments of a function's version that was replaced. Lambda lets their invocations end.
        """
        if self._busy.acquire(timeout=self.function_version.config.timeout):
            self._busy.release()
        self._end()

    def _end(self) -> None:
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
        # LocalStack treats an empty text as a fault.
        return text or "\n"

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        # An address, not a name: SDKs put a bucket's name before a host name, but into the path after an address.
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Does nothing: LocalStack removes the unpacked code."""
