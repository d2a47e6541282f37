"""What a customer's auditor finds with `audit-export verify`: an untouched export is complete, a touched one is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Customer, CustomerFactory, make_events

from local_stack import Stack, wait_until
from verification import BROKEN, COMPLETE, Verifier, download

DIGEST_TIMEOUT_SECONDS = 60
WINDOWS = 2
EVENTS_OF_A_WINDOW = 40
# The configuration's creation is an event of its tenant, too.
EVENTS_OF_CREATION = 1


@pytest.fixture(scope="module")
def verifier(stack: Stack, command: Path, tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    return Verifier.create(stack, command, tmp_path_factory.mktemp("signing-key"))


@pytest.fixture(scope="module")
def exported(customers: CustomerFactory, verifier: Verifier) -> Customer:
    """An export of two windows with events, each with its signed digest; it runs no more."""
    customer = customers.with_role()
    sent: list[str] = []
    for _ in range(WINDOWS):
        sent += customer.tenant.send(make_events(EVENTS_OF_A_WINDOW))
        customer.run_export(sent)
        count = len(sent) + EVENTS_OF_CREATION
        # The digest comes after the last object.
        wait_until(
            lambda count=count: proven_events(verifier, customer) == count,
            f"the digest of {count} events",
            timeout_seconds=DIGEST_TIMEOUT_SECONDS,
        )
    customer.tenant.administrator.disable(customer.id)
    return customer


def proven_events(verifier: Verifier, customer: Customer) -> int:
    status, report = verifier.bucket(customer.account, customer.id)
    return report["objects"]["events"] if status == COMPLETE else 0


@pytest.fixture
def copy(exported: Customer, tmp_path: Path) -> Path:
    return download(exported.account, exported.id, tmp_path)


def test_an_untouched_export_is_complete(exported: Customer, verifier: Verifier, copy: Path) -> None:
    for status, report in (
        verifier.bucket(exported.account, exported.id, "--deep"),
        verifier.folder(copy, "--deep"),
    ):
        assert (status, report["verdict"], report["breaks"]) == (COMPLETE, "COMPLETE", []), report
        assert report["isWhole"]
        assert report["configurationId"] == exported.id
        assert report["objects"]["events"] == WINDOWS * EVENTS_OF_A_WINDOW + EVENTS_OF_CREATION


def first(folder: Path, pattern: str) -> Path:
    return min(folder.rglob(pattern))


def flip(path: Path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def add(folder: Path) -> None:
    data = first(folder, "*.ndjson.gz")
    shutil.copy(data, data.with_name("a" + data.name))


TAMPERING: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a bit of an object": (lambda folder: flip(first(folder, "*.ndjson.gz")), "ALTERED_OBJECT"),
    "an object": (lambda folder: first(folder, "*.ndjson.gz").unlink(), "MISSING_OBJECT"),
    "one object more": (add, "EXTRA_OBJECT"),
    "a digest with its signature": (
        lambda folder: [
            path.unlink() for path in first(folder, "*.json").parent.glob(first(folder, "*.json").stem + "*")
        ],
        "MISSING_DIGEST",
    ),
}


@pytest.mark.parametrize("change", TAMPERING)
def test_a_touched_copy_is_broken(exported: Customer, verifier: Verifier, copy: Path, change: str) -> None:
    tamper, code = TAMPERING[change]
    tamper(copy)
    status, report = verifier.folder(copy)
    assert (status, report["verdict"], report["breaks"][0]["code"]) == (BROKEN, "BROKEN", code), report


def test_a_cut_tail_shows_by_what_was_expected(exported: Customer, verifier: Verifier, copy: Path) -> None:
    _, whole = verifier.folder(copy)
    expected = ("--expect-through", whole["completeThrough"])
    assert verifier.folder(copy, *expected)[0] == COMPLETE
    newest = max(copy.rglob("*.json"))
    for path in newest.parent.glob(newest.stem + "*"):
        path.unlink()
    status, report = verifier.folder(copy, *expected)
    assert (status, report["breaks"][0]["code"]) == (BROKEN, "TRUNCATED_CHAIN"), report


def test_an_object_gone_from_the_bucket_is_missed(exported: Customer, verifier: Verifier) -> None:
    account = exported.account
    key = account.data_keys(exported.id)[0]
    body = account.download(key)
    account.s3.delete_object(Bucket=account.bucket, Key=key)
    try:
        status, report = verifier.bucket(account, exported.id)
    finally:
        account.s3.put_object(Bucket=account.bucket, Key=key, Body=body)
    assert (status, report["breaks"][0]["code"]) == (BROKEN, "MISSING_OBJECT"), report
