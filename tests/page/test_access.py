"""The page without a mouse, in colours of the system, and with times in UTC."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page import answers
from tests.page.test_views import focused_names, open_detail, open_list
from tests.page.visit import Visit

# How long a request may take to leave.
PATIENCE_STEPS = 100
STEP_MILLISECONDS = 100


class NoMouse(Exception):
    pass


@pytest.fixture(autouse=True)
def no_mouse(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests press keys only."""

    def refuse(*_: object, **__: object) -> None:
        raise NoMouse

    for kind in (Page, Locator):
        for name in ("click", "dblclick", "tap", "check", "uncheck", "set_checked", "hover", "drag_to"):
            if hasattr(kind, name):
                monkeypatch.setattr(kind, name, refuse)


def tab_until(page: Page, name: str) -> None:
    """Presses the tabulator until the control with this name has the focus."""
    here: str = page.evaluate("document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent")
    # From the end, the way leads through the browser's own controls to the beginning.
    names = [here]
    for _ in range(2):
        if here.startswith(name):
            return
        for here in focused_names(page, 120):
            names.append(here)
            if here.startswith(name):
                return
    raise AssertionError(f"no way to {name}: {names}")


def requested(visit: Visit, name: str) -> list[answers.Json]:
    return [variables for asked, variables, _ in visit.service.requests if asked == name]


def soon_requested(visit: Visit, name: str) -> list[answers.Json]:
    """Waits for the first request: on a busy machine, the network is idle before it leaves."""
    for _ in range(PATIENCE_STEPS):
        if requested(visit, name):
            break
        visit.page.wait_for_timeout(STEP_MILLISECONDS)
    return requested(visit, name)


def test_an_export_is_deleted(visit: Visit) -> None:
    visit.service.answers["Delete"] = lambda _: {"configuration": visit.service.configuration}
    open_detail(visit)
    page = visit.page
    tab_until(page, "Delete")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete the export?")
    expect(dialog).to_be_visible()
    # Escape closes, and the focus is where it was.
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_be_focused()
    page.keyboard.press("Enter")
    tab_until(page, "Enter the name of the bucket")
    page.keyboard.type("acme-audi")
    page.keyboard.press("Enter")
    assert requested(visit, "Delete") == [], "the name is not complete"
    page.keyboard.type("t")
    # The focus stays in the dialog, apart from the browser's own controls.
    names = set(focused_names(page, 6))
    assert names <= {"Enter the name of the bucket to confirm: acme-audit", "Delete submit", "Cancel"}, names
    dialog.get_by_label("Enter the name").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Exports")).to_be_focused()
    assert soon_requested(visit, "Delete") == [{"id": answers.ID}]


def test_an_export_is_disabled(visit: Visit) -> None:
    open_detail(visit)
    page = visit.page
    tab_until(page, "Disable")
    page.keyboard.press("Space")
    expect(page.get_by_role("dialog", name="Disable the export?")).to_be_visible()
    tab_until(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Disable")).to_be_focused()
    page.keyboard.press("Enter")
    # Else the button behind the dialog may still have the focus.
    expect(page.get_by_role("dialog", name="Disable the export?")).to_be_visible()
    tab_until(page, "Disable")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert soon_requested(visit, "Disable") == [{"id": answers.ID}]


def type_time(page: Page) -> None:
    """Enters a time. With which keys is the browser's matter: its field has parts in the order of the system's language."""
    page.locator(":focus").fill("2026-11-21T10:00")


def type_period(page: Page, zone: str) -> None:
    """Enters the same time as both ends of a period, whose fields name the zone."""
    for end in ("From", "To, exclusive"):
        tab_until(page, f"{end} ({zone}")
        type_time(page)


def test_a_repair_and_a_replay_are_requested(visit: Visit) -> None:
    visit.service.answers["RequestRepair"] = lambda _: {"repair": answers.repair(status="RUNNING")}
    visit.service.answers["RequestReplay"] = lambda _: {"replay": answers.replay()}
    visit.service.answers["CancelReplay"] = lambda _: {"replay": answers.replay(status="CANCELLED")}
    open_detail(visit)
    page = visit.page
    type_period(page, "your local time)")
    tab_until(page, "Also replace files")
    page.keyboard.press("Space")
    tab_until(page, "Repair submit")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Put lost files back").get_by_text("Running")).to_be_visible()
    # Berlin is an hour ahead of UTC.
    time = "2026-11-21T09:00:00.000Z"
    assert requested(visit, "RequestRepair") == [{"id": answers.ID, "from": time, "to": time, "overwrite": True}]

    tab_until(page, "Cancel the replay")
    page.keyboard.press("Enter")
    type_period(page, "UTC")
    tab_until(page, "Path for the replay")
    page.keyboard.type("replays/siem")
    tab_until(page, "Policies for this path")
    page.keyboard.press("Enter")
    page.get_by_role("region", name="Export a past period again").get_by_text("Trust policy").first.wait_for()
    tab_until(page, "Replay submit")
    page.keyboard.press("Enter")
    time = "2026-11-21T10:00:00.000Z"
    assert soon_requested(visit, "RequestReplay") == [
        {"id": answers.ID, "from": time, "to": time, "bucketPath": "replays/siem"}
    ]
    assert [one["id"] for one in requested(visit, "CancelReplay")] == [answers.replay()["id"]]


def test_a_folder_is_verified(visit: Visit, exported: Path) -> None:
    visit.open("#/verify", signed_in=False)
    page = visit.page
    files = [exported / "key.pem", exported / answers.ID]
    page.on("filechooser", lambda chooser: chooser.set_files(files.pop(0)))
    tab_until(page, "File with the public key")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 key of key.pem will be used.")).to_be_visible()
    tab_until(page, "Folder")
    page.keyboard.press("Enter")
    expect(page.get_by_text("files in")).to_be_visible()
    tab_until(page, "Verify")
    page.keyboard.press("Enter")
    result = page.get_by_role("region", name="Result")
    expect(result.locator(".verdict")).to_contain_text("COMPLETE through")
    tab_until(page, "Download")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_times_in_utc_are_one_button_away_and_remembered(visit: Visit) -> None:
    open_list(visit)
    page = visit.page
    expect(page.get_by_text("22 Nov 2026, 09:00").first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    tab_until(page, "Times in UTC")
    page.keyboard.press("Enter")
    expect(page.get_by_text("2026-11-22 08:00:00 UTC").first).to_be_visible()
    expect(page.get_by_role("button", name="Times in UTC")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("Object.keys(localStorage).join()") == "audit-export.utc"
    open_detail(visit)
    newest = page.locator(".column").last
    assert "2026-11-22 08:00:00 UTC" in (newest.get_attribute("aria-label") or "")
    button = page.get_by_role("button", name="Times in UTC")
    button.focus()
    page.keyboard.press("Space")
    assert "22 Nov 2026, 09:00" in (newest.get_attribute("aria-label") or "")
    assert page.evaluate("localStorage.length") == 0


def test_states_differ_in_colours_of_the_system(visit: Visit) -> None:
    """The chosen window and the present view can be seen, and charts have the colours that people chose."""
    open_detail(visit)
    page = visit.page
    page.emulate_media(forced_colors="active", color_scheme="dark")
    text = page.evaluate("getComputedStyle(document.body).color")

    def style(selector: str, name: str) -> str:
        found: str = page.locator(selector).first.evaluate("(one, name) => getComputedStyle(one)[name]", name)
        return found

    chosen, other = ".column[aria-pressed=true]", ".column:not([aria-pressed=true])"
    assert style(chosen, "borderTopColor") != style(other, "borderTopColor")
    assert style("nav a[aria-current]", "borderBottomColor") != style("nav a:not([aria-current])", "borderBottomColor")
    for drawn in (".column.delivered .bar rect", ".meter .good"):
        assert style(drawn, "fill") == text
    assert style(".column.failed .bar rect", "stroke") == text
