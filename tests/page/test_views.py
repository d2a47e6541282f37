"""Every view of the page in a browser: accessibility, keyboard, refusals, hostile texts, and speed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from infra.local.settings import ROOT
from tests.page import answers
from tests.page.answers import Json
from tests.page.service import Refused
from tests.page.speed import seconds_to_first_link
from tests.page.visit import Visit, visiting

ERRORS = ROOT / "docs" / "reference" / "ERRORS.md"
HOSTILE = "<img src=x onerror=\"window.attacked='yes'\"><script>window.attacked='yes'</script>{{7*7}}\u202egnp"


def always(answer: Json) -> Callable[[Json], Json]:
    return lambda _: answer


def connection_codes() -> dict[str, str]:
    """Returns the codes of the connection test, each with its remedy, as the service documents them."""
    _, _, rest = ERRORS.read_text().partition("\n## Connection\n")
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", rest.partition("\n## ")[0], re.MULTILINE)
    assert len(rows) > 10
    return dict(rows)


def open_list(visit: Visit) -> None:
    visit.open()
    visit.page.get_by_role("link", name="Audit log of the production").wait_for()


def open_empty_list(visit: Visit) -> None:
    visit.service.answers["Exports"] = lambda _: {"exports": []}
    visit.open()
    visit.page.get_by_role("heading", name="No export yet").wait_for()


def open_unreachable_list(visit: Visit) -> None:
    visit.service.refuse("Exports", Refused("INTERNAL", "The service failed.", 500, requestId="r-1"))
    visit.open()
    visit.page.get_by_role("button", name="Try again").wait_for()


def open_detail(visit: Visit) -> None:
    visit.open(f"#/exports/{answers.ID}")
    visit.page.get_by_role("heading", name="Windows").wait_for()
    visit.page.get_by_text("1,234").first.wait_for()


def open_failing_detail(visit: Visit) -> None:
    failed = {"connectionStatus": "FAILED", "connectionChecks": answers.checks("WRITE_ALLOWED")}
    error = {"code": "WRITE_DENIED", "message": "Allow s3:PutObject."}
    visit.service.configuration = answers.configuration(connectionError=error, **failed)
    visit.open(f"#/exports/{answers.ID}")
    visit.page.get_by_role("button", name="Test the connection").wait_for()


def open_form(visit: Visit) -> None:
    visit.open("#/new")


def open_form_with_problems(visit: Visit) -> None:
    visit.open("#/new")
    visit.page.get_by_role("radio", name="With an access key").check()
    unfold(visit.page)
    visit.page.locator("button[type=submit]").click()
    visit.page.get_by_text("fields have to be changed").wait_for()


def open_created(visit: Visit) -> None:
    fix = (
        "AWS STS refused the role. Create the role, and allow sts:AssumeRole with the external ID in its trust policy."
    )
    refused = answers.checks("ROLE_ASSUMABLE", "ROLE_NOT_ASSUMABLE", fix)
    failing = answers.configuration(connectionStatus="FAILED", connectionChecks=refused)
    visit.service.configuration = answers.configuration(connectionStatus="PENDING", connectionChecks=[])
    visit.service.answers["Test"] = lambda _: {"configuration": failing}
    visit.open("#/new")
    fill_role(visit.page)
    visit.page.locator("button[type=submit]").click()
    visit.page.get_by_role("button", name="Test the connection").click()
    visit.page.get_by_text(fix).wait_for()


def unfold(page: Page) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")


def fill_role(page: Page) -> None:
    page.get_by_label("Bucket", exact=True).fill("acme-audit")
    page.get_by_label("Region", exact=True).fill("eu-central-1")
    page.get_by_label("ARN of the role").fill("arn:aws:iam::123456789012:role/audit-export")


def open_edit(visit: Visit) -> None:
    visit.open(f"#/exports/{answers.ID}/edit")
    visit.page.locator("button[type=submit]").wait_for()


def open_codes(visit: Visit) -> None:
    visit.open("#/codes", signed_in=False)
    visit.page.get_by_text("WRITE_DENIED").first.wait_for()


def open_sign_in(visit: Visit) -> None:
    visit.open("#/", signed_in=False)


def open_verification(visit: Visit) -> None:
    visit.open("#/verify", signed_in=False)


VIEWS: list[Callable[[Visit], None]] = [
    open_list,
    open_empty_list,
    open_unreachable_list,
    open_detail,
    open_failing_detail,
    open_form,
    open_form_with_problems,
    open_created,
    open_edit,
    open_codes,
    open_sign_in,
    open_verification,
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__.removeprefix("open_"))
def test_accessibility(visit: Visit, view: Callable[[Visit], None]) -> None:
    """axe-core finds nothing in light and dark, and nothing is wider than a narrow or wide window."""
    view(visit)
    assert visit.accessibility() == []


def test_every_failure_of_the_connection_test_is_shown_with_its_fix(visit: Visit) -> None:
    """The service's sentence is beside the cross, and the page's own explanation of the code behind the link."""
    visit.open(f"#/exports/{answers.ID}")
    page = visit.page
    for code in connection_codes():
        failing = answers.checks("WRITE_ALLOWED", code, f"What AWS said about {code}.")
        error = {"code": code, "message": f"What AWS said about {code}."}
        tested = answers.configuration(connectionStatus="FAILED", connectionError=error, connectionChecks=failing)
        visit.service.answers["Test"] = always({"configuration": tested})
        page.get_by_role("button", name="Test the connection").click()
        failed = page.get_by_role("listitem").filter(has_text=f"What AWS said about {code}.")
        expect(failed).to_contain_text("Files can be written")
        expect(failed.get_by_role("link", name=code)).to_have_attribute("href", f"#/codes/{code}")
        expect(page.get_by_text("not checked").first).to_be_visible()
    for code, remedy in connection_codes().items():
        page.evaluate("hash => location.hash = hash", f"#/codes/{code}")
        expect(page.get_by_role("main")).to_contain_text(remedy)


def expect_badges(page: Page, *texts: str) -> None:
    """Waits until the connection test shows these texts beside its checks."""
    # Behind the mark of each.
    shown = "[...document.querySelectorAll('.checks .badge')].map(one => one.lastChild.textContent)"
    page.wait_for_function(f"texts => JSON.stringify({shown}) === JSON.stringify(texts)", arg=list(texts))


def running(*passed: str) -> dict[str, Any]:
    """Returns the progress of a test in which these checks have passed."""
    checks = [check | {"status": "PASSED" if check["check"] in passed else "NOT_CHECKED"} for check in answers.checks()]
    return {"test": {"isRunning": True, "checks": checks}}


def test_each_check_appears_when_it_has_ended(visit: Visit) -> None:
    fix = "AWS said no. Allow s3:PutObject."
    failing = answers.configuration(
        connectionStatus="FAILED", connectionChecks=answers.checks("WRITE_ALLOWED", message=fix)
    )
    visit.service.answers["Test"] = always({"configuration": failing})
    visit.open(f"#/exports/{answers.ID}")
    page = visit.page
    visit.service.answers["ConnectionTest"] = always(running("ROLE_ASSUMABLE"))
    visit.hold("Test")
    page.get_by_role("button", name="Test the connection").click()
    # The result of an earlier test is not shown.
    expect_badges(page, *["Waiting"] * 7)
    expect_badges(page, "Running", "Passed", *["Waiting"] * 5)
    visit.service.answers["ConnectionTest"] = always(running(*list(answers.ROLE_CHECKS)[:5]))
    expect_badges(page, *["Passed"] * 5, "Running", "Waiting")
    assert visit.accessibility() == []
    visit.release("Test")
    expect_badges(page, *["Passed"] * 5, "Failed", "Not checked")
    expect(page.get_by_role("listitem").filter(has_text=fix)).to_contain_text("WRITE_DENIED")
    asked = [name for name, _, _ in visit.service.requests].count("ConnectionTest")
    page.wait_for_timeout(1_200)
    assert [name for name, _, _ in visit.service.requests].count("ConnectionTest") == asked, "it goes on asking"


@pytest.mark.parametrize(
    "refusal", [Refused("GRAPHQL_VALIDATION_FAILED", "no such field"), Refused("INTERNAL", "", status=500), None]
)
def test_without_progress_the_outcome_is_awaited(visit: Visit, refusal: Refused | None) -> None:
    """An earlier version of the service has no progress, and a test may not be seen."""
    if refusal:
        visit.service.refuse("ConnectionTest", refusal)
    visit.open(f"#/exports/{answers.ID}")
    page = visit.page
    visit.hold("Test")
    page.get_by_role("button", name="Test the connection").click()
    while "ConnectionTest" not in [name for name, _, _ in visit.service.requests]:
        page.wait_for_timeout(100)
    page.wait_for_timeout(1_200)
    expect_badges(page, *["Waiting"] * 7)
    expect(page.get_by_role("alert")).to_have_count(0)
    visit.release("Test")
    expect(page.get_by_text("The bucket can be written to.")).to_be_visible()
    expect_badges(page, *["Passed"] * 7)


def test_each_check_of_a_change_appears_when_it_has_ended(visit: Visit) -> None:
    """Saving shows the checks of the change while they run. A change that is refused leaves the export as it was."""
    service, page = visit.service, visit.page
    visit.open(f"#/exports/{answers.ID}/edit")
    page.get_by_label("Path in the bucket").fill("audit/other")
    service.answers["ConnectionTest"] = always(running("ROLE_ASSUMABLE"))
    visit.hold("UpdateWithRole")
    page.get_by_role("button", name="Save").click()
    expect_badges(page, "Running", "Passed", *["Waiting"] * 5)
    expect(page.get_by_role("status").filter(has_text="Testing the connection")).to_be_visible()
    service.answers["ConnectionTest"] = always(running(*list(answers.ROLE_CHECKS)[:5]))
    expect_badges(page, *["Passed"] * 5, "Running", "Waiting")
    assert visit.accessibility() == []
    error = {"code": "WRITE_DENIED", "message": "Allow s3:PutObject."}
    service.refuse("UpdateWithRole", Refused("NEW_CONNECTION_REFUSED", "No.", connectionError=error))
    visit.release("UpdateWithRole")
    expect(page.get_by_role("alert")).to_contain_text("Allow s3:PutObject.")
    expect_badges(page)
    asked = [name for name, _, _ in service.requests].count("ConnectionTest")
    page.wait_for_timeout(1_200)
    assert [name for name, _, _ in service.requests].count("ConnectionTest") == asked, "it goes on asking"
    # What was refused changed nothing about the stored connection.
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_text("The bucket can be written to.")).to_be_visible()
    expect_badges(page, *["Passed"] * 7)


def test_a_change_without_a_test_shows_no_checks(visit: Visit) -> None:
    """While nothing is tested, the checks are those of the stored connection, and not of the change."""
    service, page = visit.service, visit.page
    visit.open(f"#/exports/{answers.ID}/edit")
    page.get_by_label("Description").fill("For the SIEM")
    visit.hold("UpdateWithRole")
    page.get_by_role("button", name="Save").click()
    while "ConnectionTest" not in [name for name, _, _ in service.requests]:
        page.wait_for_timeout(100)
    page.wait_for_timeout(600)
    expect_badges(page)
    visit.release("UpdateWithRole")
    expect(page.get_by_role("heading", name="Windows")).to_be_visible()


def test_a_code_is_explained_without_signing_in(visit: Visit) -> None:
    visit.open("#/codes/WRITE_DENIED", signed_in=False)
    expect(visit.page.get_by_role("main")).to_contain_text("Writing to the bucket was denied.")
    assert visit.service.requests == []


def test_an_expired_token_is_reported_and_nothing_is_lost(visit: Visit) -> None:
    visit.open("#/new")
    fill_role(visit.page)
    visit.service.refuse("CreateWithRole", Refused("UNAUTHENTICATED", "The token has expired.", 401))
    visit.page.locator("button[type=submit]").click()
    expect(visit.page.get_by_role("alert").filter(has_text="Your session has ended")).to_be_visible()
    expect(visit.page.get_by_label("Bucket", exact=True)).to_have_value("acme-audit")


def test_the_token_is_kept_in_memory_only(visit: Visit) -> None:
    open_list(visit)
    page = visit.page
    assert "token" not in page.url
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert stored == '[{},{},""]'
    # Neither in the address nor in those that "back" leads to, some of which the browser keeps for good.
    history = page.context.new_cdp_session(page).send("Page.getNavigationHistory")["entries"]
    assert [entry["url"] for entry in history if visit.token in entry["url"]] == []
    page.go_back()
    assert "token" not in page.url
    sent = {authorization for _, _, authorization in visit.service.requests}
    assert len(sent) == 1 and sent.pop().startswith("Bearer ")
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_another_tenants_export_shows_nothing(visit: Visit) -> None:
    visit.service.refuse("Export", Refused("NOT_FOUND", "There is no export configuration with this ID."))
    for name in ("Backlog", "Jobs", "Repair", "Replays", "Policies"):
        visit.service.refuse(name, Refused("NOT_FOUND", "There is no export configuration with this ID."))
    visit.open("#/")
    visit.page.evaluate("location.hash = '#/exports/9d1f0a77-2b1c-4c8e-8b0a-3f6c2d5e4a1b'")
    main = visit.page.get_by_role("main")
    expect(main.get_by_role("alert")).to_contain_text("There is no export configuration with this ID.")
    assert "acme" not in main.inner_text()


def hostile(value: Any) -> Any:
    """Replaces every text that a person, an event or a server of the customer can fill."""
    if isinstance(value, dict):
        kept = {"id", "status", "health", "format", "interval", "type", "check", "connectionStatus", "reason"}
        return {name: one if name in kept or is_time(one) else hostile(one) for name, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


def is_time(value: Any) -> bool:
    return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value) is not None


def test_hostile_texts_stay_texts(visit: Visit) -> None:
    """Descriptions, names, URLs, and texts of errors and servers."""
    service, page = visit.service, visit.page
    failing = answers.checks("WRITE_ALLOWED", "WRITE_DENIED", HOSTILE)
    error = {"code": "WRITE_DENIED", "message": HOSTILE}
    whole = answers.configuration(connectionStatus="FAILED", connectionError=error, connectionChecks=failing)
    service.configuration = hostile(whole) | {"status": hostile(whole["status"])}
    service.configuration["status"]["health"] = "FAILING"
    for name, answer in list(service.answers.items()):
        if name in ("Policies", "Jobs", "Tasks", "Repair", "Replays"):
            service.answers[name] = always(hostile(answer({})))
    service.refuse("TestNotifications", Refused("INVALID_INPUT", HOSTILE))
    for view in ("#/", f"#/exports/{answers.ID}", f"#/exports/{answers.ID}/edit", f"#/codes/{quote(HOSTILE, safe='')}"):
        visit.open(view)
        page.wait_for_load_state("networkidle")
        if not view.endswith("/edit"):
            expect(page.get_by_role("main")).to_contain_text("onerror")
        unfold(page)
        for button in page.get_by_role("button", name=re.compile("^(Test|Load|Send a test)")).all():
            button.click()
        page.wait_for_timeout(200)
        assert page.evaluate("window.attacked ?? null") is None
        assert page.locator("main img, main script, main iframe").count() == 0
        links = page.eval_on_selector_all("a[href]", "all => all.map(one => one.protocol)")
        assert set(links) <= {"http:", "https:"}, links


def test_links_of_answers_lead_to_https_only(visit: Visit) -> None:
    attack = "javascript:window.attacked='yes'"
    policies = answers.policies()
    policies["cloudFormation"]["launchUrl"] = attack
    visit.service.answers["Policies"] = lambda _: {"policies": policies}
    visit.open(f"#/exports/{answers.ID}")
    # What is said without a template's address.
    order = visit.page.get_by_text("Create these yourself, in this order:")
    order.wait_for(state="attached")
    unfold(visit.page)
    expect(order).to_be_visible()
    assert visit.page.locator("a[href*='javascript']").count() == 0


def test_the_form_works_without_a_mouse(visit: Visit) -> None:
    visit.open("#/new")
    page = visit.page
    keys = {"Bucket": "acme-audit", "Region": "eu-central-1", "ARN of the role": "arn:aws:iam::123456789012:role/x"}
    filled: set[str] = set()
    for name in focused_names(page, 60):
        if name in keys and name not in filled:
            page.keyboard.type(keys[name])
            filled.add(name)
        if "submit" in name:
            break
    assert filled == set(keys)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Copy Trust policy of the role").wait_for()
    assert any(name == "CreateWithRole" for name, _, _ in visit.service.requests)
    page.get_by_role("button", name="Copy Trust policy of the role").wait_for()
    names = list(focused_names(page, 40))
    assert any(name.startswith("Copy") for name in names) and any("Test the connection" in name for name in names)


def focused_names(page: Page, most: int) -> Iterator[str]:
    """Presses the tabulator, and yields the name of what has the focus, which has to be visible and marked."""
    for _ in range(most):
        page.keyboard.press("Tab")
        name, is_visible, is_marked = page.evaluate(
            """() => {
              const one = document.activeElement;
              const label = one.labels?.[0]?.firstChild?.textContent ?? one.getAttribute("aria-label") ?? one.textContent;
              const box = one.getBoundingClientRect();
              const style = getComputedStyle(one);
              return [`${label.trim()}${one.type === "submit" ? " submit" : ""}`, box.width > 0 && box.height > 0,
                style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
            }"""
        )
        if page.evaluate("document.activeElement === document.body"):
            return
        assert is_visible and is_marked, name
        yield name


def test_windows_are_reached_with_the_keyboard(visit: Visit) -> None:
    open_detail(visit)
    page = visit.page
    chosen = page.locator(".column[aria-pressed=true]")
    chosen.focus()
    newest = chosen.get_attribute("aria-label") or ""
    assert "Failed" in newest
    page.keyboard.press("ArrowLeft")
    expect(chosen).to_be_focused()
    assert "with a gap" in (chosen.get_attribute("aria-label") or "")
    page.keyboard.press("Home")
    expect(chosen).to_be_focused()
    page.keyboard.press("End")
    expect(chosen).to_have_attribute("aria-label", newest)


def test_an_outage_shows_in_the_chart(visit: Visit) -> None:
    """The number of events that wait, the present lag, and a point for the window that is not delivered."""
    status = visit.service.configuration["status"]
    visit.service.configuration = answers.configuration(status=status | {"lagSeconds": 7200})
    open_detail(visit)
    backlog = visit.page.get_by_role("region", name="Backlog and lag")
    for sentence in ("1,234 events wait", "Now: late by 2 h.", "1 window is not delivered (hollow).", "at most 15 s"):
        expect(backlog).to_contain_text(sentence)
    assert [backlog.locator(f"circle.{kind}").count() for kind in ("delivered", "waiting", "now")] == [4, 1, 1]


def test_the_skip_link_leads_to_the_content(visit: Visit) -> None:
    open_list(visit)
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.locator("a.skip").focus()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("main")).to_be_focused()


def test_the_list_can_be_used_soon(browser: Browser, address: str) -> None:
    """In a cold visit. `make bench-page` prints the time; the bound is for any machine, however busy."""
    with visiting(browser, address) as visit:
        assert seconds_to_first_link(visit.page, f"{address}#token={visit.token}") < 10
        requests = visit.page.evaluate("performance.getEntriesByType('resource').map(one => new URL(one.name).origin)")
        assert set(requests) <= {visit.page.evaluate("location.origin")}
        visit.check()


def test_screenshots_are_of_views_that_exist() -> None:
    from tests.page import screenshots

    named = {path.name for path in screenshots.FOLDER.glob("page-*.png")}
    assert named == set(screenshots.PICTURES), "run make screenshots"
    assert isinstance(screenshots.FOLDER, Path)
