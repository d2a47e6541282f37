"""`make lint` and `make test`: runs every suite, adds up what passed and failed, and ends with that as a line of its own.

Usage: checks.py lint|test. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from settings import CLI, ROOT, TOOLS, tool_environment

# The end-to-end tests get a stack of their own, so that one left running by `make up` is neither used nor disturbed.
END_TO_END_LOCAL = ROOT / ".local" / "test"
END_TO_END_TESTS = ROOT / "tests" / "e2e"
ONE_TEST_SECONDS = 300


@dataclass(frozen=True)
class Count:
    passed: int
    failed: int

    @classmethod
    def of_status(cls, status: int) -> Count:
        return cls(1, 0) if status == 0 else cls(0, 1)

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


def formatting() -> Count:
    return Count.of_status(_run("cargo", "fmt", "--all", "--check"))


def clippy() -> Count:
    return Count.of_status(
        _run("cargo", "clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings")
    )


def python() -> Count:
    # Without a cache: it is keyed by a file alone, and whether an import is our own hangs on which other files there are.
    return Count.of_status(_run(TOOLS / "ruff", "check", "--no-cache", "infra", "tests"))


def template() -> Count:
    return Count.of_status(_run(TOOLS / "sam", "validate", "--lint", "--region", "us-east-1"))


def template_rules() -> Count:
    return _pytest(ROOT / "infra" / "lint")


def rust_tests() -> Count:
    """Counts the lines "test result: ok. 3 passed; 0 failed; …"; a suite that does not compile has none."""
    command = ["cargo", "test", "--workspace", "--locked", "--no-fail-fast"]
    process = subprocess.Popen(command, cwd=ROOT, env=tool_environment(), stdout=subprocess.PIPE, text=True)
    count = Count(0, 0)
    for line in process.stdout or ():
        print(line, end="", flush=True)
        if found := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed;", line):
            count += Count(int(found[1]), int(found[2]))
    return count if process.wait() == 0 or count.failed else count + Count(0, 1)


def end_to_end_tests() -> Count:
    environment = {"AUDIT_EXPORT_LOCAL_DIRECTORY": str(END_TO_END_LOCAL), "AUDIT_EXPORT_CLI": str(CLI)}
    scripts = Path(__file__).parent
    _run(sys.executable, scripts / "down.py", extra=environment)
    try:
        if (status := _run(sys.executable, scripts / "up.py", extra=environment)) != 0:
            return Count.of_status(status)
        return _pytest(END_TO_END_TESTS, extra=environment)
    finally:
        _run(sys.executable, scripts / "down.py", extra=environment)


LINT: list[Callable[[], Count]] = [formatting, clippy, python, template, template_rules]
SUITES = {"lint": LINT, "test": [*LINT, rust_tests, end_to_end_tests]}


def _pytest(directory: Path, extra: dict[str, str] | None = None) -> Count:
    report = ROOT / ".local" / f"pytest-{directory.name}.xml"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    status = _run(
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", ONE_TEST_SECONDS,
        "--junit-xml", report, directory, extra=extra,
    )  # fmt: skip
    count = _counted(report) if report.exists() else Count(0, 0)
    return count if status == 0 or count.failed else count + Count(0, 1)


def _counted(report: Path) -> Count:
    suites = [suite.attrib for suite in xml.etree.ElementTree.parse(report).iter("testsuite")]
    total, failed, skipped = (
        sum(int(suite[name]) for suite in suites for name in names)
        for names in (["tests"], ["failures", "errors"], ["skipped"])
    )
    return Count(max(total - failed - skipped, 0), failed)


def _run(*command: object, extra: dict[str, str] | None = None) -> int:
    environment = tool_environment() | (extra or {})
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=environment, check=False).returncode


def main(name: str) -> int:
    counts: dict[str, Count] = {}
    for suite in SUITES[name]:
        print(f"\n=== {suite.__name__.replace('_', ' ')}", flush=True)
        counts[suite.__name__] = suite()
    print("\n=== summary")
    for suite_name, count in counts.items():
        print(f"{suite_name.replace('_', ' '):20} {count}")
    total = sum(counts.values(), Count(0, 0))
    print(f"\n{total}")
    return 1 if total.failed else 0


if __name__ == "__main__":
    os.environ.pop("AUDIT_EXPORT_LOCAL_DIRECTORY", None)
    sys.exit(main(sys.argv[1]))
