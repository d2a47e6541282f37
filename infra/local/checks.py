"""The suites of `make lint`, `make test` and the other targets that test.

Runs each suite, lists the tests that were skipped with the reason, and ends with a line of totals. The exit status is 1 if
anything failed.

Usage: python -m infra.local.checks lint|test|page|stores|localstack|s3-servers|readers
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

from infra.local import browser, dynamodb_local, page, s3_servers
from infra.local.emulators.localstack import PLUGIN_DIRECTORY, PLUGIN_PATH, missing_for_process, missing_requirement
from infra.local.settings import CLI, ROOT, TOOL_DIRECTORY, TOOLS, tool_environment

END_TO_END_TESTS = ROOT / "tests" / "e2e"
PAGE_TESTS = ROOT / "tests" / "page"
# The limit is for tests that hang: on a slow machine the slowest take minutes.
ONE_TEST_SECONDS = 600
# The number of end-to-end tests that run at the same time.
WORKERS = 6
PYTHON_FOLDERS = ("infra", "tests")


@dataclass(frozen=True)
class Count:
    """The result of a suite."""

    passed: int
    failed: int
    skipped: tuple[str, ...] = ()
    """The skipped tests, each with the reason."""

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


def documentation() -> Count:
    # Cargo.toml denies links that lead nowhere.
    return Count.of_status(_run("cargo", "doc", "--workspace", "--no-deps", "--document-private-items", "--locked"))


def dependencies() -> Count:
    # Without advisories: their database is fetched from GitHub.
    return Count.of_status(
        _run(TOOLS / "cargo-deny", "--locked", "check", "--deny", "warnings", "licenses", "bans", "sources")
    )


def python_formatting() -> Count:
    return Count.of_status(_run(TOOLS / "ruff", "format", "--check", "--quiet", *PYTHON_FOLDERS))


def python_lints() -> Count:
    # Without a cache: its key is one file, but whether an import is first-party depends on the other files.
    return Count.of_status(_run(TOOLS / "ruff", "check", "--no-cache", *PYTHON_FOLDERS))


def python_types() -> Count:
    return Count.of_status(_run(sys.executable, "-m", "mypy"))


def module_circles() -> Count:
    return Count.of_status(_run(sys.executable, "-m", "infra.lint.circles"))


def template() -> Count:
    return Count.of_status(_run(TOOLS / "sam", "validate", "--lint", "--region", "us-east-1"))


def serverless_rules() -> Count:
    # The template's Metadata lists the rules that don't apply here, with the reasons.
    return Count.of_status(
        _run(TOOLS / "cfn-lint", "--append-rules", "cfn_lint_serverless.rules", "--template", ROOT / "template.yaml")
    )


def page_for_administrators() -> Count:
    # Types, generated sources, the committed build, its size, and its unit tests.
    return Count(*page.check())


def own_rules() -> Count:
    return _pytest(ROOT / "infra" / "lint")


def rust_tests() -> Count:
    return _cargo_test("cargo", "test", "--workspace", "--locked", "--no-fail-fast")


def verification_of_the_page() -> Count:
    return Count(*page.differential())


def page_in_a_browser() -> Count:
    # Each worker has a browser.
    return _pytest(PAGE_TESTS, "--numprocesses", 2)


def page_tests() -> list[Callable[[], Count]]:
    """Returns the tests of the page that need no stack. The exports that they verify are written by `rust_tests`."""
    return [verification_of_the_page, *_where_possible({page_in_a_browser: browser.missing_requirement()})]


def stores_on_ministack() -> Count:
    directory = ROOT / ".local" / "test-stores"
    environment = {"AUDIT_EXPORT_LOCAL_DIRECTORY": str(directory), "EMULATOR": "ministack"}
    return _stores("emulator", extra=environment)


def stores_on_dynamodb_local() -> Count:
    return _stores("dynamodb_local")


def _stores(served_by: str, extra: dict[str, str] | None = None) -> Count:
    return _cargo_test(*_module(served_by), *_module("stores"), extra=extra)


def _cargo_test(*command: object, extra: dict[str, str] | None = None) -> Count:
    """Adds up the lines "test result: ok. 3 passed; 0 failed; …". Without any, a failed command counts as one failure."""
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
    """Runs in LocalStack's Python: the executor is a plugin of LocalStack."""
    if (status := _run(PLUGIN_DIRECTORY / "install.sh")) != 0:
        return Count.of_status(status)
    return _pytest(
        PLUGIN_DIRECTORY,
        python=TOOL_DIRECTORY / "localstack" / "bin" / "python",
        extra={"PYTHONPATH": PLUGIN_PATH},
    )


def end_to_end_tests_on_localstack() -> Count:
    return _end_to_end("localstack")


def _end_to_end(emulator: str) -> Count:
    # A separate stack: one that `make up` left running is neither used nor disturbed.
    directory = ROOT / ".local" / f"test-{emulator}"
    environment = {
        "AUDIT_EXPORT_LOCAL_DIRECTORY": str(directory),
        "AUDIT_EXPORT_CLI": str(CLI),
        "EMULATOR": emulator,
    }
    _run(*_module("down"), extra=environment)
    try:
        if (status := _run(*_module("up"), extra=environment)) != 0:
            return Count.of_status(status)
        shutil.rmtree(directory / "records", ignore_errors=True)
        # The tests spend most of their time waiting: for received events to settle, for a schedule, for a final refusal.
        workers = ("--numprocesses", WORKERS, "--dist", "worksteal", "-m", "not last")
        all_but_last = _pytest(END_TO_END_TESTS, *workers, name=f"e2e-{emulator}", extra=environment)
        return all_but_last + _pytest(END_TO_END_TESTS, "-m", "last", name=f"e2e-{emulator}-last", extra=environment)
    finally:
        _run(*_module("down"), extra=environment)


def tests_on_s3_servers() -> Count:
    s3_servers.install()
    directory = ROOT / ".local" / "test-s3-servers"
    environment = {"AUDIT_EXPORT_LOCAL_DIRECTORY": str(directory), "AUDIT_EXPORT_CLI": str(CLI)}
    _run(*_module("down"), extra=environment)
    try:
        if (status := _run(*_module("up"), extra=environment)) != 0:
            return Count.of_status(status)
        with s3_servers.running() as described:
            return _pytest(END_TO_END_TESTS / "test_s3_servers.py", name="s3-servers", extra=environment | described)
    finally:
        _run(*_module("down"), extra=environment)


def readers_of_the_page() -> Count:
    folder = ROOT / "infra" / "readers"
    # The development aids write the Parquet that is read.
    for command in ([folder / "install.sh"], ["cargo", "build", "--quiet", "--locked", "--package", "dev-tools"]):
        if (status := _run(*command)) != 0:
            return Count.of_status(status)
    return _pytest(folder)


def localstack() -> list[Callable[[], Count]]:
    return _where_possible(
        {process_executor: missing_for_process(), end_to_end_tests_on_localstack: missing_requirement()}
    )


def stores() -> list[Callable[[], Count]]:
    return _where_possible({stores_on_ministack: None, stores_on_dynamodb_local: dynamodb_local.missing_requirement()})


def _where_possible(suites: dict[Callable[[], Count], str | None]) -> list[Callable[[], Count]]:
    """Returns the suites, each with a missing requirement replaced by one that reports it. In CI nothing is replaced."""
    must = bool(os.environ.get("CI"))
    return [suite if must or reason is None else _skipped(suite, reason) for suite, reason in suites.items()]


def _skipped(suite: Callable[[], Count], reason: str) -> Callable[[], Count]:
    def skip() -> Count:
        print(reason)
        return Count(0, 0, (f"{suite.__name__.replace('_', ' ')}: {reason}",))

    skip.__name__ = suite.__name__
    return skip


LINT: list[Callable[[], Count]] = [
    formatting,
    clippy,
    documentation,
    dependencies,
    python_formatting,
    python_lints,
    python_types,
    module_circles,
    template,
    serverless_rules,
    page_for_administrators,
    own_rules,
]
SUITES: dict[str, Callable[[], list[Callable[[], Count]]]] = {
    "lint": lambda: LINT,
    "test": lambda: [*LINT, rust_tests, *page_tests(), *stores(), end_to_end_tests, *localstack()],
    "page": page_tests,
    "stores": stores,
    "localstack": localstack,
    "s3-servers": lambda: [tests_on_s3_servers],
    "readers": lambda: [readers_of_the_page],
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
        f"{test.attrib['classname'].rpartition('.')[2]}::{test.attrib['name']}: {skip.attrib['message']}"
        for test in root.iter("testcase")
        for skip in test.iter("skipped")
    )
    return Count(max(total - failed - skipped, 0), failed, reasons)


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"infra.local.{name}"]


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
        print("\n=== skipped")
        print(*total.skipped, sep="\n")
    print("\n=== summary")
    print(*lines, sep="\n")
    print(f"\n{total}")
    return 1 if total.failed else 0


if __name__ == "__main__":
    for name in ("AUDIT_EXPORT_LOCAL_DIRECTORY", "EMULATOR"):
        os.environ.pop(name, None)
    sys.exit(main(sys.argv[1]))
