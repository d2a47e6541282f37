"""The executor with real processes.

Runs in LocalStack's environment: PYTHONPATH=infra/local/localstack .tools/localstack/bin/python -m pytest infra/local/localstack
"""

from __future__ import annotations

import json
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import HotReloadingCode, InvocationResult
from localstack.services.lambda_.invocation.runtime_executor import EXECUTOR_PLUGIN_MANAGER
from process_executor import ProcessExecutor

from infra.local.runtime_api import MAX_RESPONSE_BYTES

# The timeout of the function: long for a slow machine, except where it is what a test waits for.
TIMEOUT_SECONDS = 60
SHORT_TIMEOUT_SECONDS = 5
# The time that each of several functions sleeps, which would add up if they did not work side by side.
SLEEP_SECONDS = 3

# A minimal runtime, which does what its payload asks for.
FUNCTION = """\
    #!{python}
    import json, os, sys, time, urllib.error, urllib.request
    base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime"
    def post(path, body):
        try:
            urllib.request.urlopen(urllib.request.Request(base + path, data=json.dumps(body).encode()))
        except urllib.error.HTTPError:
            pass
    if os.environ.get("INIT") == "error":
        post("/init/error", {{"errorType": "Init", "errorMessage": "no table"}})
        sys.exit(1)
    if os.environ.get("INIT") == "crash":
        sys.exit(3)
    while True:
        with urllib.request.urlopen(base + "/invocation/next") as answer:
            request, event = answer.headers, json.load(answer)
        request_id = request["Lambda-Runtime-Aws-Request-Id"]
        print("working on", request_id, flush=True)
        if event["do"] == "crash":
            os._exit(7)
        if event["do"] == "kill":
            os.kill(os.getpid(), 9)
        if event["do"] == "fail":
            post(f"/invocation/{{request_id}}/error", {{"errorType": "Wrong", "errorMessage": "on request"}})
            continue
        time.sleep(event.get("seconds", 0))
        left = int(request["Lambda-Runtime-Deadline-Ms"]) / 1000 - time.time()
        post(f"/invocation/{{request_id}}/response", {{
            "pid": os.getpid(), "left": left, "arn": request["Lambda-Runtime-Invoked-Function-Arn"],
            "trace": request["Lambda-Runtime-Trace-Id"], "text": "x" * event.get("bytes", 0), "said": event.get("say"),
            "memory": os.environ["MEMORY"], "home": "HOME" in os.environ,
        }})
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., ProcessExecutor]]:
    program = tmp_path / "bootstrap"
    program.write_text(textwrap.dedent(FUNCTION).format(python=sys.executable))
    program.chmod(0o755)
    code = HotReloadingCode(host_path=str(tmp_path))
    started: list[ProcessExecutor] = []

    def start(timeout: int = TIMEOUT_SECONDS, **environment: object) -> ProcessExecutor:
        config = SimpleNamespace(code=code, timeout=timeout)
        version = SimpleNamespace(id=SimpleNamespace(function_name="tested"), config=config)
        executor = ProcessExecutor(uuid.uuid4().hex, version)
        started.append(executor)
        executor.start({"MEMORY": 512} | environment)
        return executor

    yield start
    for executor in started:
        executor.stop()


def invoke(executor: ProcessExecutor, do: str = "answer", **event: object) -> tuple[InvocationResult, dict]:
    result = executor.invoke(
        {
            "invoke-id": str(uuid.uuid4()),
            "payload": json.dumps({"do": do} | event),
            "invoked-function-arn": "arn:of:the:function",
            "trace-id": "Root=1",
        }
    )
    return result, json.loads(result.payload)


def test_localstack_finds_the_plugin() -> None:
    assert EXECUTOR_PLUGIN_MANAGER.load("process").load() is ProcessExecutor


def test_an_invocation_gets_its_answer_and_its_logs(start: Callable[..., ProcessExecutor]) -> None:
    executor = start()
    first, answer = invoke(executor, say="Zoë")
    assert not first.is_error
    assert answer["said"] == "Zoë"
    assert (answer["arn"], answer["trace"], answer["memory"]) == ("arn:of:the:function", "Root=1", "512")
    assert 0 < answer["left"] <= TIMEOUT_SECONDS
    assert not answer["home"], "the function sees the emulator's own environment"
    second, again = invoke(executor)
    assert again["pid"] == answer["pid"], "a warm process was not used again"
    assert [result.logs for result in (first, second)] == [
        f"working on {result.request_id}\n" for result in (first, second)
    ]
    assert executor.get_logs() == first.logs + second.logs


def test_a_functions_error_is_returned_and_leaves_it_warm(start: Callable[..., ProcessExecutor]) -> None:
    executor = start()
    _, before = invoke(executor)
    failed, error = invoke(executor, "fail")
    assert failed.is_error
    assert error == {"errorType": "Wrong", "errorMessage": "on request"}
    assert invoke(executor)[1]["pid"] == before["pid"]


@pytest.mark.parametrize(("do", "how"), [("crash", "exit status 7"), ("kill", "signal 9")])
def test_a_crash_is_reported_and_the_next_invocation_starts_again(
    start: Callable[..., ProcessExecutor], do: str, how: str
) -> None:
    executor = start()
    _, before = invoke(executor)
    crashed, error = invoke(executor, do)
    assert crashed.is_error
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"] == f"RequestId: {crashed.request_id} Error: Runtime exited with error: {how}"
    after, answer = invoke(executor)
    assert not after.is_error
    assert answer["pid"] != before["pid"]


def test_a_time_out_ends_the_process(start: Callable[..., ProcessExecutor]) -> None:
    executor = start(SHORT_TIMEOUT_SECONDS)
    _, before = invoke(executor)
    began = time.monotonic()
    late, error = invoke(executor, seconds=TIMEOUT_SECONDS)
    assert time.monotonic() - began < TIMEOUT_SECONDS
    assert late.is_error
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith(f"Task timed out after {SHORT_TIMEOUT_SECONDS:.2f} seconds")
    assert late.logs == f"working on {late.request_id}\n"
    assert not Path(f"/proc/{before['pid']}").exists()
    assert invoke(executor)[1]["pid"] != before["pid"]


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [("error", "Init", "no table"), ("crash", "Runtime.ExitError", "exit status 3")],
)
def test_a_failed_start_is_reported(start: Callable[..., ProcessExecutor], how: str, kind: str, message: str) -> None:
    with pytest.raises(StatusErrorException) as raised:
        start(INIT=how)
    error = json.loads(raised.value.payload)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]


def test_an_answer_larger_than_lambdas_is_refused(start: Callable[..., ProcessExecutor]) -> None:
    executor = start()
    large, error = invoke(executor, bytes=MAX_RESPONSE_BYTES)
    assert large.is_error
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert not invoke(executor)[0].is_error


def test_environments_work_side_by_side(start: Callable[..., ProcessExecutor]) -> None:
    executors = [start() for _ in range(8)]
    with ThreadPoolExecutor(len(executors)) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda executor: invoke(executor, seconds=SLEEP_SECONDS)[1], executors))
    assert time.monotonic() - began < SLEEP_SECONDS * len(executors)
    assert len({answer["pid"] for answer in answers}) == len(executors)


def test_a_stopped_environment_leaves_no_process(start: Callable[..., ProcessExecutor]) -> None:
    executor = start()
    _, answer = invoke(executor)
    executor.stop()
    executor.stop()
    assert not Path(f"/proc/{answer['pid']}").exists()


def test_an_environment_that_is_stopped_ends_its_invocation_first(start: Callable[..., ProcessExecutor]) -> None:
    """So that an update of a function, as tests make it, leaves the invocations of others alone."""
    executor = start()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(invoke, executor, seconds=SLEEP_SECONDS)
        while "working on" not in executor.get_logs():
            time.sleep(0.01)
        executor.stop()
        result, answer = working.result()
    assert not result.is_error, answer
    assert not Path(f"/proc/{answer['pid']}").exists()
