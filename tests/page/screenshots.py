"""Takes the pictures of the page that README.md, docs/PAGE.md and docs/CUSTOMER_GUIDE.md show.

Usage: python -m tests.page.screenshots
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from infra.local.settings import ROOT
from tests.page import answers
from tests.page import test_views as views
from tests.page.exported import write_export
from tests.page.service import serving
from tests.page.visit import NARROW, Scheme, Visit, launch, visiting

FOLDER = ROOT / "docs" / "images"
# Shortly after the newest window of the answers: relative times do not differ with each run.
NOW = "2026-11-22T10:10:00Z"


@dataclass(frozen=True)
class Picture:
    view: Callable[[Visit], None]
    size: tuple[int, int]
    scheme: Scheme = "light"
    is_whole: bool = False


def open_detail(visit: Visit) -> None:
    status = visit.service.configuration["status"]
    visit.service.configuration["status"] = status | {"nextExportAt": "2026-11-22T12:00:00Z"}
    views.open_detail(visit)


def open_verified(visit: Visit) -> None:
    views.open_verification(visit)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_export(folder)
        visit.page.get_by_label("File with the public key").set_input_files(folder / "key.pem")
        visit.page.get_by_label("Folder of the export").set_input_files(folder / answers.ID)
        visit.page.get_by_label("Exported through").fill("2026-11-22T06:00:00Z")
        visit.page.get_by_role("button", name="Verify", exact=True).click()
        visit.page.get_by_text("COMPLETE through").last.wait_for()


PICTURES = {
    "page-create.png": Picture(views.open_created, (1000, 800), is_whole=True),
    "page-detail.png": Picture(open_detail, (1000, 1150)),
    "page-detail-dark.png": Picture(open_detail, NARROW, "dark"),
    "page-verify.png": Picture(open_verified, (1000, 800), is_whole=True),
}


def main() -> None:
    with sync_playwright() as playwright, serving() as address:
        browser = launch(playwright)
        for name, picture in PICTURES.items():
            with visiting(browser, address, scheme=picture.scheme, size=picture.size) as visit:
                visit.page.clock.set_fixed_time(NOW)
                picture.view(visit)
                visit.page.wait_for_load_state("networkidle")
                visit.page.screenshot(path=FOLDER / name, animations="disabled", full_page=picture.is_whole)
            print(FOLDER / name)
        browser.close()


if __name__ == "__main__":
    main()
