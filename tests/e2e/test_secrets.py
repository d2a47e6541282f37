"""No secret that any test used is in a log or an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.e2e.harness import Record

# Shorter ones are none, and could be found anywhere.
SHORTEST_SECRET = 16


def read_logs(stack: Stack) -> dict[str, str]:
    """The emulator's own log, which has the functions' standard output, and every log group."""
    logs = {"emulator": Path(stack.description["logs"]).read_text(errors="replace")}
    client = stack.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=name)
            logs[name] = "\n".join(event["message"] for part in pages for event in part["events"])
    return logs


@pytest.mark.last
def test_no_secret_is_in_a_log_or_an_answer(stack: Stack, record: Record) -> None:
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
    """Or the search above would prove nothing."""
    if not record.answers:
        pytest.skip("no other test ran")
    text = "\n".join(read_logs(stack).values())
    for word in ("a request was refused", "answered"):
        assert word in text
