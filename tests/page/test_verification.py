"""The verification of folders in a browser, offline and in a worker."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page import answers
from tests.page.exported import write_export
from tests.page.service import Refused
from tests.page.visit import Visit

KEY = "File with the public key (PEM)"
FOLDER = "Folder of the export"


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def choose(page: Page, folder: Path, key: Path | None) -> None:
    if key is not None:
        page.get_by_label(KEY).set_input_files(key)
    page.get_by_label(FOLDER).set_input_files(folder)
    page.get_by_role("button", name="Verify", exact=True).click()


def verdict(visit: Visit) -> Locator:
    return visit.page.get_by_role("region", name="Result").locator(".verdict")


@contextmanager
def offline(visit: Visit) -> Iterator[None]:
    visit.page.context.set_offline(True)
    yield
    visit.page.context.set_offline(False)


def objects(copy: Path) -> list[Path]:
    return sorted((copy / answers.ID).glob("date=*/*"))


def digests(copy: Path) -> list[Path]:
    return sorted((copy / answers.ID / "_digests").glob("*.json"))


def test_a_complete_export(visit: Visit, copy: Path) -> None:
    visit.open("#/verify", signed_in=False)
    choose(visit.page, copy / answers.ID, copy / "key.pem")
    result = visit.page.get_by_role("region", name="Result")
    expect(result.locator(".verdict")).to_contain_text("COMPLETE through 2026-11-22T06:00:00.000Z")
    expect(result).to_contain_text("7, 7 unchanged")
    expect(result).to_contain_text("from the file key.pem")
    with visit.page.expect_download() as download:
        result.get_by_role("button", name="Download").click()
    report = json.loads(Path(download.value.path()).read_text())
    assert (report["verdict"], report["objects"]["intact"], report["breakCount"]) == ("COMPLETE", 7, 0)
    assert visit.service.requests == [], "nothing is sent"


def test_it_works_offline(visit: Visit, copy: Path) -> None:
    visit.open("#/verify", signed_in=False)
    choose(visit.page, copy / answers.ID, copy / "key.pem")
    expect(verdict(visit)).to_contain_text("COMPLETE through")
    # The worker's program is cached now, as after any first visit.
    with offline(visit):
        (objects(copy)[2]).write_bytes(b"x")
        choose(visit.page, copy / answers.ID, None)
        expect(verdict(visit)).to_contain_text("BROKEN: ALTERED_OBJECT")


@pytest.mark.parametrize(
    ("code", "tamper"),
    [
        ("ALTERED_OBJECT", lambda copy: objects(copy)[3].write_bytes(b"x")),
        ("MISSING_OBJECT", lambda copy: objects(copy)[3].unlink()),
        (
            "ALTERED_DIGEST",
            lambda copy: digests(copy)[2].write_bytes(digests(copy)[2].read_bytes().replace(b"acme", b"evil")),
        ),
        ("MISSING_DIGEST", lambda copy: [path.unlink() for path in (copy / answers.ID / "_digests").glob("*02_*")]),
        (
            "EXTRA_OBJECT",
            lambda copy: (copy / answers.ID / "date=2026-11-22" / "<img src=x onerror=alert(1)>").write_text(""),
        ),
        ("NO_DIGESTS", lambda copy: shutil.rmtree(copy / answers.ID / "_digests")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tampered_export(visit: Visit, copy: Path, code: str, tamper: object) -> None:
    assert callable(tamper)
    tamper(copy)
    visit.open("#/verify", signed_in=False)
    choose(visit.page, copy / answers.ID, copy / "key.pem")
    result = visit.page.get_by_role("region", name="Result")
    expect(result.locator(".verdict")).to_contain_text(f"BROKEN: {code}")
    row = result.get_by_role("row").nth(1)
    expect(row.get_by_role("link", name=code)).to_be_visible()


def test_a_folder_is_dropped(visit: Visit, copy: Path) -> None:
    """The folder above the export's, with the key beside it."""
    visit.open("#/verify", signed_in=False)
    page = visit.page
    page.get_by_label(KEY).set_input_files(copy / "key.pem")
    drop(page, copy)
    expect(page.get_by_text(f"copy/{answers.ID}")).to_be_visible()
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(verdict(visit)).to_contain_text("COMPLETE through 2026-11-22T06:00:00.000Z")


def drop(page: Page, path: Path) -> None:
    box = page.locator(".drop").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"x": box["x"] + 20, "y": box["y"] + 20}
        session.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def test_the_listing_of_a_folder_is_counted_and_can_be_cancelled(visit: Visit, tmp_path: Path) -> None:
    """The last files are never found, so that the listing goes on until it is cancelled."""
    visit.open("#/verify", signed_in=False)
    page = visit.page
    page.evaluate(
        """() => {
          const files = Array.from({ length: 150 }, (_, number) => ({
            isFile: true,
            fullPath: `/a/${number}`,
            file: (found) => { if (number < 100) found(new File([], String(number))); },
          }));
          const folder = {
            isFile: false,
            fullPath: "/a",
            createReader: () => ({ readEntries: (found) => found(files.splice(0)) }),
          };
          DataTransferItem.prototype.webkitGetAsEntry = () => folder;
        }"""
    )
    drop(page, tmp_path)
    expect(page.get_by_text("Listing the files: 100 so far…")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Listing the files")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def sign_in_with_keys(visit: Visit, copy: Path, **changes: str) -> None:
    """Opens the view for somebody whose service publishes the key of the export."""
    pem = (copy / "key.pem").read_text()
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    key = {
        "fingerprint": hashlib.sha256(der).hexdigest(),
        "algorithm": "ECDSA_SHA_256",
        "publicKey": pem,
        "current": True,
    }
    visit.service.answers["SigningKeys"] = lambda _: {"keys": [key | changes]}
    visit.open("#/verify")


def cut(copy: Path) -> None:
    """Removes the newest digest."""
    newest = digests(copy)[-1]
    newest.with_name(f"{newest.name}.sig").unlink()
    newest.unlink()


def test_keys_and_end_of_the_service(visit: Visit, copy: Path) -> None:
    """Somebody who is signed in needs no file, and a copy that is older than the export is outdated."""
    sign_in_with_keys(visit, copy)
    choose(visit.page, copy / answers.ID, None)
    expect(verdict(visit)).to_contain_text("COMPLETE through")
    result = visit.page.get_by_role("region", name="Result")
    expect(result).to_contain_text("published by the service")
    expect(result).to_contain_text("through 2026-11-22T06:00:00.000Z, by the service")
    cut(copy)
    choose(visit.page, copy / answers.ID, None)
    expect(verdict(visit)).to_contain_text("OUTDATED: complete through 2026-11-22T04:00:00.000Z")


def test_an_early_time_does_not_hide_the_end_of_the_service(visit: Visit, copy: Path) -> None:
    cut(copy)
    sign_in_with_keys(visit, copy)
    visit.page.get_by_label("Exported through").fill("2026-11-22T00:00:00Z")
    choose(visit.page, copy / answers.ID, None)
    expect(verdict(visit)).to_contain_text("OUTDATED")


def test_a_service_that_does_not_answer_is_reported_before_the_verdict(visit: Visit, copy: Path) -> None:
    cut(copy)
    sign_in_with_keys(visit, copy)
    visit.service.refuse("Export", Refused("INTERNAL", "The service failed.", 500))
    choose(visit.page, copy / answers.ID, None)
    expect(visit.page.get_by_role("alert")).to_contain_text("could not be asked")
    expect(visit.page.get_by_role("region", name="Result")).to_have_count(0)
    visit.page.get_by_role("button", name="Verify without it").click()
    result = visit.page.get_by_role("region", name="Result")
    expect(result).to_contain_text("nothing: missing digests at the end would not show")
    expect(result.locator(".verdict .badge")).to_have_class("badge warning")


def test_an_export_of_somebody_else_has_no_end_here(visit: Visit, copy: Path) -> None:
    sign_in_with_keys(visit, copy)
    visit.service.refuse("Export", Refused("NOT_FOUND", "There is no export configuration with this ID."))
    choose(visit.page, copy / answers.ID, None)
    expect(visit.page.get_by_role("region", name="Result")).to_contain_text("belongs to another organization")


def test_a_key_with_another_fingerprint_is_refused(visit: Visit, copy: Path) -> None:
    sign_in_with_keys(visit, copy, fingerprint="0" * 64)
    choose(visit.page, copy / answers.ID, None)
    expect(visit.page.get_by_role("alert")).to_contain_text("does not match its fingerprint")


def test_a_result_goes_with_what_it_is_about(visit: Visit, copy: Path, exported: Path) -> None:
    """Another folder, key, time or place removes the result of the last one."""
    page = visit.page
    visit.open("#/verify", signed_in=False)
    page.locator("details > summary").click()
    changes: list[Callable[[], None]] = [
        lambda: page.get_by_label(FOLDER).set_input_files(exported / answers.ID),
        lambda: page.get_by_label(KEY).set_input_files(exported / "key.pem"),
        lambda: page.get_by_label("Exported through").fill("2026-11-22T06:00:00Z"),
        lambda: page.get_by_label("Place that was copied").fill(f"s3://acme-audit/audit/logs/{answers.ID}"),
        lambda: page.get_by_label("Require the whole export").check(),
    ]
    for change in changes:
        choose(page, copy / answers.ID, copy / "key.pem")
        expect(verdict(visit)).to_contain_text("COMPLETE through")
        change()
        expect(page.get_by_role("region", name="Result")).to_have_count(0)


def test_one_of_several_exports_is_chosen(visit: Visit, copy: Path) -> None:
    page = visit.page
    other = "9d1f0a77-2b1c-4c8e-8b0a-3f6c2d5e4a1b"
    shutil.copytree(copy / answers.ID, copy / other)
    visit.open("#/verify", signed_in=False)
    choose(page, copy, copy / "key.pem")
    expect(page.get_by_role("region", name="Result")).to_contain_text(f"copy/{answers.ID}")
    expect(verdict(visit)).to_contain_text("COMPLETE through")
    page.get_by_label("Export", exact=True).select_option(f"copy/{other}")
    expect(page.get_by_role("region", name="Result")).to_have_count(0)
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(verdict(visit)).to_contain_text("BROKEN: SPLICED_CHAIN")


def test_the_folder_beside_is_asked_for(visit: Visit, tmp_path: Path) -> None:
    """Objects in the layout of Security Lake are beside the export's folder."""
    write_export(tmp_path, "Security Lake and back;")
    visit.open("#/verify", signed_in=False)
    choose(visit.page, tmp_path / answers.ID, tmp_path / "key.pem")
    expect(visit.page.get_by_role("region", name="Result")).to_contain_text("Choose the folder above")
    choose(visit.page, tmp_path, None)
    expect(verdict(visit)).to_contain_text("COMPLETE through")


def test_a_worker_that_can_not_be_loaded_is_reported(visit: Visit, copy: Path) -> None:
    visit.page.route("**/verification-worker-*", lambda route: route.abort())
    visit.open("#/verify", signed_in=False)
    choose(visit.page, copy / answers.ID, copy / "key.pem")
    expect(visit.page.get_by_role("alert")).to_contain_text("could not be completed", timeout=30_000)


def test_an_expected_time_is_compared(visit: Visit, copy: Path) -> None:
    visit.service.refuse("SigningKeys", Refused("INTERNAL", "The service failed.", 500))
    visit.open("#/verify", signed_in=False)
    visit.page.get_by_label("Exported through").fill("2026-11-22T08:00:00Z")
    choose(visit.page, copy / answers.ID, copy / "key.pem")
    expect(verdict(visit)).to_contain_text("BROKEN: TRUNCATED_CHAIN")
    visit.page.get_by_label("Exported through").fill("tomorrow")
    visit.page.get_by_role("button", name="Verify", exact=True).click()
    expect(visit.page.get_by_role("alert")).to_contain_text("RFC 3339")


def test_a_private_key_is_refused(visit: Visit, copy: Path) -> None:
    (copy / "key.pem").write_text("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n")
    visit.open("#/verify", signed_in=False)
    visit.page.get_by_label(KEY).set_input_files(copy / "key.pem")
    expect(visit.page.get_by_role("alert")).to_contain_text("never a private one")
    choose(visit.page, copy / answers.ID, None)
    expect(visit.page.get_by_text("Choose the file with the public key, or sign in")).to_be_visible()


def test_accessibility_of_results(visit: Visit, copy: Path) -> None:
    visit.open("#/verify", signed_in=False)
    choose(visit.page, copy / answers.ID, copy / "key.pem")
    expect(verdict(visit)).to_contain_text("COMPLETE through")
    assert visit.accessibility() == []
    objects(copy)[3].unlink()
    choose(visit.page, copy / answers.ID, None)
    expect(verdict(visit)).to_contain_text("BROKEN: MISSING_OBJECT")
    assert visit.accessibility() == []
