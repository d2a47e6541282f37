"""Invokes each function with the files of tests/events/, and checks what it answers and does: under `sam local invoke`
(sam_local.py) or `cargo lambda invoke` (lambda_local.py). The tables, queues and buckets are those of the running local stack.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack import MARKER, Administrator, CustomerAccount, Stack
from settings import CLI, LOCAL, REGION, ROOT, SERVICE_ACCOUNT, TOKEN_DIRECTORY

FILES = ROOT / "tests" / "events"
BUILT = ROOT / ".aws-sam" / "build"
# The tokens in the files are signed for these, and valid until 2099.
RECORDED_TOKENS = {
    "TOKEN_ISSUER": "https://issuer.example",
    "TOKEN_AUDIENCE": "audit-export",
    "TOKEN_DEVELOPMENT_JWKS": json.dumps(json.loads((FILES / "jwks.json").read_text()), separators=(",", ":")),
}
TENANT = "acme"
CUSTOMER_ACCOUNT = "333333333333"
# What stands in the files for what is known only when they are used.
CONFIGURATION_ID = "00000000-0000-4000-8000-000000000000"
THROUGH = "2026-11-22T10:00:00.000Z"
# The local stack exports what was received 3 s before.
SETTLE_SECONDS = 4.5

Invoke = Callable[[str, Path], Any]
"""Function (a key of stack.json) and file of an event to what it answered."""


class WrongAnswer(SystemExit):
    """A function did something else than the file asks for."""


@dataclass(frozen=True)
class Scene:
    """A customer of the tenant that the files speak of."""

    stack: Stack
    administrator: Administrator
    account: CustomerAccount
    configuration_id: str

    @classmethod
    def create(cls) -> Scene:
        stack = Stack.load()
        command = [CLI, "token", "sign", "--directory", TOKEN_DIRECTORY, "--tenant", TENANT, "--permissions", "AUDIT"]
        token = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        administrator = Administrator(stack, token)
        account = CustomerAccount.create(stack, CUSTOMER_ACCOUNT, "us-east-1", path="audit")
        credentials = account.create_user(f"audit-export-{account.bucket}")
        configuration = administrator.create_access_key(
            interval="EVERY_2_HOURS",
            accessKeyId=credentials.access_key_id,
            secretAccessKey=credentials.secret_access_key,
            **account.destination,
        )
        return cls(stack, administrator, account, configuration["id"])

    def event(self, file: str) -> Path:
        """The file with this customer in it."""
        filled = LOCAL / "events" / file
        filled.parent.mkdir(parents=True, exist_ok=True)
        through = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - SETTLE_SECONDS))
        text = (FILES / file).read_text().replace(CONFIGURATION_ID, self.configuration_id).replace(THROUGH, through)
        filled.write_text(text)
        return filled


def environment(stack: Stack, function: str, endpoint: str) -> dict[str, str]:
    """Of the deployed function, for one that runs elsewhere and reaches the emulator at `endpoint`."""
    deployed = stack.client("lambda").get_function_configuration(FunctionName=stack.functions[function])
    return deployed["Environment"]["Variables"] | RECORDED_TOKENS | {"AWS_ENDPOINT_URL": endpoint}


def program(function: str) -> Path:
    """As it was built for the stack."""
    return BUILT / f"{function.capitalize()}Function" / "bootstrap"


def credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": SERVICE_ACCOUNT, "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": REGION}


def run(invoke: Invoke) -> None:
    """Raises WrongAnswer."""
    scene = Scene.create()
    try:
        for function, file, is_right in CASES:
            if function == "exporter":
                time.sleep(SETTLE_SECONDS)
            started = time.monotonic()
            answer = invoke(function, scene.event(file))
            try:
                right = is_right(answer, scene)
            except (KeyError, TypeError):
                right = False
            if not right:
                raise WrongAnswer(f"{function} answered {file} with {json.dumps(answer)}")
            print(f"{function:11} {file:32} as it should ({time.monotonic() - started:.1f} s)", flush=True)
    finally:
        scene.administrator.delete(scene.configuration_id)


# ----------------------------------------------------------------------------------------------------------------------
# The files, in order: what is exported has to come first
# ----------------------------------------------------------------------------------------------------------------------


def shows_the_configuration(answer: Any, scene: Scene) -> bool:
    found = json.loads(answer["body"])["data"]["getExportConfiguration"]
    return (answer["statusCode"], found["id"], found["endpointConfiguration"]["bucketName"]) == (
        200,
        scene.configuration_id,
        scene.account.bucket,
    )


def takes(count: int) -> Callable[[Any, Scene], bool]:
    return lambda answer, _: (answer["statusCode"], json.loads(answer["body"])) == (202, {"accepted": count})


def refuses_with(status: int) -> Callable[[Any, Scene], bool]:
    return lambda answer, _: answer["statusCode"] == status and "errors" in json.loads(answer["body"])


def puts_six_aside(answer: Any, _: Scene) -> bool:
    """Of the ten messages; which ones, the unit tests say."""
    return len(answer["batchItemFailures"]) == 6


def tells_success(answer: Any, scene: Scene) -> bool:
    # The stack's own schedule may have exported meanwhile: a container takes its time.
    written = [entry["Key"] for entry in scene.account.objects()]
    return answer["connectionStatus"] == "SUCCESS" and any(key.endswith(MARKER) for key in written)


def sends_runs(answer: Any, _: Scene) -> bool:
    return answer["interval"] == "EVERY_2_HOURS" and answer["dispatched"] >= 1


def exports(answer: Any, scene: Scene) -> bool:
    return not answer["batchItemFailures"] and len(scene.account.data_keys(scene.configuration_id)) >= 1


def counts_the_configuration(answer: Any, _: Scene) -> bool:
    return answer["isComplete"] and answer["report"]["configurations"] >= 1


CASES: list[tuple[str, str, Callable[[Any, Scene], bool]]] = [
    ("api", "http-graphql-query.json", shows_the_configuration),
    ("ingest", "http-plain-array.json", takes(3)),
    ("ingest", "http-without-permission.json", refuses_with(403)),
    ("ingest", "queue-batch.json", puts_six_aside),
    ("verifier", "verifier-request.json", tells_success),
    ("exporter", "schedule-dispatch.json", sends_runs),
    ("exporter", "queue-run.json", exports),
    ("housekeeper", "schedule-sweep.json", counts_the_configuration),
]
