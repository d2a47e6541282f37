"""Demonstrates the service: two customers in two AWS accounts receive their audit logs in their own buckets.

Expects the running stack (`make up`). Every run creates new tenants, buckets and configurations. The exit status is 0 only if
exactly the ingested events were exported.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.local.settings import CLI, DEV_TOOLS
from infra.local.stack import (
    CHANGES,
    MARKER,
    Administrator,
    CustomerAccount,
    GraphQlFailed,
    Stack,
    StackMissing,
    sign_token,
    wait_until,
)
from infra.local.verification import COMPLETE, Verifier

DEFAULT_EVENTS = 100_000
CONNECTION_TIMEOUT_SECONDS = 90
# A schedule fires each minute; a run of this size takes seconds.
EXPORT_TIMEOUT_SECONDS = 240
POLL_SECONDS = 2.0
SHOWN_LINES = 2
SHOWN_LINE_LENGTH = 300


class DemonstrationFailed(Exception):
    """A result differs from what the service promises."""


def say(text: str = "") -> None:
    print(text, flush=True)


def step(text: str) -> None:
    say(f"\n\033[1m▸ {text}\033[0m" if sys.stdout.isatty() else f"\n▸ {text}")


def report_progress(text: str) -> None:
    """Overwrites the line of progress at a terminal; prints nothing elsewhere."""
    if sys.stdout.isatty():
        print(f"\r\033[K  {text}", end="", flush=True)


def end_progress() -> None:
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)


def find_command() -> Path:
    command = Path(os.environ.get("AUDIT_EXPORT_CLI") or CLI)
    if not command.is_file() or not DEV_TOOLS.is_file():
        raise DemonstrationFailed("the command line is not built: run `make up` first")
    return command


@dataclass
class Customer:
    """A customer: its tenant, and its AWS account with the bucket."""

    name: str
    tenant: str
    account: CustomerAccount
    administrator: Administrator
    token_file: Path
    events_file: Path
    configuration: dict[str, Any] = field(default_factory=dict)
    downloads: dict[str, Path] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.configuration["id"]


class Demonstration:
    def __init__(self, stack: Stack, command: Path, events: int, workplace: Path) -> None:
        self.stack = stack
        self.command = command
        self.events = events
        self.workplace = workplace
        self.run_name = uuid.uuid4().hex[:6]

    def audit_export(self, *arguments: str | Path) -> str:
        """Runs the command and returns its output. Its progress, on standard error, stays visible."""
        command = [str(self.command), *map(str, arguments)]
        completed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if completed.returncode != 0:
            raise DemonstrationFailed(f"{arguments[0]} {arguments[1]} failed with {completed.returncode}")
        return completed.stdout

    def make_customer(self, name: str, account: str, region: str, **bucket: Any) -> Customer:
        tenant = f"{name.lower()}-{self.run_name}"
        token = sign_token(tenant)
        token_file = self.workplace / f"{tenant}.token"
        token_file.touch(mode=0o600)
        token_file.write_text(token)
        return Customer(
            name=name,
            tenant=tenant,
            account=CustomerAccount.create(self.stack, account, region, **bucket),
            administrator=Administrator(self.stack, token),
            token_file=token_file,
            events_file=self.workplace / f"{tenant}.ndjson",
        )

    def run(self) -> None:
        step("Two customers, each with a bucket in their own AWS account")
        amber = self.make_customer("Amber", "222222222222", "eu-west-1", path="audit/export", encrypted=True)
        cobalt = self.make_customer("Cobalt", "333333333333", "us-east-1")
        for customer, kind in (
            (amber, "encrypted with the customer's KMS key"),
            (cobalt, "with S3-managed encryption"),
        ):
            account = customer.account
            say(f"  {customer.name}: account {account.account}, s3://{account.bucket} in {account.region}, {kind}")

        step(f"{amber.name} creates a configuration with an IAM role, then the role")
        self.configure_with_role(amber)
        step(f"{cobalt.name} creates a configuration with the access key of an IAM user")
        self.configure_with_access_key(cobalt)

        customers = [amber, cobalt]
        step(f"Each sends {self.events:,} events")
        for seed, customer in enumerate(customers, start=1):
            self.send_events(customer, seed)

        step("The schedule fires at the next full minute and exports")
        with ThreadPoolExecutor(len(customers)) as pool:
            exported_at = list(pool.map(self.wait_for_export, customers))
        end_progress()
        for customer, seconds in zip(customers, exported_at, strict=True):
            say(f"  {customer.name}: complete after {seconds:.0f} s, {len(customer.downloads)} files")

        for customer in customers:
            self.show_bucket(customer)

        step("Every event exported exactly once?")
        wrong = [problem for customer in customers for problem in self.compare(customer)]
        if wrong:
            raise DemonstrationFailed("; ".join(wrong))

        step("Complete and unchanged? Each customer verifies, with only the files and the public key")
        verifier = Verifier.create(self.stack, self.command, self.workplace)
        for customer in customers:
            self.verify(customer, verifier)

    def verify(self, customer: Customer, verifier: Verifier) -> None:
        say(f"  $ audit-export verify s3://{customer.account.bucket}/{customer.account.prefix}{customer.id} --deep …")
        status, report = verifier.bucket(customer.account, customer.id, "--deep")
        if status != COMPLETE:
            raise DemonstrationFailed(f"verify ended with {status} for {customer.name}: {json.dumps(report)}")
        say(f"  {customer.name}: {report['verdict']} through {report['completeThrough']}")

    def configure_with_role(self, customer: Customer) -> None:
        account = customer.account
        role = f"audit-export-{self.run_name}"
        customer.configuration = customer.administrator.create_assumed_role(
            interval="EVERY_2_HOURS", roleArn=account.role_arn(role), **account.destination
        )
        identity = customer.administrator.identity()
        say(f"  configuration {customer.id}, connection {customer.configuration['connectionStatus']}")
        trust = account.trust_policy(customer.id, identity["account"])
        account.create_role(role, customer.id, trust=trust)
        say(f"  trust policy   {json.dumps(trust['Statement'][0])}")
        for statement in account.export_policy()["Statement"]:
            say(f"  role's policy  {json.dumps(statement)}")
        self.make_ready(customer)

    def configure_with_access_key(self, customer: Customer) -> None:
        account = customer.account
        key = account.create_user(f"audit-export-{self.run_name}")
        for statement in account.export_policy()["Statement"]:
            say(f"  user's policy  {json.dumps(statement)}")
        customer.configuration = customer.administrator.create_access_key(
            interval="EVERY_24_HOURS",
            accessKeyId=key.access_key_id,
            secretAccessKey=key.secret_access_key,
            **account.destination,
        )
        say(f"  configuration {customer.id}")
        self.make_ready(customer)

    def make_ready(self, customer: Customer) -> None:
        """Tests the connection until it works, and enables the configuration."""

        def succeeds() -> bool:
            customer.configuration = customer.administrator.test(customer.id)
            error = customer.configuration["connectionError"]
            if error:
                say(f"  connection test: {error['code']}: {error['message']}")
            return customer.configuration["connectionStatus"] == "SUCCESS"

        wait_until(succeeds, "the connection test to succeed", timeout_seconds=CONNECTION_TIMEOUT_SECONDS)
        if not customer.configuration["enabled"]:
            customer.configuration = customer.administrator.enable(customer.id)
        marker = customer.account.prefix + MARKER
        keys = [entry["Key"] for entry in customer.account.objects()]
        if marker not in keys:
            raise DemonstrationFailed(f"{customer.name}'s bucket contains {keys} but not {marker}")
        say(f"  connection {customer.configuration['connectionStatus']}, marker {marker} is in the bucket")

    def send_events(self, customer: Customer, seed: int) -> None:
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        with customer.events_file.open("wb") as output:
            subprocess.run(
                [
                    str(DEV_TOOLS), "events", "generate", "--tenant", customer.tenant, "--count", str(self.events),
                    # A seed for each run and customer, so that ids never repeat.
                    "--seed", str(int(self.run_name, 16) * 10 + seed), "--start", start.isoformat(timespec="seconds"),
                    "--spacing-ms", "800",
                ],
                stdout=output,
                check=True,
            )  # fmt: skip
        summary = json.loads(
            self.audit_export(
                "events", "send", customer.events_file, "--url", self.stack.api_url, "--token-file",
                customer.token_file, "--concurrency", "4", "--output", "json",
            )
        )  # fmt: skip
        if summary["accepted"] != self.events:
            raise DemonstrationFailed(f"{customer.name} sent {self.events} events, {summary['accepted']} were accepted")
        rate = summary["accepted"] / max(summary["seconds"], 0.001)
        size = summary["eventBytes"] / 1e6
        say(
            f"  {customer.name}: {summary['accepted']:,} events, {size:.0f} MB in {summary['requests']} requests and"
            f" {summary['seconds']:.1f} s ({rate:,.0f} events/s, {summary['retries']} retries)"
        )

    def wait_for_export(self, customer: Customer) -> float:
        """Downloads new files until all events have arrived; returns the seconds that this took."""
        began = time.monotonic()
        arrived = 0

        def all_arrived() -> bool:
            nonlocal arrived
            for key in customer.account.data_keys(customer.id):
                if key not in customer.downloads:
                    path = self.workplace / f"{customer.tenant}-{len(customer.downloads):05}.ndjson.gz"
                    path.write_bytes(customer.account.download(key))
                    customer.downloads[key] = path
                    arrived += count_sent([path])
            waited = time.monotonic() - began
            report_progress(f"{customer.name}: {arrived:,} of {self.events:,} events after {waited:.0f} s")
            return arrived >= self.events

        try:
            wait_until(all_arrived, "the export", timeout_seconds=EXPORT_TIMEOUT_SECONDS, interval_seconds=POLL_SECONDS)
        except TimeoutError as error:
            configuration = customer.administrator.get(customer.id)
            raise DemonstrationFailed(f"{customer.name}: {error}; {arrived} events arrived; {configuration}") from None
        return time.monotonic() - began

    def show_bucket(self, customer: Customer) -> None:
        account = customer.account
        step(f"{customer.name} lists s3://{account.bucket}")
        for entry in account.objects():
            say(f"  {entry['Size']:>12,}  {entry['Key']}")
        first = next(iter(sorted(customer.downloads.items())))[1]
        say(f"  $ zcat … | head -n {SHOWN_LINES}")
        for line in first_lines(first, SHOWN_LINES):
            say(f"  {line if len(line) <= SHOWN_LINE_LENGTH else line[:SHOWN_LINE_LENGTH] + '…'}")

    def compare(self, customer: Customer) -> list[str]:
        """Returns the differences between the sent and the received events."""
        with customer.events_file.open("rb") as lines:
            sent = [json.loads(line)["id"] for line in lines]
        arrived, foreign, disordered, last = [], 0, 0, ""
        paths = [path for _, path in sorted(customer.downloads.items())]
        with subprocess.Popen(["zcat", *map(str, paths)], stdout=subprocess.PIPE) as zcat:
            assert zcat.stdout is not None
            for line in zcat.stdout:
                event = json.loads(line)
                # The audit event of creating the configuration comes from the service.
                if event.get("targetType") != CHANGES:
                    arrived.append(event["id"])
                foreign += event["tenantId"] != customer.tenant
                disordered += event["receivedTimestamp"] < last
                last = event["receivedTimestamp"]
        problems = {
            "zcat failed": zcat.returncode != 0,
            "events are missing": bool(set(sent) - set(arrived)),
            "events arrived that were never sent": bool(set(arrived) - set(sent)),
            "events arrived twice": len(arrived) != len(set(arrived)),
            "events of another tenant arrived": foreign > 0,
            "events are out of order": disordered > 0,
        }
        size = sum(path.stat().st_size for path in paths)
        say(
            f"  {customer.name}: {len(sent):,} in, {len(arrived):,} out, {len(set(arrived)):,} distinct ids;"
            f" {len(paths)} files, {size / 1e6:.1f} MB compressed"
            f" ({customer.events_file.stat().st_size / max(size, 1):.1f} times smaller)"
        )
        return [f"{customer.name}: {problem}" for problem, occurred in problems.items() if occurred]


def count_sent(paths: list[Path]) -> int:
    """Counts the events in these files, except those that the service itself wrote."""
    files = " ".join(shlex.quote(str(path)) for path in paths)
    command = f'zcat {files} | {{ grep -v \'"targetType":"{CHANGES}"\' || true; }} | wc -l'
    return int(subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True).stdout)


def first_lines(path: Path, number: int) -> list[str]:
    command = f"zcat {shlex.quote(str(path))} | head -n {number}"
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=DEFAULT_EVENTS, help="events of each customer")
    parser.add_argument("--keep", action="store_true", help="keep the downloaded files, and print where they are")
    arguments = parser.parse_args()
    began = time.monotonic()
    workplace = Path(tempfile.mkdtemp(prefix="audit-export-demo-"))
    try:
        Demonstration(Stack.load(), find_command(), arguments.events, workplace).run()
    except (DemonstrationFailed, StackMissing, GraphQlFailed, TimeoutError, subprocess.CalledProcessError) as error:
        end_progress()
        say(f"\nFAILED: {error}")
        return 1
    finally:
        if arguments.keep:
            say(f"\nFiles: {workplace}")
        else:
            shutil.rmtree(workplace, ignore_errors=True)
    say(
        f"\nOK: every event arrived once, in order, in its tenant's bucket, verified as unchanged ({time.monotonic() - began:.0f} s)."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
