"""The page for administrators, as the local stack serves it, in a real browser: from nothing to files in the bucket.

Its views and refusals are tested with answers made for them in tests/page.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from infra.local import browser as browsers
from infra.local.emulators.interface import Capability
from infra.local.stack import Stack
from tests.e2e.harness import (
    DAY_SECONDS,
    EXPORT_TIMEOUT_SECONDS,
    KEY_ACCOUNT,
    ROLE_ACCOUNT,
    SETTLE_SECONDS,
    SLOT_SECONDS,
    Customer,
    CustomerFactory,
    Tenant,
    TokenFactory,
    make_events,
)
from tests.page.service import content_security_policy
from tests.page.speed import seconds_to_first_link
from tests.page.visit import Visit, launch, visiting

# The files are compressed, so API Gateway gets them in base64.
pytestmark = pytest.mark.requires("binary answers")

PATIENCE_MILLISECONDS = 60_000
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if (reason := browsers.missing_requirement()) and not os.environ.get("CI"):
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit_as(browser: Browser, stack: Stack, token: TokenFactory) -> Callable[..., Any]:
    """Visits the page of the stack as an administrator of a tenant."""

    @contextmanager
    def visit_as(tenant: Tenant, **claims: Any) -> Iterator[Visit]:
        with visiting(browser, f"{stack.api_url}/audit", has_service=True, ignore_https_errors=True) as visit:
            visit.token = token(tenant.name, "AUDIT", **claims)
            visit.page.set_default_timeout(PATIENCE_MILLISECONDS)
            yield visit
            visit.check()

    return visit_as


def document(page: Page, name: str) -> dict[str, Any]:
    """Returns a policy that the page shows."""
    shown: dict[str, Any] = json.loads(page.get_by_role("region", name=name, exact=True).inner_text())
    return shown


def fill(page: Page, customer: dict[str, str], **fields: str) -> None:
    names = {"bucketName": "Bucket", "region": "Region", "bucketPath": "Path in the bucket"}
    for field, value in customer.items():
        label = page.get_by_label(names[field], exact=field != "bucketPath")
        label.fill(value)
    for label_text, value in fields.items():
        page.get_by_label(label_text.replace("_", " ")).fill(value)


def created(tenant: Tenant) -> dict[str, Any]:
    [configuration] = tenant.administrator.list()
    return configuration


def export_and_verify(visit: Visit, customer: Customer, folder: Path) -> None:
    """Exports by the page, and verifies the files of the bucket in it."""
    page = visit.page
    page.get_by_role("link", name="Go to the export").click()
    sent = customer.tenant.send(make_events(3))
    customer.settle()
    page.get_by_role("button", name="Export now").click()
    customer.wait_for(len(sent))
    customer.wait_until_at_rest()
    assert sorted(customer.exported_ids()) == sorted(sent)
    page.reload()
    # The token was kept in memory only.
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    visit.open(f"#/exports/{customer.id}")
    column = page.locator(".column[aria-pressed=true]")
    expect(column).to_have_attribute("aria-label", re.compile("Delivered"))
    prefix = f"{customer.account.prefix}{customer.id}/"
    for entry in customer.account.objects(prefix):
        path = folder / customer.id / entry["Key"].removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(customer.account.download(entry["Key"]))
    visit.page.evaluate("location.hash = '#/verify'")
    page.get_by_label("Folder of the export").set_input_files(folder / customer.id)
    page.get_by_role("button", name="Verify", exact=True).click()
    verdict = page.get_by_role("region", name="Result").locator(".verdict")
    expect(verdict).to_contain_text("COMPLETE through", timeout=EXPORT_TIMEOUT_SECONDS * 1_000)
    next((folder / customer.id).glob("date=*/*")).write_bytes(b"x")
    page.get_by_label("Folder of the export").set_input_files(folder / customer.id)
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(verdict).to_contain_text("BROKEN: ALTERED_OBJECT")


def test_the_page_is_served_with_its_policy(stack: Stack, http: requests.Session) -> None:
    served = http.get(f"{stack.api_url}/audit", timeout=30)
    assert served.status_code == 200
    assert served.headers["content-security-policy"] == content_security_policy()
    assert served.headers["strict-transport-security"].startswith("max-age=")
    asked = http.head(f"{stack.api_url}/audit", timeout=30)
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["etag"] == served.headers["etag"]


def test_from_nothing_to_files_with_a_role(
    visit_as: Callable[..., Any], customers: CustomerFactory, tenant: Tenant, tmp_path: Path
) -> None:
    customers.need(Capability.TRUST_POLICIES)
    account = customers.account(ROLE_ACCOUNT, "eu-west-1", path="audit/export")
    with visit_as(tenant) as visit:
        page = visit.page
        visit.open()
        page.get_by_role("main").get_by_role("link", name="New export").first.click()
        fill(page, account.destination, ARN_of_the_role=account.role_arn("audit-export-page"))
        page.get_by_role("button", name="Create the export", exact=True).click()
        expect(page.get_by_role("heading", name="2. Give it access")).to_be_visible()
        trust, permissions = document(page, "Trust policy of the role"), document(page, "Permissions policy")
        page.get_by_role("button", name="Test the connection").click()
        expect(page.get_by_role("link", name="ROLE_NOT_ASSUMABLE")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        account.create_role("audit-export-page", None, policy=permissions, trust=trust)
        page.get_by_role("button", name="Test the connection").click()
        expect(page.get_by_text("The bucket can be written to.").first).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        export_and_verify(visit, Customer(tenant, account, created(tenant), role_name="audit-export-page"), tmp_path)


def test_from_nothing_to_files_with_an_access_key(
    visit_as: Callable[..., Any], customers: CustomerFactory, tenant: Tenant, tmp_path: Path
) -> None:
    account = customers.account(KEY_ACCOUNT)
    user = customers.user(account)
    with visit_as(tenant) as visit:
        page = visit.page
        visit.open("#/new")
        page.get_by_role("radio", name="With an access key").check()
        fill(page, account.destination, Access_key_ID=user.access_key_id, Secret_access_key=user.secret_access_key)
        page.get_by_role("button", name="Create the export and test it").click()
        expect(page.get_by_text("The bucket can be written to.").first).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        assert user.secret_access_key not in page.content()
        export_and_verify(visit, Customer(tenant, account, created(tenant), credentials=user), tmp_path)


def test_another_tenants_export_is_not_found(
    visit_as: Callable[..., Any], customers: CustomerFactory, make_tenant: Callable[..., Tenant]
) -> None:
    mine = customers.with_access_key(description="of the first tenant")
    with visit_as(make_tenant()) as visit:
        visit.open()
        expect(visit.page.get_by_role("heading", name="No export yet")).to_be_visible()
        for id_ in (mine.id, UNKNOWN_ID):
            visit.page.evaluate("id => location.hash = `#/exports/${id}`", id_)
            expect(visit.page.get_by_role("main").get_by_role("alert").first).to_contain_text("NOT_FOUND")
            assert "first tenant" not in visit.page.content()


def test_an_expired_token_shows_nothing(visit_as: Callable[..., Any], tenant: Tenant) -> None:
    with visit_as(tenant, exp=int(time.time()) - 600) as visit:
        visit.page.goto(f"{visit.address}#token={visit.token}")
        expect(visit.page.get_by_role("alert").filter(has_text="Your session has ended").first).to_be_visible()
        assert visit.token not in visit.page.url


def test_hostile_texts_of_a_tenant_stay_texts(visit_as: Callable[..., Any], customers: CustomerFactory) -> None:
    hostile = "<img src=x onerror=\"window.attacked='yes'\">"
    customer = customers.with_access_key(description=hostile)
    customer.tenant.send(make_events(1, action=hostile))
    with visit_as(customer.tenant) as visit:
        visit.open()
        visit.page.get_by_role("link", name=hostile).click()
        expect(visit.page.get_by_role("heading", level=1)).to_have_text(hostile)
        assert visit.page.evaluate("window.attacked ?? null") is None
        assert visit.page.locator("main img").count() == 0


def utc_field(seconds: float) -> str:
    """Returns a time as a field for a time takes it, in the form that the browser gives it: without seconds that are zero."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S").removesuffix(":00")


def button(page: Page, group: str, name: str, role: Literal["group", "region", "dialog"] = "group") -> Locator:
    return page.get_by_role(role, name=group, exact=True).get_by_role("button", name=name, exact=True)


@pytest.fixture
def exported(customers: CustomerFactory) -> tuple[Customer, str, str]:
    """An export of two windows, and a period that holds the first one. Its user may write anywhere in the bucket."""
    account = customers.account(KEY_ACCOUNT, path="audit/export")
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{account.bucket}/*"}
    customer = customers.with_access_key(account=account, policy={"Version": "2012-10-17", "Statement": [statement]})
    start = math.floor(time.time() / SLOT_SECONDS) * SLOT_SECONDS - SLOT_SECONDS
    sent = customer.tenant.send(make_events(3))
    customer.run_export(sent)
    end = math.ceil(time.time() / SLOT_SECONDS) * SLOT_SECONDS
    time.sleep(max(0.0, end + SETTLE_SECONDS - time.time()))
    sent += customer.tenant.send(make_events(1))
    customer.run_export(sent)
    return customer, utc_field(start), utc_field(end)


def test_an_export_is_changed_disabled_and_enabled(visit_as: Callable[..., Any], customers: CustomerFactory) -> None:
    customer = customers.with_access_key()
    administrator = customer.tenant.administrator
    with visit_as(customer.tenant) as visit:
        page = visit.page
        visit.open(f"#/exports/{customer.id}/edit")
        page.get_by_label("Description").fill("Changed by the page")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Changed by the page", timeout=PATIENCE_MILLISECONDS)
        assert administrator.get(customer.id)["description"] == "Changed by the page"
        button(page, "Actions", "Disable").click()
        button(page, "Disable the export?", "Disable", "dialog").click()
        expect(button(page, "Actions", "Enable")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        assert administrator.get(customer.id)["enabled"] is False
        button(page, "Actions", "Enable").click()
        expect(button(page, "Actions", "Disable")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        assert administrator.get(customer.id)["enabled"] is True


def test_files_are_put_back_and_a_period_is_replayed(
    visit_as: Callable[..., Any], exported: tuple[Customer, str, str]
) -> None:
    customer, start, end = exported
    account = customer.account
    lost = account.data_keys(customer.id)[0]
    content = account.download(lost)
    account.s3.delete_object(Bucket=account.bucket, Key=lost)
    patience = EXPORT_TIMEOUT_SECONDS * 1_000
    with visit_as(customer.tenant) as visit:
        page = visit.page
        visit.open(f"#/exports/{customer.id}")
        repairs = page.get_by_role("region", name="Put lost files back", exact=True)
        # Every window, whatever the zone of the browser: a range may be longer than the export.
        repairs.get_by_label("From").fill(utc_field(time.time() - 2 * DAY_SECONDS))
        repairs.get_by_label("To, exclusive").fill(utc_field(time.time() + 2 * DAY_SECONDS))
        repairs.get_by_role("button", name="Repair", exact=True).click()
        expect(repairs).to_contain_text("Everything is in the bucket", timeout=patience)
        assert account.download(lost) == content

        replays = page.get_by_role("region", name="Export a past period again", exact=True)
        replays.get_by_label("From").fill(start)
        replays.get_by_label("To, exclusive").fill(end)
        replays.get_by_label("Path for the replay").fill("replays/siem")
        replays.get_by_role("button", name="Replay", exact=True).click()
        expect(replays).to_contain_text("Complete 100 %", timeout=patience)
        written = [entry["Key"] for entry in account.objects("replays/siem/")]
        assert any("/date=" in key for key in written), written
        assert any("/_digests/" in key for key in written), written


def test_an_export_is_deleted(visit_as: Callable[..., Any], customers: CustomerFactory) -> None:
    customer = customers.with_access_key(description="to be deleted")
    with visit_as(customer.tenant) as visit:
        page = visit.page
        visit.open(f"#/exports/{customer.id}")
        button(page, "Actions", "Delete").click()
        page.get_by_role("dialog").get_by_label("Enter the name of the bucket").fill(customer.account.bucket)
        button(page, "Delete the export?", "Delete", "dialog").click()
        expect(page.get_by_role("heading", name="No export yet")).to_be_visible(timeout=PATIENCE_MILLISECONDS)
        assert customer.stored() == {}


def test_the_list_can_be_used_soon(
    browser: Browser,
    stack: Stack,
    customers: CustomerFactory,
    token: TokenFactory,
    record_property: Callable[[str, object], None],
) -> None:
    """In a cold visit. The report has the time, which `make bench-page` prints; the bound is for any machine, however busy."""
    customer = customers.with_access_key()
    address = f"{stack.api_url}/audit"
    with visiting(browser, address, has_service=True, ignore_https_errors=True) as visit:
        visit.page.set_default_timeout(PATIENCE_MILLISECONDS)
        signed_in = f"{address}#token={token(customer.tenant.name, 'AUDIT')}"
        seconds = seconds_to_first_link(visit.page, signed_in)
        visit.check()
    record_property("seconds to the first link", f"{seconds:.2f}")
    assert seconds < 10
