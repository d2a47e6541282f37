"""The fixtures of the end-to-end tests, on a running local stack: that of `make up`, or the one that `make test` starts."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import requests

from infra.local import schedules
from infra.local.emulators.interface import Capability
from infra.local.settings import CLI, DEV_TOOLS, LOCAL, OPERATOR, TOKEN_DIRECTORY
from infra.local.stack import Administrator, Stack
from infra.local.verification import Verifier
from tests.e2e.harness import CustomerFactory, Record, Tenant, TokenFactory

# The records that parallel workers leave for the tests that check all of them.
RECORDS = LOCAL / "records"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Moves tests marked `last` to the end, and skips tests that require a capability that the emulator lacks."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    # The longest test starts first; the others run beside it.
    items.sort(key=lambda item: item.path.stem != "test_crashes")
    for item in items:
        for marker in item.iter_markers("requires"):
            for capability in map(Capability, marker.args):
                if reason := running().why_without(capability):
                    item.add_marker(pytest.mark.skip(reason=f"{capability}: {reason}"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "last: concerns the records, configurations or functions of all other tests, and so runs alone after them",
    )
    config.addinivalue_line(
        "markers", "requires(capability, …): needs an emulator with these capabilities (infra/local/emulators)"
    )


@cache
def running() -> Stack:
    return Stack.load()


@pytest.fixture(scope="session")
def record() -> Iterator[Record]:
    """The record of this process; without workers, it includes the records of all that ran before."""
    private_key = (TOKEN_DIRECTORY / "private-key.pem").read_text()
    # Each line on its own is a secret.
    record = Record(secrets={line for line in private_key.splitlines() if line and not line.startswith("-----")})
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        for path in sorted(RECORDS.glob("*.json")):
            record.add(path)
    yield record
    if worker is not None:
        record.write(RECORDS / f"{worker}.json")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack, on which only the tests start exports: its schedules stand still, except one."""
    with schedules.standing_still(running()) as stack:
        yield stack


@pytest.fixture(scope="session")
def http(record: Record) -> Iterator[requests.Session]:
    """A session that records every response."""
    with requests.Session() as session:
        session.hooks["response"].append(record.keep)
        yield session


@pytest.fixture(scope="session")
def command() -> Path:
    """The command line that `make up` built."""
    return CLI


@pytest.fixture(scope="module")
def verifier(stack: Stack, command: Path, tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    """The command line with the stack's public key, which a module's tests share: no test replaces the key."""
    return Verifier.create(stack, command, tmp_path_factory.mktemp("signing-key"))


@pytest.fixture(scope="session")
def operator_command() -> Path:
    """The operators' command line that `make up` built."""
    return OPERATOR


@pytest.fixture(scope="session")
def dev_tools() -> Path:
    """The development aids, as `make up` built them."""
    return DEV_TOOLS


@pytest.fixture(scope="session")
def token(record: Record) -> TokenFactory:
    key_set = json.loads((TOKEN_DIRECTORY / "jwks.json").read_text())
    private_key = (TOKEN_DIRECTORY / "private-key.pem").read_text()
    return TokenFactory(record, private_key, key_set["keys"][0]["kid"])


@pytest.fixture(scope="session")
def make_tenant(stack: Stack, http: requests.Session, token: TokenFactory) -> Callable[..., Tenant]:
    def make(name: str | None = None) -> Tenant:
        name = name or f"tenant-{uuid.uuid4().hex[:12]}"
        administrator = Administrator(stack, token(name, "AUDIT"), http)
        return Tenant(stack, http, name, token(name, "AUDIT_WRITE"), administrator)

    return make


@pytest.fixture
def tenant(make_tenant: Callable[..., Tenant]) -> Tenant:
    return make_tenant()


@pytest.fixture(scope="session")
def customers(stack: Stack, record: Record, make_tenant: Callable[..., Tenant]) -> CustomerFactory:
    return CustomerFactory(stack, record, make_tenant)


@pytest.fixture(scope="session")
def invoke(stack: Stack, record: Record) -> Callable[[str, Any], dict[str, Any]]:
    """Invokes a function directly; fails if the function fails."""

    def invoke(function: str, payload: Any) -> dict[str, Any]:
        answer = stack.client("lambda").invoke(
            FunctionName=stack.functions[function], Payload=json.dumps(payload).encode()
        )
        text = answer["Payload"].read().decode()
        record.answers.append(text)
        assert "FunctionError" not in answer, text
        return json.loads(text)

    return invoke
