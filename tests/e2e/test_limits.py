"""The limits of a tenant per minute, and the refusal of outdated command lines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests

from infra.local.stack import REQUEST_TIMEOUT_SECONDS, GraphQlFailed
from tests.e2e.harness import MINUTE_SECONDS, Customer, CustomerFactory, Tenant, make_events, to_lines

# The limits in shared/domain/src/allowance.rs.
TESTS_PER_PERIOD = 10
TESTS_PERIOD_SECONDS = 20
RUNS_PER_MINUTE = 10
COUNTS_PER_MINUTE = 6
MORE = 5
CONCURRENCY = 8
# The counts start again with each period: the requests are sent early in one, and again if they did not fit into it.
EARLY_SHARE = 1 / 6
ATTEMPTS = 3

Value = TypeVar("Value")


def within_a_period(seconds: float, attempt: Callable[[], Value]) -> Value:
    """Returns the result of an attempt that began and ended in the same period. Each attempt must be of another tenant."""
    for _ in range(ATTEMPTS):
        if time.time() % seconds > EARLY_SHARE * seconds:
            time.sleep(seconds - time.time() % seconds)
        began = time.time() // seconds
        result = attempt()
        if time.time() // seconds == began:
            return result
    raise AssertionError(f"the requests take longer than {seconds} s")


def test_connections_are_tested_so_often_in_a_period_and_no_more(customers: CustomerFactory) -> None:
    # Creating the configuration makes the first test.
    outcomes = within_a_period(TESTS_PERIOD_SECONDS, lambda: try_often(customers.with_access_key()))
    assert outcomes == {"SUCCESS": TESTS_PER_PERIOD - 1, "TOO_MANY_TESTS": MORE + 1}

    # Another tenant is not limited.
    assert customers.with_access_key().configuration["connectionStatus"] == "SUCCESS"


def try_often(customer: Customer) -> Counter[str]:
    """Concurrent requests are limited as well."""

    def outcome(_: int) -> str:
        try:
            return customer.tenant.administrator.test(customer.id)["connectionStatus"]
        except GraphQlFailed as failure:
            (error,) = failure.errors
            assert 1 <= error["extensions"]["retryAfterSeconds"] <= TESTS_PERIOD_SECONDS
            return error["extensions"]["code"]

    with ThreadPoolExecutor(CONCURRENCY) as threads:
        return Counter(threads.map(outcome, range(TESTS_PER_PERIOD + MORE)))


def test_runs_are_requested_so_often_in_a_minute_and_no_more(customers: CustomerFactory) -> None:
    def attempt() -> tuple[Customer, dict[str, Any], dict[str, Any] | None]:
        customer = customers.with_role(create_role=False)
        administrator = customer.tenant.administrator
        aliases = " ".join(
            f'run{number}: runExportConfiguration(id: "{customer.id}") {{ id }}' for number in range(RUNS_PER_MINUTE)
        )
        answer = administrator.execute(f"mutation {{ {aliases} }}")
        try:
            administrator.run(customer.id)
        except GraphQlFailed as failure:
            (refused,) = failure.errors
            return customer, answer, refused
        return customer, answer, None

    customer, answer, refused = within_a_period(MINUTE_SECONDS, attempt)
    assert {run["id"] for run in answer.values()} == {customer.id}
    assert refused is not None
    assert refused["extensions"]["code"] == "TOO_MANY_RUNS"
    assert 1 <= refused["extensions"]["retryAfterSeconds"] <= 60
    # Another tenant is not limited.
    other = customers.with_role(create_role=False)
    assert other.tenant.administrator.run(other.id)["id"] == other.id


def test_a_backlog_is_counted_so_often_in_a_minute_and_no_more(customers: CustomerFactory) -> None:
    query = "{ getAllExportConfigurations { id backlog { events countedAt } } }"

    def attempt() -> tuple[list[list[dict[str, Any]]], dict[str, Any] | None]:
        customer = customers.with_role(create_role=False)
        administrator = customer.tenant.administrator
        # Each new configuration requires a new count.
        answers = [administrator.execute(query)["getAllExportConfigurations"]]
        for _ in range(COUNTS_PER_MINUTE - 1):
            customers.with_role(tenant=customer.tenant, create_role=False)
            answers.append(administrator.execute(query)["getAllExportConfigurations"])
        customers.with_role(tenant=customer.tenant, create_role=False)
        try:
            administrator.execute(query)
        except GraphQlFailed as failure:
            (refused,) = failure.errors
            return answers, refused
        return answers, None

    answers, refused = within_a_period(MINUTE_SECONDS, attempt)
    assert all(configuration["backlog"]["countedAt"] for answer in answers for configuration in answer)
    assert refused is not None
    assert refused["extensions"]["code"] == "TOO_MANY_COUNTS"
    assert refused["path"] == ["getAllExportConfigurations", COUNTS_PER_MINUTE, "backlog"]
    assert 1 <= refused["extensions"]["retryAfterSeconds"] <= 60


def refusal(answer: requests.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["extensions"]["code"]


def test_an_old_command_line_is_asked_to_upgrade_once_the_caller_is_known(tenant: Tenant) -> None:
    lines = to_lines(make_events(1))
    assert refusal(tenant.post_events(lines, audit_export_version="0.0.9")) == (400, "UPGRADE_REQUIRED")
    assert refusal(tenant.post_events(lines, audit_export_version="latest")) == (400, "UPGRADE_REQUIRED")
    assert tenant.stored_events() == []
    assert tenant.post_events(lines, audit_export_version="0.1.0").status_code == 202
    assert tenant.post_events(lines).status_code == 202

    def ask(version: str, token: str) -> requests.Response:
        return tenant.http.post(
            tenant.stack.graphql_url,
            json={"query": "{ exportServiceIdentity { region } }"},
            headers={"authorization": f"Bearer {token}", "audit-export-version": version},
            timeout=REQUEST_TIMEOUT_SECONDS,
        )

    old = ask("0.0.9", tenant.administrator.token)
    assert refusal(old) == (400, "UPGRADE_REQUIRED")
    assert old.json()["errors"][0]["extensions"]["minimumVersion"] == "0.1.0"
    assert refusal(ask("0.0.9", "garbage")) == (401, "UNAUTHENTICATED")
    assert "data" in ask("0.1.0", tenant.administrator.token).json()
