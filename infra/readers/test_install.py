"""Versions of Debian packages that are gone are reported with what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from infra.readers.readers import PROGRAMS

SCRIPT = Path(__file__).with_name("debian.sh")


def test_a_version_that_is_gone_is_reported(tmp_path: Path) -> None:
    packages = tmp_path / "packages.txt"
    packages.write_text("# A comment\njq=0.1-1\n")
    ran = subprocess.run([SCRIPT, tmp_path / "debian", packages], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "the mirror has no jq=0.1-1 for Debian 12. Run 'apt-get update'" in ran.stderr
    assert f"'apt-cache policy jq' shows into {packages}" in ran.stderr
    assert not (tmp_path / "debian" / "stamp").exists()


def test_readers_are_those_of_the_list() -> None:
    names = {"jq", "lnav", "mlr", "sqlite3", "zstd"}
    assert names <= {path.name for path in PROGRAMS.iterdir()}
    assert shutil.which("jq", path=str(PROGRAMS))
