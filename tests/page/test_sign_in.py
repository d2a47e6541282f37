"""The ways to sign in, in a browser: OpenID Connect with an issuer on this machine, and messages of a portal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, FrameLocator, Route, expect

from tests.page.issuer import CLIENT, SCOPES, Issuer, issuing, portal
from tests.page.service import GRAPHQL, Refused, serving, token
from tests.page.test_views import fill_role
from tests.page.visit import Visit, visiting

LIST = "Audit log of the production"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with issuing() as issuer:
        yield issuer


@pytest.fixture
def visit(browser: Browser, issuer: Issuer) -> Iterator[Visit]:
    """A visit of a page whose users sign in at the issuer."""
    with serving(issuer.settings()) as address, visiting(browser, address) as visit:
        yield visit
        visit.check()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"tokenInLink": False}, "has not set up a way to sign in"),
        ({"tokenInLink": True}, "Open this page from your portal"),
        ({"tokenInLink": False, "portal": "https://portal.example"}, "Open this page from your portal"),
    ],
    ids=str,
)
def test_a_page_without_a_sign_in_says_so(browser: Browser, settings: dict[str, Any], expected: str) -> None:
    with serving(**settings) as address, visiting(browser, address) as visit:
        visit.open(signed_in=False)
        expect(visit.page.get_by_role("main")).to_contain_text(expected)
        visit.check()


def sign_in(visit: Visit) -> None:
    visit.page.get_by_role("button", name="Sign in").click()


def test_the_code_flow(visit: Visit, issuer: Issuer) -> None:
    """The issuer checks the code, the PKCE verifier and the redirect URI; the API gets the access token."""
    visit.open("#/exports/none/edit", signed_in=False)
    page = visit.page
    sign_in(visit)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    # The view is the one that was opened, and nothing of the issuer's response is left.
    assert page.url == f"{visit.address}#/exports/none/edit"
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])") == '[{},{},""]'
    [asked] = issuer.authorizations
    assert (asked["response_type"], asked["client_id"], asked["scope"]) == ("code", CLIENT, SCOPES)
    assert asked["redirect_uri"] == visit.address
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    page.wait_for_load_state("networkidle")
    assert {authorization for _, _, authorization in visit.service.requests} == {f"Bearer {issuer.tokens[0]}"}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"state": "other"}, "state"),
        ({"state": None, "code": None, "error": "server_error"}, "server_error"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"code": None, "error": "access_denied", "error_description": "<b>no</b>"}, "you cancelled it"),
        ({"code": None, "error": "login_required", "error_description": "<b>no</b>"}, "login_required (“<b>no</b>”)"),
    ],
    ids=str,
)
def test_a_response_that_is_not_the_issuers_own_is_refused(
    visit: Visit, issuer: Issuer, response: dict[str, str | None], reason: str
) -> None:
    issuer.response = response
    visit.open(signed_in=False)
    sign_in(visit)
    alert = visit.page.get_by_role("alert")
    expect(alert).to_contain_text("The sign-in did not succeed")
    expect(alert).to_contain_text(reason)
    expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert (issuer.token_requests, visit.service.requests) == (0, [])
    assert urlsplit(visit.page.url).query == ""
    # The next attempt starts from the beginning.
    issuer.response = {}
    sign_in(visit)
    expect(visit.page.get_by_role("link", name=LIST)).to_be_visible()


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "other"}, {"iss": "https://evil.example"}, {"aud": "other"}, {"exp": 1}],
    ids=lambda claims: next(iter(claims)),
)
def test_an_id_token_of_another_sign_in_is_refused(visit: Visit, issuer: Issuer, claims: dict[str, Any]) -> None:
    issuer.claims = claims
    visit.open(signed_in=False)
    sign_in(visit)
    expect(visit.page.get_by_role("alert")).to_contain_text("The sign-in did not succeed")
    assert (issuer.token_requests, visit.service.requests) == (1, [])


def test_the_return_address_signs_nobody_in_again(visit: Visit, issuer: Issuer) -> None:
    returned: list[str] = []
    visit.page.on("request", lambda request: returned.append(request.url))
    visit.open(signed_in=False)
    sign_in(visit)
    expect(visit.page.get_by_role("link", name=LIST)).to_be_visible()
    [address] = [url for url in returned if "code" in parse_qs(urlsplit(url).query)]
    assert address.startswith(visit.address)
    visit.page.goto(address)
    expect(visit.page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(visit.page.get_by_role("alert")).to_have_count(0)
    assert issuer.token_requests == 1
    assert urlsplit(visit.page.url).query == ""


def test_an_issuer_that_does_not_answer_is_reported(visit: Visit, issuer: Issuer) -> None:
    visit.page.route(f"{issuer.address}/.well-known/*", lambda route: route.abort())
    visit.open(signed_in=False)
    sign_in(visit)
    expect(visit.page.get_by_role("alert")).to_contain_text("The sign-in did not succeed")
    visit.page.unroute_all()
    expect(visit.page.get_by_role("button", name="Sign in")).to_have_attribute("aria-disabled", "false")


def fill_with_secrets(visit: Visit) -> list[str]:
    """Fills the form of a new export while the session ends. Returns what the page stores from now on."""
    page = visit.page
    stored: list[str] = []
    page.expose_binding("noteStored", lambda _, text: stored.append(text))
    page.evaluate(
        """() => { const set = Storage.prototype.setItem;
        Storage.prototype.setItem = function (name, value) { window.noteStored(value); set.call(this, name, value); }; }"""
    )
    fill_role(page)
    page.get_by_role("radio", name="With an access key").check()
    page.get_by_label("Access key ID").fill("AKIAIOSFODNN7EXAMPLE")
    page.get_by_label("Secret access key").fill(SECRET)
    page.get_by_label("Description").fill("Ours")
    page.get_by_text("More choices").click()
    page.get_by_role("button", name="Add a webhook").click()
    page.get_by_label("URL of webhook 1").fill("https://hooks.example.com/audit")
    page.get_by_label("Secret of webhook 1").fill(WEBHOOK_SECRET)
    visit.service.refuse("CreateWithKey", Refused("UNAUTHENTICATED", "The token has expired.", 401))
    page.locator("button[type=submit]").click()
    ended = page.get_by_role("alert").filter(has_text="Your session has ended")
    expect(ended).to_contain_text("What you entered is kept meanwhile, except for secrets.")
    return stored


def open_new(visit: Visit) -> None:
    visit.open("#/new", signed_in=False)
    sign_in(visit)
    expect(visit.page.get_by_label("Bucket", exact=True)).to_be_visible()


def test_signing_in_again_keeps_the_form_without_its_secrets(visit: Visit) -> None:
    page = visit.page
    questions: list[str] = []

    def note(dialog: Dialog) -> None:
        questions.append(dialog.type)
        dialog.accept()

    page.on("dialog", note)
    open_new(visit)
    stored = fill_with_secrets(visit)
    sign_in(visit)
    expect(page.get_by_role("status").filter(has_text="Secrets were not kept")).to_be_visible()
    expect(page.get_by_label("Bucket", exact=True)).to_have_value("acme-audit")
    expect(page.get_by_label("Access key ID")).to_have_value("AKIAIOSFODNN7EXAMPLE")
    expect(page.get_by_label("Secret access key")).to_have_value("")
    expect(page.get_by_label("Description")).to_have_value("Ours")
    expect(page.get_by_label("URL of webhook 1")).to_have_value("https://hooks.example.com/audit")
    expect(page.get_by_label("Secret of webhook 1")).to_have_value("")
    kept = "".join(stored)
    assert "acme-audit" in kept and SECRET not in kept and WEBHOOK_SECRET not in kept
    assert page.evaluate("JSON.stringify({...sessionStorage})") == "{}"
    assert questions == [], "nothing is lost, so nothing is asked"
    # It can be sent as it is, once its secrets are there again.
    visit.service.answers["CreateWithKey"] = lambda _: {"configuration": visit.service.configuration}
    page.get_by_label("Secret access key").fill(SECRET)
    page.get_by_label("Secret of webhook 1").fill(WEBHOOK_SECRET)
    page.locator("button[type=submit]").click()
    page.get_by_text("The export is created.").wait_for()
    [created] = [variables["data"] for name, variables, _ in visit.service.requests if name == "CreateWithKey"][1:]
    assert (created["secretAccessKey"], created["description"]) == (SECRET, "Ours")
    assert created["notifications"] == [{"url": "https://hooks.example.com/audit", "secret": WEBHOOK_SECRET}]
    assert questions == []


def test_somebody_else_does_not_get_the_form(visit: Visit, issuer: Issuer) -> None:
    open_new(visit)
    fill_with_secrets(visit)
    issuer.subject = "eve@example.com"
    sign_in(visit)
    expect(visit.page.get_by_text("Signed in as eve@example.com")).to_be_visible()
    expect(visit.page.get_by_label("Bucket", exact=True)).to_have_value("")
    assert visit.page.evaluate("JSON.stringify({...sessionStorage})") == "{}"


def test_changes_of_an_export_are_kept_beside_those_of_others(visit: Visit) -> None:
    """Of a form of changes only those are kept: what somebody else changed meanwhile stays."""
    page = visit.page
    export = visit.service.configuration
    visit.open(f"#/exports/{export['id']}/edit", signed_in=False)
    sign_in(visit)
    page.get_by_label("Path in the bucket").fill("other")
    visit.service.refuse("UpdateWithRole", Refused("UNAUTHENTICATED", "The token has expired.", 401))
    page.locator("button[type=submit]").click()
    visit.service.configuration = export | {"version": 9, "description": "Changed by Bob"}
    sign_in(visit)
    expect(page.get_by_label("Path in the bucket")).to_have_value("other")
    expect(page.get_by_label("Description")).to_have_value("Changed by Bob")
    visit.service.answers["UpdateWithRole"] = lambda _: {"configuration": visit.service.configuration}
    page.locator("button[type=submit]").click()
    page.get_by_role("heading", name="Windows", exact=True).wait_for()
    sent = [variables["data"] for name, variables, _ in visit.service.requests if name == "UpdateWithRole"]
    assert sent[-1] == {"id": export["id"], "version": 9, "bucketPath": "other"}


def test_the_fields_of_a_repair_are_kept(visit: Visit) -> None:
    page = visit.page
    visit.open(f"#/exports/{visit.service.configuration['id']}", signed_in=False)
    sign_in(visit)
    repair = page.get_by_role("form", name="Put lost files back")
    repair.get_by_label("From").fill("2026-11-21T10:00")
    repair.get_by_label("To,").fill("2026-11-21T12:00")
    visit.service.refuse("RequestRepair", Refused("UNAUTHENTICATED", "The token has expired.", 401))
    repair.get_by_role("button", name="Repair").click()
    sign_in(visit)
    expect(repair.get_by_label("To,")).to_have_value("2026-11-21T12:00")


@contextmanager
def framed(browser: Browser, *, is_portal: bool = True) -> Iterator[tuple[Visit, FrameLocator]]:
    """Shows the page in a frame of a portal; or of another origin, which may show it, but gives it no tokens."""
    with portal() as own, portal() as other:
        shown_by = own if is_portal else other
        with serving(portal=own, ancestors=[own, other]) as address, visiting(browser, address) as visit:
            visit.page.goto(shown_by)
            yield visit, visit.page.frame_locator("iframe[name=page]")
            visit.check()


def show(visit: Visit) -> None:
    visit.page.evaluate("address => frames.page.location = address", visit.address)


def test_the_portal_hands_over_a_token(browser: Browser) -> None:
    with framed(browser) as (visit, frame):
        visit.page.evaluate("token => { respond = () => send(token); }", visit.token)
        show(visit)
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()
        assert visit.page.evaluate("questions") == 1
        assert {authorization for _, _, authorization in visit.service.requests} == {f"Bearer {visit.token}"}


def test_a_portal_that_opened_the_page_hands_over_a_token(browser: Browser) -> None:
    with framed(browser) as (visit, _):
        visit.page.evaluate("token => { respond = (source) => send(token, source); }", visit.token)
        with visit.page.context.expect_page() as opened:
            visit.page.evaluate("address => { window.open(address); }", visit.address)
        expect(opened.value.get_by_role("button", name="Sign out")).to_be_visible()
        opened.value.close()


def test_another_origin_hands_over_nothing(browser: Browser) -> None:
    with framed(browser, is_portal=False) as (visit, frame):
        show(visit)
        expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
        visit.page.evaluate("token => send(token)", visit.token)
        visit.page.wait_for_timeout(300)
        expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
        # The question names the portal's origin, so this one does not even see it; the browser reports that.
        assert visit.page.evaluate("questions") == 0
        assert visit.service.requests == []
        assert all("target origin" in problem for problem in visit.problems)
        visit.problems.clear()


def test_another_window_of_the_portal_hands_over_nothing(browser: Browser) -> None:
    with framed(browser) as (visit, frame):
        show(visit)
        expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
        visit.page.evaluate(
            """async (token) => {
              const sibling = document.createElement("iframe");
              sibling.src = location.href;
              document.body.append(sibling);
              await new Promise((resolve) => (sibling.onload = resolve));
              sibling.contentWindow.eval(`send(${JSON.stringify(token)}, parent.frames.page)`);
            }""",
            visit.token,
        )
        visit.page.wait_for_timeout(300)
        expect(frame.get_by_role("heading", name="Sign in")).to_be_visible()
        assert visit.service.requests == []


def test_a_portal_that_does_not_answer_is_named(browser: Browser) -> None:
    with framed(browser) as (visit, frame):
        visit.page.clock.install()
        show(visit)
        expect(frame.get_by_text("Waiting for your portal")).to_be_visible()
        visit.page.clock.run_for(11_000)
        expect(frame.get_by_text("has not answered")).to_contain_text(visit.page.evaluate("origin"))
        visit.page.evaluate("token => { respond = () => send(token); }", visit.token)
        frame.get_by_role("button", name="Ask again").click()
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()


def test_short_tokens_are_not_asked_for_in_a_loop(browser: Browser) -> None:
    """A portal whose tokens end after 20 seconds is asked twice a minute at most, and the page stays signed in."""
    with framed(browser) as (visit, frame):
        visit.page.clock.install()
        visit.page.evaluate(
            """() => {
              const part = (content) => btoa(JSON.stringify(content)).replaceAll("=", "");
              const claims = () => ({ sub: "ada", iss: "i", tenant_id: "acme", exp: Date.now() / 1000 + 20 });
              respond = () => send(`${part({ alg: "ES256" })}.${part(claims())}.c2ln`);
            }"""
        )
        show(visit)
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()
        for _ in range(60):
            visit.page.clock.run_for(5_000)
        asked = visit.page.evaluate("questions")
        assert 5 <= asked <= 11, asked
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()


def test_a_token_of_somebody_else_begins_another_session(browser: Browser) -> None:
    with framed(browser) as (visit, frame):
        visit.page.evaluate("token => { respond = () => send(token); }", visit.token)
        show(visit)
        expect(frame.get_by_text("Signed in as ada@example.com, acme")).to_be_visible()
        other = token("eve@example.com")
        visit.service.answers["Exports"] = lambda _: {"exports": []}
        visit.page.evaluate("token => send(token)", other)
        expect(frame.get_by_text("Signed in as eve@example.com")).to_be_visible()
        expect(frame.get_by_role("heading", name="No export yet")).to_be_visible()
        assert json.loads(visit.page.evaluate("JSON.stringify({...sessionStorage})")) == {}


def test_who_signed_out_of_a_portal_stays_signed_out(browser: Browser) -> None:
    """A token that comes unasked signs nobody in again."""
    with framed(browser) as (visit, frame):
        visit.page.evaluate("token => { respond = () => send(token); }", visit.token)
        show(visit)
        frame.get_by_role("button", name="Sign out").click()
        expect(frame.get_by_text("You are signed out.")).to_be_visible()
        visit.page.evaluate("token => send(token)", token("ada@example.com", 7200))
        visit.page.wait_for_timeout(300)
        expect(frame.get_by_text("You are signed out.")).to_be_visible()
        frame.get_by_role("button", name="Sign in").click()
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()


def test_who_signed_out_is_asked_by_the_issuer(visit: Visit, issuer: Issuer) -> None:
    """The provider's own session goes on, so it is asked not to use it."""
    visit.open(signed_in=False)
    sign_in(visit)
    visit.page.get_by_role("button", name="Sign out").click()
    sign_in(visit)
    expect(visit.page.get_by_role("button", name="Sign out")).to_be_visible()
    assert [asked.get("prompt") for asked in issuer.authorizations] == [None, "login"]


def test_a_late_refusal_of_an_earlier_token_ends_nothing(browser: Browser) -> None:
    with framed(browser) as (visit, frame):
        held: list[Route] = []

        def hold(route: Route) -> None:
            if not held and '"query Exports' in (route.request.post_data or ""):
                held.append(route)
            else:
                route.fallback()

        visit.page.route(GRAPHQL, hold)
        visit.page.evaluate("token => { respond = () => send(token); }", visit.token)
        show(visit)
        expect(frame.get_by_role("button", name="Sign out")).to_be_visible()
        visit.page.wait_for_timeout(200)
        visit.page.evaluate("token => send(token)", token("ada@example.com", 7200))
        visit.page.wait_for_timeout(200)
        refusal = {"errors": [{"message": "Expired.", "extensions": {"code": "UNAUTHENTICATED"}}]}
        held[0].fulfill(status=401, json=refusal)
        frame.get_by_role("button", name="Try again").click()
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()
        expect(frame.get_by_text("Your session has ended")).to_have_count(0)


def test_a_token_that_was_refused_by_mistake_counts_again_once(browser: Browser) -> None:
    """The portal has no newer token than the one that the service refused."""
    with framed(browser) as (visit, frame):
        answer = visit.service.answers["Exports"]
        visit.service.refuse("Exports", Refused("UNAUTHENTICATED", "Expired.", 401))
        visit.page.evaluate("token => { respond = () => send(token); }", visit.token)
        show(visit)
        frame.get_by_role("button", name="Try again").wait_for()
        expect(frame.get_by_text("Your session has ended")).to_have_count(0)
        frame.get_by_role("button", name="Try again").click()
        expect(frame.get_by_text("Your session has ended")).to_be_visible()
        frame.get_by_role("button", name="Ask again").click()
        visit.page.wait_for_timeout(200)
        expect(frame.get_by_text("Your session has ended")).to_be_visible()
        # A new token ends that.
        visit.service.answers["Exports"] = answer
        visit.page.evaluate("token => send(token)", token("ada@example.com", 7200))
        frame.get_by_role("button", name="Try again").click()
        expect(frame.get_by_role("link", name=LIST)).to_be_visible()


def test_what_was_chosen_to_verify_stays_for_who_signs_in_and_goes_for_others(browser: Browser) -> None:
    with framed(browser) as (visit, frame):
        visit.page.evaluate("address => { frames.page.location = `${address}#/verify`; }", visit.address)
        time = frame.get_by_label("Exported through")
        time.fill("2026-11-22T06:00:00Z")
        visit.page.evaluate("token => send(token)", visit.token)
        expect(frame.get_by_text("Signed in as ada@example.com")).to_be_visible()
        expect(time).to_have_value("2026-11-22T06:00:00Z")
        visit.page.evaluate("token => send(token)", token("eve@example.com"))
        expect(frame.get_by_text("Signed in as eve@example.com")).to_be_visible()
        expect(time).to_have_value("")
