"""No secret of any test is in a log or a response."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.e2e.harness import Record, lines_of_log_group

# Shorter texts are no secrets, and could occur anywhere.
SHORTEST_SECRET = 16


def read_logs(stack: Stack) -> dict[str, str]:
    """Returns the emulator's log, which has the functions' standard output, and the content of every log group."""
    logs = {"emulator": Path(stack.description["logs"]).read_text(errors="replace")}
    client = stack.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            logs[name] = "\n".join(lines_of_log_group(stack, name))
    return logs


@pytest.mark.last
def test_no_secret_is_in_a_log_or_a_response(stack: Stack, record: Record) -> None:
    secrets = sorted(secret for secret in record.secrets if len(secret) >= SHORTEST_SECRET)
    places = read_logs(stack) | {"an answer": "\n".join(record.answers)}
    assert len(secrets) >= 1
    found = [
        (name, f"secret number {number}")
        for number, secret in enumerate(secrets)
        for name, text in places.items()
        if secret in text
    ]
    assert found == []


@pytest.mark.last
def test_the_functions_write_to_the_logs_that_were_searched(stack: Stack, record: Record) -> None:
    """Checks that the logs contain other values of the tests: the search above would find a secret."""
    if not record.answers:
        pytest.skip("no other test ran")
    text = "\n".join(read_logs(stack).values())
    for word in ("a request was refused", "answered"):
        assert word in text
