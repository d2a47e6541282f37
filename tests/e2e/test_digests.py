"""`audit-export verify` for a customer's auditor: an unchanged export is complete, a changed one is not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack, wait_until
from infra.local.verification import BROKEN, COMPLETE, Verifier, download
from tests.e2e.harness import EXPORT_TIMEOUT_SECONDS, Customer, CustomerFactory, log_lines, make_events

COMMAND_TIMEOUT_SECONDS = 120
FILE_FAILED = 5
WINDOWS = 2
EVENTS_OF_A_WINDOW = 40
# The audit event of creating the configuration.
EVENTS_OF_CREATION = 1


@pytest.fixture(scope="module")
def exported(customers: CustomerFactory, verifier: Verifier) -> Customer:
    """A disabled export of two windows with events, each with its signed digest."""
    customer = customers.with_role()
    sent: list[str] = []
    for _ in range(WINDOWS):
        sent += customer.tenant.send(make_events(EVENTS_OF_A_WINDOW))
        customer.run_export(sent)
        assert proven_events(verifier, customer) == len(sent) + EVENTS_OF_CREATION
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


def test_a_start_before_the_retention_is_a_gap_of_its_own(
    customers: CustomerFactory, stack: Stack, verifier: Verifier
) -> None:
    customer = customers.with_role(startFrom="2020-01-01T00:00:00Z")
    sent = customer.tenant.send(make_events(3))
    customer.run_export(sent)
    assert proven_events(verifier, customer) == len(sent) + EVENTS_OF_CREATION
    _, report = verifier.bucket(customer.account, customer.id)
    [gap] = report["gaps"]
    assert (gap["from"], gap["reason"]) == ("2020-01-01T00:00:00.000Z", "START_BEFORE_RETENTION")

    # A customer's mistake must not raise the operator's alarm, which would be logged before the end of the run.
    wait_until(lambda: customer.ended_runs() > 0, "the line of the run's end", timeout_seconds=EXPORT_TIMEOUT_SECONDS)
    assert log_lines(stack, customer.id, "a window was exported")
    assert log_lines(stack, customer.id, "RETENTION_GAP") == []


def digest_files(exported: Customer, sequence: int) -> dict[str, bytes]:
    """Returns a digest and its signature by key."""
    account = exported.account
    prefix = f"{account.prefix}{exported.id}/_digests/{sequence:010}_"
    return {entry["Key"]: account.download(entry["Key"]) for entry in account.objects(prefix)}


def test_a_removed_digest_is_restored_from_the_service(
    exported: Customer, verifier: Verifier, stack: Stack, command: Path, tmp_path: Path
) -> None:
    account = exported.account
    files = digest_files(exported, 0)
    assert len(files) == 2, files.keys()
    token_file = tmp_path / "token"
    token_file.write_text(exported.tenant.administrator.token)
    restored = tmp_path / "restored"
    get_digest: list[str | Path] = [
        *(command, "config", "digest", f"{exported.id}.0", "--directory", restored),
        *("--url", stack.api_url, "--token-file", token_file),
    ]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            get_digest,
            text=True,
            capture_output=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        )

    for key in files:
        account.s3.delete_object(Bucket=account.bucket, Key=key)
    try:
        status, report = verifier.bucket(account, exported.id)
        assert (status, report["breaks"][0]["code"]) == (BROKEN, "MISSING_DIGEST"), report
        outcome = run()
        assert outcome.returncode == 0, outcome.stderr
        # Does what the printed commands do.
        copies = [shlex.split(line) for line in outcome.stdout.splitlines() if line.startswith("aws s3 cp ")]
        assert len(copies) == 2, outcome.stdout
        for *_, source, target in copies:
            bucket, key = target.removeprefix("s3://").split("/", 1)
            account.s3.put_object(Bucket=bucket, Key=key, Body=Path(source).read_bytes())
        assert digest_files(exported, 0) == files
        status, report = verifier.bucket(account, exported.id, "--require-whole")
        assert (status, report["verdict"]) == (COMPLETE, "COMPLETE"), report
        # Restored files are never overwritten.
        assert run().returncode == FILE_FAILED
    finally:
        for key, body in files.items():
            account.s3.put_object(Bucket=account.bucket, Key=key, Body=body)


def test_a_planted_digest_is_named_and_hides_nothing(exported: Customer, verifier: Verifier) -> None:
    account = exported.account
    _, sound = verifier.bucket(account, exported.id)
    key = next(key for key in digest_files(exported, 0) if key.endswith(".json"))
    planted = f"{key.rsplit('_', 1)[0]}_{'0' * 16}.json"
    for suffix in ("", ".sig"):
        account.s3.put_object(Bucket=account.bucket, Key=planted + suffix, Body=b"planted")
    try:
        status, report = verifier.bucket(account, exported.id)
    finally:
        for suffix in ("", ".sig"):
            account.s3.delete_object(Bucket=account.bucket, Key=planted + suffix)
    assert (status, [found["code"] for found in report["breaks"]]) == (BROKEN, ["BAD_SIGNATURE"]), report
    assert planted.endswith(report["breaks"][0]["file"])
    assert (report["digests"], report["objects"]) == (sound["digests"], sound["objects"])


def first(folder: Path, pattern: str) -> Path:
    return min(folder.rglob(pattern))


def flip(path: Path) -> None:
    """Flips a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def add(folder: Path) -> None:
    data = first(folder, "*.ndjson.gz")
    shutil.copy(data, data.with_name("a" + data.name))


def remove_first_digest(folder: Path) -> None:
    digest = first(folder, "*.json")
    for path in digest.parent.glob(digest.stem + "*"):
        path.unlink()


TAMPERING: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a bit of an object": (lambda folder: flip(first(folder, "*.ndjson.gz")), "ALTERED_OBJECT"),
    "an object": (lambda folder: first(folder, "*.ndjson.gz").unlink(), "MISSING_OBJECT"),
    "one object more": (add, "EXTRA_OBJECT"),
    "a digest with its signature": (remove_first_digest, "MISSING_DIGEST"),
}


@pytest.mark.parametrize("change", TAMPERING)
def test_a_touched_copy_is_broken(verifier: Verifier, copy: Path, change: str) -> None:
    tamper, code = TAMPERING[change]
    tamper(copy)
    status, report = verifier.folder(copy)
    assert (status, report["verdict"], report["breaks"][0]["code"]) == (BROKEN, "BROKEN", code), report


def test_a_cut_tail_shows_by_what_was_expected(verifier: Verifier, copy: Path) -> None:
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
