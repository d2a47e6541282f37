"""How long a person waits: for the list of exports, and for the verification of a large folder.

Prints seconds; judges nothing, since a busy or slow machine is no fault of the page. By default a server of the tests is
behind the page. For the local stack, give the address that `make up` printed.

Usage: python -m tests.page.speed [--page ADDRESS] [--megabytes NUMBER]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.page import answers
from tests.page.generated import write_generated
from tests.page.service import serving
from tests.page.visit import launch, visiting

VISITS = 5
# Objects of the size that most have, and 1 GB of them.
OBJECT_BYTES = 8 * 1024 * 1024
MEGABYTES = 1_000
PATIENCE_MILLISECONDS = 600_000
# Notes when the first link of the list has been painted and gets clicks: nothing is in front of it.
_OBSERVE = """
(() => {
  const look = () => {
    const link = document.querySelector("main table a, main .empty a");
    if (!link) return requestAnimationFrame(look);
    const box = link.getBoundingClientRect();
    const isOnTop = link.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
    // The frame after the one that painted it.
    requestAnimationFrame(() => (isOnTop ? setTimeout(() => performance.mark("first-link")) : look()));
  };
  requestAnimationFrame(look);
})();
"""


def seconds_to_first_link(page: Page, address: str) -> float:
    """Opens the page with a token in its address, and returns when the list can be used, from the start of the visit.

    Nothing is in the cache if the page is the first of its context.
    """
    page.add_init_script(_OBSERVE)
    page.goto(address)
    mark = page.wait_for_function("() => performance.getEntriesByName('first-link')[0]?.startTime")
    seconds: float = mark.json_value() / 1_000
    page.locator("main table a, main .empty a").first.click()
    expect(page).to_have_url(re.compile("#/(exports/|new)"))
    return seconds


def measure_list(browser: Browser, address: str, *, token: str | None) -> list[float]:
    """Measures cold visits. `token`: of the service behind the page; None: that of the tests is behind it."""
    measured = []
    for _ in range(VISITS):
        with visiting(browser, address, has_service=token is not None, ignore_https_errors=True) as visit:
            measured.append(seconds_to_first_link(visit.page, f"{address}#token={token or visit.token}"))
    return measured


def measure_verification(browser: Browser, address: str, megabytes: int) -> tuple[int, float]:
    """Verifies a folder of that size; returns its number of objects, and the seconds from the click to the verdict."""
    objects = -(-megabytes * 1_000_000 // OBJECT_BYTES)
    with tempfile.TemporaryDirectory() as temporary, visiting(browser, address) as visit:
        folder = Path(temporary)
        through = write_generated(folder, objects, OBJECT_BYTES)
        visit.open("#/verify", signed_in=False)
        visit.page.get_by_label("File with the public key").set_input_files(folder / "key.pem")
        visit.page.get_by_label("Folder of the export").set_input_files(folder / answers.ID)
        start = time.monotonic()
        visit.page.get_by_role("button", name="Verify", exact=True).click()
        verdict = visit.page.get_by_role("region", name="Result").locator(".verdict")
        expect(verdict).to_contain_text(f"COMPLETE through {through}", timeout=PATIENCE_MILLISECONDS)
        seconds = time.monotonic() - start
        visit.check()
    return objects, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", help="the address of the page with a token in its fragment")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="the size of the folder to verify")
    options = parser.parse_args()
    with sync_playwright() as playwright, serving() as served:
        browser = launch(playwright)
        print(f"Chromium {browser.version}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
        address, _, token = (options.page or served).partition("#token=")
        seconds = measure_list(browser, address, token=token or None)
        print(
            f"The list can be used after {statistics.median(seconds):.2f} s "
            f"(median of {VISITS} cold visits; the slowest {max(seconds):.2f} s)"
        )
        objects, elapsed = measure_verification(browser, served, options.megabytes)
        size = objects * OBJECT_BYTES / 1_000_000
        print(f"{size:,.0f} MB in {objects} files verified in {elapsed:.1f} s: {size / elapsed:.0f} MB/s")
        browser.close()


if __name__ == "__main__":
    main()
