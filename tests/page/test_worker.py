"""The worker in which the page verifies: it is there before it is needed, has the page's policy, and reports its progress."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.page import answers
from tests.page.generated import write_generated
from tests.page.visit import Visit

OBJECTS, OBJECT_BYTES = 48, 1_000_000
# Keeps what screen readers are given, and each state of the bar.
WATCH = """() => {
  window.announced = [];
  window.bars = [];
  new MutationObserver(() => {
    const text = document.querySelector("main > [role=status]").textContent.trim();
    if (text !== window.announced.at(-1)) window.announced.push(text);
    const bar = document.querySelector("main progress");
    if (bar) window.bars.push(bar.value / bar.max);
  }).observe(document.querySelector("main"), {subtree: true, childList: true, characterData: true, attributes: true});
}"""


def open_view(visit: Visit) -> Page:
    visit.open("#/verify", signed_in=False)
    visit.page.wait_for_load_state("networkidle")
    return visit.page


def verify(page: Page, folder: Path) -> None:
    page.get_by_label("File with the public key").set_input_files(folder / "key.pem")
    page.get_by_label("Folder of the export").set_input_files(folder / answers.ID)
    page.get_by_role("button", name="Verify", exact=True).click()


def test_the_first_verification_is_offline(visit: Visit, exported: Path) -> None:
    """Everything is loaded with the view. Nothing was verified before, and nothing is in a cache."""
    page = open_view(visit)
    page.context.set_offline(True)
    verify(page, exported)
    verdict = page.get_by_role("region", name="Result").locator(".verdict")
    expect(verdict).to_contain_text("COMPLETE through 2026-11-22T06:00:00.000Z")


def test_the_policy_of_the_worker_holds_and_is_heard(visit: Visit) -> None:
    """The worker may not connect to another origin, and a visit with a violation in a worker fails."""
    page = open_view(visit)
    (worker,) = page.workers
    outcome = worker.evaluate("fetch('https://elsewhere.example/').then(() => 'sent', error => error.name)")
    assert outcome == "TypeError"
    page.wait_for_timeout(200)
    assert [problem for problem in visit.problems if "connect-src https://elsewhere.example/" in problem] != []
    # It was made by this test.
    visit.problems.clear()
    visit.violations.clear()


def test_progress_is_announced(visit: Visit, tmp_path: Path) -> None:
    """In steps of a quarter for screen readers, and by a bar."""
    through = write_generated(tmp_path, OBJECTS, OBJECT_BYTES)
    page = open_view(visit)
    page.evaluate(WATCH)
    verify(page, tmp_path)
    verdict = page.get_by_role("region", name="Result").locator(".verdict")
    expect(verdict).to_contain_text(f"COMPLETE through {through}", timeout=60_000)
    announced = page.evaluate("window.announced")
    steps = [int(text.split(" ")[0]) for text in announced if text.endswith("% of the files are read")]
    assert steps == sorted(set(steps)), announced
    assert len(steps) >= 2, announced
    assert set(steps) <= {0, 25, 50, 75, 100}
    assert announced[-1] == f"COMPLETE through {through}"
    bars = page.evaluate("window.bars")
    assert any(0 < bar < 1 for bar in bars), bars
