"""`make lint`, `make test`, `make stores` and `make test-localstack`: runs every suite, lists what was left out and why, adds up
what passed and failed, and ends with that as a line of its own.

Usage: checks.py lint|test|stores|localstack. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dynamodb_local
from emulators.localstack import PLUGIN_DIRECTORY, why_not, why_not_as_process
from settings import CLI, ROOT, TOOL_DIRECTORY, TOOLS, tool_environment

END_TO_END_TESTS = ROOT / "tests" / "e2e"
ONE_TEST_SECONDS = 300
# End-to-end tests that run at the same time.
WORKERS = 6


@dataclass(frozen=True)
class Count:
    passed: int
    failed: int
    skipped: tuple[str, ...] = ()
    """Each test that was left out, with the reason."""

    @classmethod
    def of_status(cls, status: int) -> Count:
        return cls(1, 0) if status == 0 else cls(0, 1)

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (
            f", {len(self.skipped)} skipped" if self.skipped else ""
        )


def formatting() -> Count:
    return Count.of_status(_run("cargo", "fmt", "--all", "--check"))


def clippy() -> Count:
    return Count.of_status(
        _run("cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings")
    )


def dependencies() -> Count:
    # Not their advisories, whose database has to come from GitHub.
    return Count.of_status(
        _run(TOOLS / "cargo-deny", "--locked", "check", "--deny", "warnings", "licenses", "bans", "sources")
    )


def python() -> Count:
    # Without a cache: it is keyed by a file alone, and whether an import is our own hangs on which other files there are.
    return Count.of_status(_run(TOOLS / "ruff", "check", "--no-cache", "infra", "tests"))


def template() -> Count:
    return Count.of_status(_run(TOOLS / "sam", "validate", "--lint", "--region", "us-east-1"))


def serverless_rules() -> Count:
    # The template's Metadata says which of them don't hold here, and why.
    return Count.of_status(
        _run(TOOLS / "cfn-lint", "--append-rules", "cfn_lint_serverless.rules", "--template", ROOT / "template.yaml")
    )


def template_rules() -> Count:
    return _pytest(ROOT / "infra" / "lint")


def rust_tests() -> Count:
    return _cargo_test("cargo", "test", "--workspace", "--locked", "--no-fail-fast")


def stores_on_ministack() -> Count:
    directory = ROOT / ".local" / "test-stores"
    environment = {"AUDIT_EXPORT_LOCAL_DIRECTORY": str(directory), "EMULATOR": "ministack"}
    return _stores("emulator.py", extra=environment)


def stores_on_dynamodb_local() -> Count:
    return _stores("dynamodb_local.py")


def _stores(served_by: str, extra: dict[str, str] | None = None) -> Count:
    scripts = Path(__file__).parent
    return _cargo_test(sys.executable, scripts / served_by, sys.executable, scripts / "stores.py", extra=extra)


def _cargo_test(*command: object, extra: dict[str, str] | None = None) -> Count:
    """Counts the lines "test result: ok. 3 passed; 0 failed; …"; a suite that does not compile has none."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=tool_environment() | (extra or {}),
        stdout=subprocess.PIPE,
        text=True,
    )
    count = Count(0, 0)
    for line in process.stdout or ():
        print(line, end="", flush=True)
        if found := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed;", line):
            count += Count(int(found[1]), int(found[2]))
    return count if process.wait() == 0 or count.failed else count + Count(0, 1)


def end_to_end_tests() -> Count:
    return _end_to_end("ministack")


def process_executor() -> Count:
    """In LocalStack's Python, because what is tested is loaded into LocalStack."""
    if (status := _run(PLUGIN_DIRECTORY / "install.sh")) != 0:
        return Count.of_status(status)
    return _pytest(
        PLUGIN_DIRECTORY,
        python=TOOL_DIRECTORY / "localstack" / "bin" / "python",
        extra={"PYTHONPATH": str(PLUGIN_DIRECTORY)},
    )


def end_to_end_tests_on_localstack() -> Count:
    return _end_to_end("localstack")


def _end_to_end(emulator: str) -> Count:
    # A stack of their own, so that one left running by `make up` is neither used nor disturbed.
    directory = ROOT / ".local" / f"test-{emulator}"
    environment = {
        "AUDIT_EXPORT_LOCAL_DIRECTORY": str(directory),
        "AUDIT_EXPORT_CLI": str(CLI),
        "EMULATOR": emulator,
    }
    scripts = Path(__file__).parent
    _run(sys.executable, scripts / "down.py", extra=environment)
    try:
        if (status := _run(sys.executable, scripts / "up.py", extra=environment)) != 0:
            return Count.of_status(status)
        shutil.rmtree(directory / "records", ignore_errors=True)
        # Most of their time the tests wait: for what was received to settle, for a schedule, for a refusal to be final.
        workers = ("--numprocesses", WORKERS, "--dist", "worksteal", "-m", "not last")
        all_but_last = _pytest(END_TO_END_TESTS, *workers, name=f"e2e-{emulator}", extra=environment)
        return all_but_last + _pytest(END_TO_END_TESTS, "-m", "last", name=f"e2e-{emulator}-last", extra=environment)
    finally:
        _run(sys.executable, scripts / "down.py", extra=environment)


def localstack() -> list[Callable[[], Count]]:
    return _where_possible({process_executor: why_not_as_process(), end_to_end_tests_on_localstack: why_not()})


def stores() -> list[Callable[[], Count]]:
    return _where_possible({stores_on_ministack: None, stores_on_dynamodb_local: dynamodb_local.why_not()})


def _where_possible(suites: dict[Callable[[], Count], str | None]) -> list[Callable[[], Count]]:
    """Without the suites that this machine lacks something for, which is said beside them, unless it is CI's."""
    must = bool(os.environ.get("CI"))
    return [suite if must or reason is None else _left_out(suite, reason) for suite, reason in suites.items()]


def _left_out(suite: Callable[[], Count], reason: str) -> Callable[[], Count]:
    def leave_out() -> Count:
        print(reason)
        return Count(0, 0, (f"{suite.__name__.replace('_', ' ')}: {reason}",))

    leave_out.__name__ = suite.__name__
    return leave_out


LINT: list[Callable[[], Count]] = [
    formatting,
    clippy,
    dependencies,
    python,
    template,
    serverless_rules,
    template_rules,
]
SUITES: dict[str, Callable[[], list[Callable[[], Count]]]] = {
    "lint": lambda: LINT,
    "test": lambda: [*LINT, rust_tests, *stores(), end_to_end_tests, *localstack()],
    "stores": stores,
    "localstack": localstack,
}


def _pytest(
    directory: Path,
    *options: object,
    name: str | None = None,
    python: Path | str = sys.executable,
    extra: dict[str, str] | None = None,
) -> Count:
    report = ROOT / ".local" / f"pytest-{name or directory.name}.xml"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    status = _run(
        python, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", ONE_TEST_SECONDS,
        "--junit-xml", report, *options, directory, extra=extra,
    )  # fmt: skip
    count = _counted(report) if report.exists() else Count(0, 0)
    return count if status == 0 or count.failed else count + Count(0, 1)


def _counted(report: Path) -> Count:
    root = xml.etree.ElementTree.parse(report).getroot()
    suites = [suite.attrib for suite in root.iter("testsuite")]
    total, failed, skipped = (
        sum(int(suite[name]) for suite in suites for name in names)
        for names in (["tests"], ["failures", "errors"], ["skipped"])
    )
    reasons = tuple(
        f"{test.attrib['classname'].rpartition('.')[2]}::{test.attrib['name']}: {left_out.attrib['message']}"
        for test in root.iter("testcase")
        for left_out in test.iter("skipped")
    )
    return Count(max(total - failed - skipped, 0), failed, reasons)


def _run(*command: object, extra: dict[str, str] | None = None) -> int:
    environment = tool_environment() | (extra or {})
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False).returncode


def main(name: str) -> int:
    lines: list[str] = []
    total = Count(0, 0)
    for suite in SUITES[name]():
        title = suite.__name__.replace("_", " ")
        print(f"\n=== {title}", flush=True)
        started = time.monotonic()
        count = suite()
        lines.append(f"{title:32} {time.monotonic() - started:5.0f} s  {count}")
        total += count
    if total.skipped:
        print("\n=== left out")
        print(*total.skipped, sep="\n")
    print("\n=== summary")
    print(*lines, sep="\n")
    print(f"\n{total}")
    return 1 if total.failed else 0


if __name__ == "__main__":
    for name in ("AUDIT_EXPORT_LOCAL_DIRECTORY", "EMULATOR"):
        os.environ.pop(name, None)
    sys.exit(main(sys.argv[1]))
