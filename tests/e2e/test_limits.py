"""What a tenant may not do too often, and a command line that is too old."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests
from conftest import Customer, CustomerFactory, Tenant, make_events, to_lines

from local_stack import REQUEST_TIMEOUT_SECONDS, GraphQlFailed

# As MAX_TESTS_PER_MINUTE in shared/aws/src/test_allowance.rs.
TESTS_PER_MINUTE = 30
MORE = 5
CONCURRENCY = 8
# A minute that ends in between counts anew; the next attempt begins in a fresh one.
ATTEMPTS = 3


def minute() -> int:
    return int(time.time() // 60)


def test_connections_are_tested_so_often_in_a_minute_and_no_more(customers: CustomerFactory) -> None:
    for _ in range(ATTEMPTS):
        began = minute()
        # The first test comes with the creation.
        customer = customers.with_access_key()
        outcomes = try_often(customer)
        if minute() == began:
            break
    assert outcomes == {"SUCCESS": TESTS_PER_MINUTE - 1, "TOO_MANY_TESTS": MORE + 1}

    # Another tenant is not held up.
    assert customers.with_access_key().configuration["connectionStatus"] == "SUCCESS"


def try_often(customer: Customer) -> Counter[str]:
    """All at once: the bound holds without anybody waiting for anybody."""

    def outcome(_: int) -> str:
        try:
            return customer.tenant.administrator.test(customer.id)["connectionStatus"]
        except GraphQlFailed as failure:
            (error,) = failure.errors
            assert 1 <= error["extensions"]["retryAfterSeconds"] <= 60
            return error["extensions"]["code"]

    with ThreadPoolExecutor(CONCURRENCY) as threads:
        return Counter(threads.map(outcome, range(TESTS_PER_MINUTE + MORE)))


def refusal(answer: requests.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["extensions"]["code"]


def test_an_old_command_line_is_told_to_upgrade_once_it_is_known_who_asks(tenant: Tenant) -> None:
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
