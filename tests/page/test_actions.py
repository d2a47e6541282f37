"""Everything that a person does with an export: by keyboard, what leaves the page, what it shows then, and its refusals."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page import answers
from tests.page.answers import Json
from tests.page.service import Refused, Service
from tests.page.visit import Visit

DETAIL = f"#/exports/{answers.ID}"
EDIT = f"{DETAIL}/edit"
SENTENCE = "The service states a reason, and what to do about it."
WEBHOOK = "https://hooks.example.com/audit"
# In the zone of the visit, which is an hour ahead of UTC; and in UTC.
FROM, TO = "2026-11-21T21:00", "2026-11-21T23:00"
PERIOD = {"from": "2026-11-21T20:00:00.000Z", "to": "2026-11-21T22:00:00.000Z"}
HEALTHY = answers.configuration()["status"]
ON: Json = {"enabled": True, "status": HEALTHY}
OFF: Json = {"enabled": False, "status": HEALTHY | {"health": "DISABLED", "nextExportAt": None}}
# More stops than any view has.
MOST_STOPS = 150
SIGNATURE = b"\x30\x45signature"
DIGEST: Json = {
    "bucketName": answers.BUCKET,
    "objectKey": f"audit/logs/{answers.ID}/_digests/3.json",
    "digest": '{"version":1,"sequence":3}',
    "sha256": "5" * 64,
    "signatureObjectKey": f"audit/logs/{answers.ID}/_digests/3.json.sig",
    "signature": base64.b64encode(SIGNATURE).decode(),
    "signatureSha256": "6" * 64,
}

Respond = Callable[[Service, Json], Json]
"""An answer of the service, which the operation changes first."""


def reach(page: Page, target: Locator) -> None:
    """Presses the tabulator until `target` has the focus, which has to be visible and marked."""
    target.wait_for()
    for _ in range(MOST_STOPS):
        if target.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(target).to_be_focused()
    assert target.evaluate(
        """one => {
          const box = one.getBoundingClientRect();
          const style = getComputedStyle(one);
          return box.width > 0 && box.height > 0 && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        }"""
    ), "the focus can't be seen"


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    reach(page, target)
    page.keyboard.press(key)


def button(place: Page | Locator, name: str) -> Locator:
    return place.get_by_role("button", name=name, exact=True)


def toolbar(page: Page) -> Locator:
    return page.get_by_role("group", name="Actions")


def section(page: Page, heading: str) -> Locator:
    return page.get_by_role("region", name=heading, exact=True)


def repairs(page: Page) -> Locator:
    return section(page, "Put lost files back")


def replays(page: Page) -> Locator:
    return section(page, "Export a past period again")


def type_time(page: Page, target: Locator, time: str) -> None:
    """Types a time of an evening into a browser's field: month, day, year, hour and minute."""
    reach(page, target)
    (year, month, day), (hour, minute) = time[:10].split("-"), time[11:].split(":")
    page.keyboard.type(f"{month}{day}{year}")
    # The field would take two more digits of a year.
    page.keyboard.press("ArrowRight")
    page.keyboard.type(f"{int(hour) - 12:02}{minute}P")
    expect(target).to_have_value(time)


def disable(page: Page) -> None:
    press(page, button(toolbar(page), "Disable"))
    press(page, button(page.get_by_role("dialog"), "Disable"))


def disable_again(page: Page) -> None:
    page.keyboard.press("Enter")
    press(page, button(page.get_by_role("dialog"), "Disable"))


def enable(page: Page) -> None:
    press(page, button(toolbar(page), "Enable"), "Space")


def open_delete(page: Page) -> None:
    press(page, button(toolbar(page), "Delete"))
    dialog = page.get_by_role("dialog")
    expect(button(dialog, "Delete")).to_be_disabled()
    reach(page, dialog.get_by_label("Enter the name of the bucket"))
    page.keyboard.type(answers.BUCKET)


def delete(page: Page) -> None:
    open_delete(page)
    press(page, button(page.get_by_role("dialog"), "Delete"))


def run(page: Page) -> None:
    press(page, button(toolbar(page), "Export now"))


def send_test_notice(page: Page) -> None:
    press(page, button(page, "Send a test notice"))


def repair(page: Page) -> None:
    place = repairs(page)
    type_time(page, place.get_by_label("From"), FROM)
    type_time(page, place.get_by_label("To, exclusive"), TO)
    press(page, place.get_by_label("Also replace files"), "Space")
    press(page, button(place, "Repair"))


def replay(page: Page) -> None:
    place = replays(page)
    type_time(page, place.get_by_label("From"), FROM)
    type_time(page, place.get_by_label("To, exclusive"), TO)
    reach(page, place.get_by_label("Path for the replay"))
    page.keyboard.type("replays/siem")
    press(page, button(place, "Replay"))


def cancel_replay(page: Page) -> None:
    press(page, button(replays(page), "Cancel the replay"))


def load_digest(page: Page) -> None:
    """Chooses a window that was delivered, by the arrow keys, and loads its digest."""
    reach(page, page.locator(".column[aria-pressed=true]"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    press(page, button(page, "Load the digest"))


def try_again(page: Page) -> None:
    press(page, button(page.get_by_role("alert"), "Try again"))


def load_older_windows(page: Page) -> None:
    press(page, button(page, "Older windows"))


def describe(page: Page) -> None:
    """Changes the description, and sends the form."""
    reach(page, page.get_by_label("Description"))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("For the SIEM")
    press(page, button(page, "Save"))


def changes(**changed: Any) -> Respond:
    """Answers with the export, which is changed from now on."""

    def respond(service: Service, _: Json) -> Json:
        service.configuration = service.configuration | changed
        return {"configuration": service.configuration}

    return respond


def removes(service: Service, _: Json) -> Json:
    service.answers["Exports"] = lambda _: {"exports": []}
    return {"configuration": {"id": answers.ID}}


def notifies(_: Service, __: Json) -> Json:
    return {"results": [{"url": WEBHOOK, "isDelivered": True, "status": 204, "error": None}]}


def begins_repair(_: Service, __: Json) -> Json:
    counts = {"checked": 4, "repaired": 2, "present": 1, "unrepaired": 1}
    return {"repair": answers.repair(status="RUNNING", unrepairedFiles=[], **counts)}


def begins_replay(service: Service, _: Json) -> Json:
    service.answers["Replays"] = lambda _: {"replays": [answers.replay()]}
    return {"replay": answers.replay(status="PENDING", percent=0)}


def ends_replay(service: Service, _: Json) -> Json:
    cancelled = answers.replay(status="CANCELLED")
    service.answers["Replays"] = lambda _: {"replays": [cancelled]}
    return {"replay": cancelled}


def shows_jobs(_: Service, variables: Json) -> Json:
    jobs = answers.jobs()
    if "after" not in variables:
        return {"jobs": jobs | {"pageInfo": {"hasNextPage": True, "endCursor": "older"}}}
    before = {"startTimestamp": "2026-11-21T22:00:00.000Z", "endTimestamp": "2026-11-22T00:00:00.000Z"}
    oldest = jobs["nodes"][-1] | before | {"id": f"{answers.ID}.before", "events": 77}
    return {"jobs": jobs | {"nodes": [oldest]}}


def has_no_repair(service: Service) -> None:
    service.refuse("Repair", Refused("NOT_FOUND", "There is no repair."))


def has_no_replay(service: Service) -> None:
    service.answers["Replays"] = lambda _: {"replays": []}


def is_off(service: Service) -> None:
    changes(**OFF)(service, {})


def has_older_jobs(service: Service) -> None:
    service.answers["Jobs"] = lambda variables: shows_jobs(service, variables)


def is_disabled(page: Page, _: Service) -> None:
    expect(page.get_by_role("dialog")).to_have_count(0)
    # One button for both keeps the focus.
    expect(button(toolbar(page), "Enable")).to_be_focused()
    expect(page.locator(".status .badge")).to_contain_text("Disabled")
    expect(button(toolbar(page), "Export now")).to_have_count(0)


def is_enabled(page: Page, _: Service) -> None:
    expect(button(toolbar(page), "Disable")).to_be_focused()
    expect(page.locator(".status .badge")).to_contain_text("Healthy")
    expect(button(toolbar(page), "Export now")).to_be_visible()


def is_deleted(page: Page, _: Service) -> None:
    expect(page.get_by_role("heading", name="No export yet")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert page.url.endswith("#/")


def is_in_the_queue(page: Page, _: Service) -> None:
    expect(page.get_by_text("An export is in the queue, of everything received until")).to_be_visible()
    expect(button(toolbar(page), "Export now")).to_be_focused()


def is_delivered(page: Page, _: Service) -> None:
    expect(page.get_by_role("listitem").filter(has_text=WEBHOOK)).to_contain_text("delivered (204)")


def is_repairing(page: Page, _: Service) -> None:
    shown = repairs(page).get_by_role("status")
    expect(shown).to_contain_text("Running 4 files checked: 2 written, 1 present, 1 can't be repaired")
    keeps_the_focus(page)


def is_replaying(page: Page, _: Service) -> None:
    expect(replays(page).get_by_role("status")).to_contain_text("Running 40 %")
    expect(replays(page).get_by_role("progressbar")).to_have_attribute("value", "40")
    keeps_the_focus(page)


def is_cancelled(page: Page, _: Service) -> None:
    expect(replays(page).get_by_role("status")).to_contain_text("Cancelled")
    expect(button(page, "Cancel the replay")).to_have_count(0)
    keeps_the_focus(page)


def is_digest_shown(page: Page, _: Service) -> None:
    expect(page.get_by_role("region", name="digest", exact=True)).to_have_text(DIGEST["digest"])
    expect(page.get_by_text(DIGEST["sha256"])).to_be_visible()
    keeps_the_focus(page)
    files = {"digest": ("objectKey", DIGEST["digest"].encode()), "signature": ("signatureObjectKey", SIGNATURE)}
    for name, (key, content) in files.items():
        with page.expect_download() as download:
            press(page, button(page, f"Download {name}"))
        assert download.value.path().read_bytes() == content, "byte for byte as it is in the bucket"
        assert download.value.suggested_filename == Path(DIGEST[key]).name


def is_older_shown(page: Page, _: Service) -> None:
    columns = page.locator(".column")
    expect(columns).to_have_count(6)
    expect(columns.first).to_have_attribute("aria-label", re.compile("77 Events"))
    expect(button(page, "Older windows")).to_have_count(0)
    keeps_the_focus(page)


def is_saved(page: Page, _: Service) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("For the SIEM")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert page.url.endswith(DETAIL)


def keeps_the_focus(page: Page) -> None:
    """The focus does not get lost together with the button that was pressed."""
    expect(page.locator(":focus")).to_have_count(1)


@dataclass(frozen=True)
class Action:
    """What a person does, the operation and the variables that leave the page, and what it shows of the answer."""

    do: Callable[[Page], None]
    operation: str
    variables: Json
    respond: Respond
    is_shown: Callable[[Page, Service], None]
    refusal: str
    """The code of a refusal that is not about a field."""
    view: str = DETAIL
    repeat: Callable[[Page], None] = lambda page: page.keyboard.press("Enter")
    """After a refusal. The focus is still where the action was started."""
    prepare: Callable[[Service], None] = lambda _: None


OF_EXPORT: Json = {"id": answers.ID}
ACTIONS = [
    Action(disable, "Disable", OF_EXPORT, changes(**OFF), is_disabled, "TRY_AGAIN", repeat=disable_again),
    Action(enable, "Enable", OF_EXPORT, changes(**ON), is_enabled, "LIMIT_EXCEEDED", prepare=is_off),
    Action(delete, "Delete", OF_EXPORT, removes, is_deleted, "TRY_AGAIN"),
    Action(run, "Run", OF_EXPORT, changes(requestedRunThrough=PERIOD["to"]), is_in_the_queue, "TOO_MANY_RUNS"),
    Action(send_test_notice, "TestNotifications", OF_EXPORT, notifies, is_delivered, "TOO_MANY_TESTS"),
    Action(
        repair,
        "RequestRepair",
        OF_EXPORT | PERIOD | {"overwrite": True},
        begins_repair,
        is_repairing,
        "REPAIR_IN_PROGRESS",
        prepare=has_no_repair,
    ),
    Action(
        replay,
        "RequestReplay",
        # These fields are in UTC.
        OF_EXPORT | {"from": f"{FROM}:00.000Z", "to": f"{TO}:00.000Z", "bucketPath": "replays/siem"},
        begins_replay,
        is_replaying,
        "REPLAY_IN_PROGRESS",
        prepare=has_no_replay,
    ),
    Action(
        cancel_replay,
        "CancelReplay",
        {"configuration": answers.ID, "id": answers.replay()["id"]},
        ends_replay,
        is_cancelled,
        "NOT_FOUND",
    ),
    Action(
        load_digest,
        "Digest",
        {"id": f"{answers.ID}.2"},
        lambda *_: {"digest": DIGEST},
        is_digest_shown,
        "NOT_FOUND",
        repeat=try_again,
    ),
    Action(
        load_older_windows,
        "Jobs",
        OF_EXPORT | {"first": 40, "after": "older"},
        shows_jobs,
        is_older_shown,
        "CURSOR_INVALID",
        prepare=has_older_jobs,
    ),
    Action(
        describe,
        "UpdateWithRole",
        {"data": {"id": answers.ID, "version": 3, "description": "For the SIEM"}},
        changes(description="For the SIEM"),
        is_saved,
        "TOO_MANY_CHANGES",
        EDIT,
    ),
]
each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.do.__name__)


def open_view(visit: Visit, action: Action) -> None:
    action.prepare(visit.service)
    visit.open(action.view)
    visit.page.wait_for_load_state("networkidle")


def sent(visit: Visit, operation: str) -> list[Json]:
    """Returns the variables of each request for an operation."""
    return [variables for name, variables, _ in visit.service.requests if name == operation]


@each_action
def test_an_action(visit: Visit, action: Action) -> None:
    """By keyboard alone; and axe finds nothing in what is shown then."""
    service = visit.service
    open_view(visit, action)
    before = len(sent(visit, action.operation))
    service.answers[action.operation] = lambda variables: action.respond(service, variables)
    action.do(visit.page)
    action.is_shown(visit.page, service)
    assert sent(visit, action.operation)[before:] == [action.variables], "it is sent once"
    assert visit.accessibility() == []


@each_action
def test_a_refused_action(visit: Visit, action: Action) -> None:
    """The service's sentence is shown with its code, and the action can be repeated."""
    service, page = visit.service, visit.page
    open_view(visit, action)
    before = len(sent(visit, action.operation))
    service.refuse(action.operation, Refused(action.refusal, SENTENCE, requestId="r-17"))
    action.do(page)
    alert = page.get_by_role("alert").filter(has_text=SENTENCE)
    expect(alert.get_by_role("link", name=action.refusal)).to_have_attribute("href", f"#/codes/{action.refusal}")
    expect(alert).to_contain_text("Request r-17")
    assert sent(visit, action.operation)[before:] == [action.variables]
    assert visit.accessibility() == []
    service.answers[action.operation] = lambda variables: action.respond(service, variables)
    action.repeat(page)
    expect(alert).to_have_count(0)
    action.is_shown(page, service)


DIALOGS: dict[str, Callable[[Page], None]] = {
    "Disable": lambda page: press(page, button(toolbar(page), "Disable")),
    "Delete": open_delete,
}


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_is_accessible_and_can_be_left(visit: Visit, name: str) -> None:
    visit.open(DETAIL)
    page = visit.page
    dialog = page.get_by_role("dialog")
    leave: list[Callable[[], None]] = [
        lambda: page.keyboard.press("Escape"),
        lambda: press(page, button(dialog, "Cancel")),
    ]
    for close in leave:
        DIALOGS[name](page)
        expect(dialog).to_contain_text("Now: 1,234 events wait")
        assert visit.accessibility() == []
        close()
        expect(dialog).to_have_count(0)
        expect(button(toolbar(page), name)).to_be_focused()
    assert sent(visit, name) == []


def test_another_name_does_not_delete(visit: Visit) -> None:
    visit.open(DETAIL)
    page = visit.page
    open_delete(page)
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    expect(button(page.get_by_role("dialog"), "Delete")).to_be_disabled()
    assert sent(visit, "Delete") == []


def test_a_refused_period_is_shown_at_its_field(visit: Visit) -> None:
    """Of a repair and of a replay."""
    visit.service.answers["Replays"] = lambda _: {"replays": []}
    visit.open(DETAIL)
    page = visit.page
    for act, place, operation in ((repair, repairs, "RequestRepair"), (replay, replays, "RequestReplay")):
        problem = f"What is wrong with the end, of {operation}."
        fields = [{"field": "to", "code": "RANGE_INVALID", "message": problem}]
        visit.service.refuse(operation, Refused("INVALID_INPUT", SENTENCE, fields=fields))
        act(page)
        end = place(page).get_by_label("To, exclusive")
        expect(end).to_have_attribute("aria-invalid", "true")
        expect(end).to_have_accessible_description(re.compile(re.escape(problem)))
    assert visit.accessibility() == []


def test_progress_is_shown_until_the_end(visit: Visit) -> None:
    """A repair and a replay are asked about every 5 seconds while they run, and not afterwards."""
    service, page = visit.service, visit.page
    page.clock.install()
    service.answers["Repair"] = lambda _: {"repair": answers.repair(status="RUNNING", checked=3)}
    visit.open(DETAIL)
    expect(repairs(page).get_by_role("status")).to_contain_text("3 files checked")
    expect(replays(page).get_by_role("status")).to_contain_text("40 %")
    service.answers["Repair"] = lambda _: {"repair": answers.repair(status="SUCCEEDED", checked=9, unrepaired=0)}
    service.answers["Replays"] = lambda _: {"replays": [answers.replay(status="SUCCEEDED", percent=100)]}
    page.clock.run_for(5_100)
    expect(repairs(page).get_by_role("status")).to_contain_text("Everything is in the bucket 9 files checked")
    expect(replays(page).get_by_role("status")).to_contain_text("Complete 100 %")
    asked = len(sent(visit, "Repair")), len(sent(visit, "Replays"))
    page.clock.run_for(20_000)
    page.wait_for_load_state("networkidle")
    assert (len(sent(visit, "Repair")), len(sent(visit, "Replays"))) == asked


def test_a_conflict_keeps_both_changes(visit: Visit) -> None:
    """The newest version is loaded on request, with what was changed here; nothing is overwritten unseen."""
    service, page = visit.service, visit.page
    visit.open(EDIT)
    # The version that the form was made of.
    page.get_by_label("Description").wait_for()
    service.refuse("UpdateWithRole", Refused("CONFLICT", SENTENCE))
    service.configuration = service.configuration | {"version": 4, "interval": "EVERY_6_HOURS"}
    describe(page)
    alert = page.get_by_role("alert").filter(has_text=SENTENCE)
    expect(alert).to_contain_text("Somebody else has changed the export since you opened it.")
    expect(alert.get_by_role("link", name="CONFLICT")).to_be_visible()
    assert visit.accessibility() == []
    press(page, button(alert, "Load the new version, and keep my changes"))
    expect(page.get_by_label("Interval")).to_have_value("EVERY_6_HOURS")
    expect(page.get_by_label("Description")).to_have_value("For the SIEM")
    expect(alert).to_have_count(0)
    keeps_the_focus(page)
    service.answers["UpdateWithRole"] = lambda variables: changes(description="For the SIEM")(service, variables)
    press(page, button(page, "Save"))
    is_saved(page, service)
    mine = {"id": answers.ID, "description": "For the SIEM"}
    assert [one["data"] for one in sent(visit, "UpdateWithRole")] == [mine | {"version": 3}, mine | {"version": 4}]


def test_a_refused_connection_is_saved_on_request(visit: Visit) -> None:
    """The failed check is shown with its code, and the same change leaves with `force`."""
    service, page = visit.service, visit.page
    visit.open(EDIT)
    found = {"code": "WRITE_DENIED", "message": "Allow s3:PutObject."}
    service.refuse("UpdateWithRole", Refused("NEW_CONNECTION_REFUSED", SENTENCE, connectionError=found))
    describe(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Allow s3:PutObject.")
    expect(alert.get_by_role("link", name="WRITE_DENIED")).to_be_visible()
    assert visit.accessibility() == []
    service.answers["UpdateWithRole"] = lambda variables: changes(description="For the SIEM")(service, variables)
    press(page, button(alert, "Save although the test failed"))
    is_saved(page, service)
    change = {"id": answers.ID, "version": 3, "description": "For the SIEM"}
    assert [one["data"] for one in sent(visit, "UpdateWithRole")] == [change, change | {"force": True}]


def test_nothing_leaves_for_no_change(visit: Visit) -> None:
    visit.open(EDIT)
    press(visit.page, button(visit.page, "Save"))
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Audit log of the production")
    assert sent(visit, "UpdateWithRole") == []


def test_a_webhook_that_does_not_answer(visit: Visit) -> None:
    error = {"code": "TRY_AGAIN", "message": SENTENCE}
    result = {"url": WEBHOOK, "isDelivered": False, "status": 500, "error": error}
    visit.service.answers["TestNotifications"] = lambda _: {"results": [result]}
    visit.open(DETAIL)
    send_test_notice(visit.page)
    row = visit.page.get_by_role("listitem").filter(has_text=WEBHOOK)
    expect(row).to_contain_text("not delivered (500)")
    expect(row).to_contain_text(SENTENCE)
    expect(row.get_by_role("link", name="TRY_AGAIN")).to_be_visible()
    assert visit.accessibility() == []


@pytest.mark.parametrize("end", ["one.remove()", "one.disabled = true"], ids=["removed", "disabled"])
@pytest.mark.parametrize("leaves_first", [False, True], ids=["keeps", "leaves"])
def test_the_focus_stays_in_its_section_unless_it_was_left(visit: Visit, end: str, leaves_first: bool) -> None:
    """A button that is removed or disabled loses the focus. Nobody who has left it before is led back."""
    visit.open(DETAIL)
    page = visit.page
    target = button(replays(page), "Cancel the replay")
    target.focus()
    if leaves_first:
        page.evaluate("document.activeElement.blur()")
    target.evaluate(f"one => {{ {end} }}")
    if leaves_first:
        expect(page.locator(":focus")).to_have_count(0)
    else:
        expect(replays(page)).to_be_focused()
