"""The exporter as a process outside of the emulator, so that a test can kill it at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.runtime_api import Invocation, Outcome, RuntimeApi
from infra.local.settings import ROOT
from infra.local.stack import Stack
from tests.e2e.forwarder import Forwarder

BUILT = ROOT / ".aws-sam" / "build"
# The timeout of the deployed function: a slice of a run ends three minutes earlier.
INVOCATION_SECONDS = 360


@dataclass(frozen=True)
class Moment:
    """The moment at which a process is killed: a time after its start, or its n-th request if that is earlier."""

    seconds: float
    request: int | None = None
    delay_seconds: float = 0.0
    """The time from then to the kill, in which the request, its effect, its response and the next request may happen."""
    is_exact: bool = False
    """The request is not forwarded: the process gets no further, however late the kill is."""


@dataclass(frozen=True)
class Exporter:
    """The deployed function's program, configuration and permissions, to be run outside of the emulator."""

    function_arn: str
    environment: dict[str, str] = field(repr=False)
    log: Path
    binary: Path = BUILT / "ExporterFunction" / "bootstrap"

    @classmethod
    def deployed(cls, stack: Stack, log: Path, function: str = "exporter", **changes: str) -> Exporter:
        """Returns the program of a function, with changes to its variables."""
        deployed = stack.client("lambda").get_function_configuration(FunctionName=stack.functions[function])
        # The emulator lets the account's root assume a role that trusts only Lambda. AWS does not.
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
        binary = BUILT / f"{function.capitalize()}Function" / "bootstrap"
        return cls(deployed["FunctionArn"], environment | changes, log, binary)

    def invocation(self, payload: dict[str, Any]) -> Invocation:
        """Returns an invocation with a new request id."""
        return Invocation(str(uuid.uuid4()), json.dumps(payload).encode(), self.function_arn, INVOCATION_SECONDS)

    def invoke(self, invocation: Invocation, moment: Moment) -> tuple[Outcome | None, int]:
        """Starts a process for this invocation only, and kills it (SIGKILL) at that moment, or once it has responded.

        Returns the outcome, None if the process was killed before, and the number of its requests to AWS.
        """
        stop, killed = threading.Event(), threading.Event()

        def on_request(number: int) -> None:
            if number == moment.request:
                stop.set()
            if moment.is_exact and moment.request is not None and number >= moment.request:
                killed.wait()
                raise ConnectionAbortedError

        with (
            RuntimeApi() as api,
            Forwarder(self.environment["AWS_ENDPOINT_URL"], on_request) as forwarder,
            self.log.open("ab") as log,
        ):
            outcome = api.submit(invocation)
            outcome.add_done_callback(lambda _: stop.set())
            process = subprocess.Popen(
                [self.binary],
                env=self.environment | {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_ENDPOINT_URL": forwarder.endpoint},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                stop.wait(moment.seconds)
                if not outcome.done():
                    time.sleep(moment.delay_seconds)
            finally:
                process.kill()
                process.wait()
                killed.set()
            # An outcome that was posted just before the kill counts.
            return outcome.result() if outcome.done() else None, forwarder.requests
