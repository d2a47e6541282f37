"""The sources of the page for administrators: pinned packages, no markup from data, and a build that is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.local import page

PACKAGES = json.loads((page.WEB / "package-lock.json").read_text())["packages"]
SOURCES = sorted(path for path in (page.WEB / "src").rglob("*.ts*"))


def test_every_package_is_pinned_by_hash_and_comes_from_whatever_registry_is_set() -> None:
    installed = {name: package for name, package in PACKAGES.items() if name}
    assert len(installed) > 20
    assert [name for name, package in installed.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in installed.items() if "resolved" in package] == []


def test_only_two_packages_reach_the_browser() -> None:
    manifest = json.loads((page.WEB / "package.json").read_text())
    assert set(manifest["dependencies"]) == {"oauth4webapi", "preact"}
    versions = [*manifest["dependencies"].values(), *manifest["devDependencies"].values()]
    assert [version for version in versions if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []


# Ways to make markup or code from a text. The content security policy stops scripts, but not forged content.
FROM_TEXT = re.compile(
    r"dangerouslySetInnerHTML|(?:inner|outer)HTML|insertAdjacentHTML|createContextualFragment|document\.write|DOMParser"
    r"|srcdoc|\beval\b|new Function"
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(page.WEB)))
def test_no_markup_and_no_code_is_made_from_texts(path: Path) -> None:
    assert FROM_TEXT.findall(path.read_text()) == []


def test_tokens_are_stored_nowhere() -> None:
    """
    What has to survive the redirect to the issuer is stored meanwhile, and whether times are shown in UTC. The tests in a
    browser look at what that is.
    """
    storing = {
        str(path.relative_to(page.WEB)): set(
            re.findall(r"localStorage|indexedDB|sessionStorage|document\.cookie", text)
        )
        for path in SOURCES
        if (text := path.read_text())
    }
    assert {name: found for name, found in storing.items() if found} == {
        "src/format.ts": {"localStorage"},
        "src/session/oidc.ts": {"sessionStorage"},
        "src/unsaved.ts": {"sessionStorage"},
    }


def test_a_build_that_differs_is_found(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        (folder / "assets").mkdir(parents=True)
        (folder / "index.html").write_text("page")
        (folder / "assets" / "a.js").write_text("1")
    assert page.differences(one, other) == []
    (other / "assets" / "a.js").write_text("2")
    (one / "assets" / "old.js").write_text("")
    (other / "new.css").write_text("")
    assert page.differences(one, other) == ["assets/a.js", "assets/old.js", "new.css"]


def test_the_verification_is_measured_apart(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-1.js").write_bytes(b"a" * 10_000)
    alone, nothing = page.compressed_bytes(tmp_path)
    assert (0 < alone < 200, nothing) == (True, 0)
    (tmp_path / "assets" / "verification-worker-1.js").write_bytes(b"b" * 10_000)
    same, verification = page.compressed_bytes(tmp_path)
    assert same == alone
    assert 0 < verification < 200
