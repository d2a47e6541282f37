"""Invokes each function with the event files in tests/events/, and checks its response and its effects.

sam_local.py does so with `sam local invoke`, lambda_local.py with `cargo lambda invoke`. The tables, queues and buckets are
those of the running local stack.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.settings import LOCAL, REGION, ROOT, SERVICE_ACCOUNT
from infra.local.stack import MARKER, Administrator, CustomerAccount, Stack, sign_token

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
# Placeholders in the files for values that are known only at run time.
CONFIGURATION_ID = "00000000-0000-4000-8000-000000000000"
THROUGH = "2026-11-22T10:00:00.000Z"
# The local stack exports events 3 s after they were received.
SETTLE_SECONDS = 4.5

Invoke = Callable[[str, Path], Any]
"""Takes a function (a key of stack.json) and an event file; returns the response."""


class WrongResponse(SystemExit):
    """A function's response or effect was not the expected one."""


@dataclass(frozen=True)
class Scene:
    """A customer of the tenant in the files."""

    stack: Stack
    administrator: Administrator
    account: CustomerAccount
    configuration_id: str

    @classmethod
    def create(cls) -> Scene:
        stack = Stack.load()
        administrator = Administrator(stack, sign_token(TENANT))
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
        """Returns the file with this customer's values in place of the placeholders."""
        filled = LOCAL / "events" / file
        filled.parent.mkdir(parents=True, exist_ok=True)
        through = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - SETTLE_SECONDS))
        text = (FILES / file).read_text().replace(CONFIGURATION_ID, self.configuration_id).replace(THROUGH, through)
        filled.write_text(text)
        return filled


def environment(stack: Stack, function: str, endpoint: str) -> dict[str, str]:
    """Returns the deployed function's environment for a process that reaches the emulator at `endpoint`."""
    deployed = stack.client("lambda").get_function_configuration(FunctionName=stack.functions[function])
    own = {
        "AWS_ENDPOINT_URL": endpoint,
        # A container has no files of this machine.
        "DEVELOPMENT_CA_FILE": "",
        # The queue of the recorded messages: ingest refuses a batch of a queue that it doesn't know.
        "EVENTS_QUEUE_URL": f"{endpoint}/{SERVICE_ACCOUNT}/audit-events",
    }
    return deployed["Environment"]["Variables"] | RECORDED_TOKENS | own


def program(function: str) -> Path:
    """Returns the program that was built for the stack."""
    return BUILT / f"{function.capitalize()}Function" / "bootstrap"


def credentials() -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": SERVICE_ACCOUNT, "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": REGION}


def run(invoke: Invoke) -> None:
    """Raises WrongResponse for the first case that fails."""
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
                raise WrongResponse(f"{function} responded to {file} with {json.dumps(answer)}")
            print(f"{function:11} {file:32} passed ({time.monotonic() - started:.1f} s)", flush=True)
    finally:
        scene.administrator.delete(scene.configuration_id)


# ----------------------------------------------------------------------------------------------------------------------
# The cases, in order: events are ingested before they are exported
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


def returns_six_messages(answer: Any, _: Scene) -> bool:
    """Checks that six of the ten messages failed. The unit tests check which ones."""
    return len(answer["batchItemFailures"]) == 6


def reports_success(answer: Any, scene: Scene) -> bool:
    # The stack's schedule may have exported meanwhile: starting a container takes seconds.
    written = [entry["Key"] for entry in scene.account.objects()]
    return answer["connectionStatus"] == "SUCCESS" and any(key.endswith(MARKER) for key in written)


def sends_runs(answer: Any, _: Scene) -> bool:
    return answer["interval"] == "EVERY_2_HOURS" and answer["dispatched"] >= 1


def exports(answer: Any, scene: Scene) -> bool:
    return not answer["batchItemFailures"] and len(scene.account.data_keys(scene.configuration_id)) >= 1


def tests_no_webhook(answer: Any, _: Scene) -> bool:
    return answer == []


def counts_the_configuration(answer: Any, _: Scene) -> bool:
    return answer["isComplete"] and answer["report"]["configurations"] >= 1


def serves_the_page(answer: Any, _: Scene) -> bool:
    headers = {name.lower(): value for name, value in answer["multiValueHeaders"].items()}
    return answer["statusCode"] == 200 and headers["content-type"] == ["text/html; charset=utf-8"]


def has_looked_at_tenants(answer: Any, _: Scene) -> bool:
    return answer["tenants"] >= 1 and answer["failed"] == 0


CASES: list[tuple[str, str, Callable[[Any, Scene], bool]]] = [
    ("api", "http-graphql-query.json", shows_the_configuration),
    ("ingest", "http-plain-array.json", takes(3)),
    ("ingest", "http-without-permission.json", refuses_with(403)),
    ("ingest", "queue-batch.json", returns_six_messages),
    ("verifier", "verifier-request.json", reports_success),
    ("exporter", "schedule-dispatch.json", sends_runs),
    ("exporter", "queue-run.json", exports),
    ("housekeeper", "schedule-sweep.json", counts_the_configuration),
    ("archiver", "schedule-archive.json", has_looked_at_tenants),
    ("notifier", "notifier-test.json", tests_no_webhook),
    ("page", "http-page.json", serves_the_page),
]
