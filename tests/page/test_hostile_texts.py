"""Texts that a person, an event or a customer's server can fill stay texts, wherever the page shows them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.page import answers
from tests.page import test_views as views
from tests.page.answers import Json
from tests.page.exported import write_export
from tests.page.generated import Signer, digest_bytes, sha256
from tests.page.service import Refused
from tests.page.test_views import HOSTILE, hostile
from tests.page.visit import Visit

DETAIL = f"#/exports/{answers.ID}"
# What of it is seen: the mark that turns the direction is shown by its number in names.
SEEN = "<img src=x onerror="
# A name of a file can't have a slash.
FILE_NAME = "<img src=x onerror=\"window.attacked='yes'\">"


def is_a_text(page: Page, times: int = 1) -> None:
    """The hostile text is seen, and nothing became of it."""
    main = page.locator("body")
    expect(main).to_contain_text(SEEN)
    assert main.inner_text().count(SEEN) >= times
    is_harmless(page)


def is_harmless(page: Page) -> None:
    assert page.evaluate("window.attacked ?? null") is None
    assert page.locator("body img, body script, body iframe, body object, body embed").count() == 0
    # No attribute came out of a text either.
    assert page.locator("[onerror], [onload], [onclick], [style]").count() == 0
    protocols = page.eval_on_selector_all("a[href]", "all => all.map(one => one.protocol)")
    assert set(protocols) <= {"http:", "https:"}, protocols


def test_the_token(visit: Visit) -> None:
    """Its user, tenant and issuer, in the header."""
    claims = {"sub": HOSTILE, "tenant_id": HOSTILE, "iss": HOSTILE}
    visit.token = with_claims(visit.token, **claims)
    visit.open()
    header = visit.page.get_by_role("banner")
    # Both claims.
    assert header.inner_text().count(SEEN) == 2
    assert "\u202e" not in header.inner_text(), "nothing turns the direction of a name"
    assert header.locator("[title]").get_attribute("title") == HOSTILE
    is_a_text(visit.page)


def with_claims(token: str, **claims: Any) -> str:
    header, payload, signature = token.split(".")
    before = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps(before | claims).encode()).decode().rstrip("=")
    return f"{header}.{changed}.{signature}"


def test_a_digest(visit: Visit) -> None:
    names = ("bucketName", "objectKey", "digest", "sha256", "signatureObjectKey", "signatureSha256")
    digest = dict.fromkeys(names, HOSTILE) | {"signature": base64.b64encode(HOSTILE.encode()).decode()}
    visit.service.answers["Digest"] = lambda _: {"digest": digest}
    visit.open(DETAIL)
    page = visit.page
    # The newest window failed, and has none.
    page.locator(".column").nth(2).click()
    page.get_by_role("button", name="Load the digest").click()
    shown = page.get_by_role("region", name="digest", exact=True)
    expect(shown).to_have_text(HOSTILE)
    is_a_text(page, 4)
    for name in ("Download digest", "Download signature"):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.path().read_bytes() == HOSTILE.encode()
        assert "/" not in download.value.suggested_filename


@pytest.mark.parametrize("is_delivered", [True, False], ids=["delivered", "not delivered"])
def test_results_of_webhooks(visit: Visit, is_delivered: bool) -> None:
    visit.service.configuration["notifications"] = [{"url": HOSTILE}]
    error = None if is_delivered else {"code": HOSTILE, "message": HOSTILE}
    result = {"url": HOSTILE, "isDelivered": is_delivered, "status": 200, "error": error}
    visit.service.answers["TestNotifications"] = lambda _: {"results": [result]}
    visit.open(DETAIL)
    visit.page.get_by_role("button", name="Send a test notice").click()
    row = visit.page.get_by_role("listitem").filter(has_text=SEEN)
    expect(row).to_contain_text("delivered (200)")
    is_a_text(visit.page, 1 if is_delivered else 3)


def test_further_pages(visit: Visit) -> None:
    """Older windows, and more objects of a window, with cursors that are hostile too."""
    service, page = visit.service, visit.page
    further = {"hasNextPage": True, "endCursor": HOSTILE}
    end = {"hasNextPage": False, "endCursor": None}

    def jobs(variables: Json) -> Json:
        nodes = answers.jobs()["nodes"]
        if "after" not in variables:
            return {"jobs": {"nodes": nodes[:2], "pageInfo": further}}
        assert variables["after"] == HOSTILE
        failed = hostile(nodes[2]) | {"id": HOSTILE, "status": "FAILED", "failureReason": HOSTILE}
        return {"jobs": {"nodes": [failed], "pageInfo": end}}

    def tasks(variables: Json) -> Json:
        (node,) = answers.tasks()["nodes"]
        named = {"objectKey": HOSTILE, "failureReason": HOSTILE, "ocsfClass": HOSTILE}
        if variables.get("after") is None:
            return {"tasks": {"nodes": [node | named], "pageInfo": further}}
        assert variables["after"] == HOSTILE
        return {"tasks": {"nodes": [node | named | {"id": HOSTILE}], "pageInfo": end}}

    service.answers |= {"Jobs": jobs, "Tasks": tasks}
    visit.open(DETAIL)
    page.get_by_role("button", name="Older windows").click()
    expect(page.locator(".column")).to_have_count(3)
    page.locator(".column").first.click()
    expect(page.locator(".chosen .notice")).to_have_text(HOSTILE)
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("table", name="Objects").get_by_role("row")).to_have_count(3)
    is_a_text(page, 5)


def request_repair(page: Page) -> None:
    request(page, "Put lost files back", "Repair")


def request_replay(page: Page) -> None:
    page.get_by_label("Path for the replay").fill("replays/siem")
    request(page, "Export a past period again", "Replay")


def request(page: Page, heading: str, name: str) -> None:
    place = page.get_by_role("region", name=heading)
    for field in ("From", "To, exclusive"):
        place.get_by_label(field).fill("2026-11-21T21:00")
    place.get_by_role("button", name=name, exact=True).click()


REFUSED: dict[str, Callable[[Page], None]] = {
    "Disable": lambda page: confirm(page, "Disable"),
    "Delete": lambda page: confirm(page, "Delete"),
    "Run": lambda page: page.get_by_role("button", name="Export now").click(),
    "Test": lambda page: page.get_by_role("button", name="Test the connection").click(),
    "RequestRepair": request_repair,
    "RequestReplay": request_replay,
    "CancelReplay": lambda page: page.get_by_role("button", name="Cancel the replay").click(),
}


def confirm(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    dialog = page.get_by_role("dialog")
    if name == "Delete":
        # The bucket has the hostile name.
        dialog.get_by_role("textbox").fill(HOSTILE)
    dialog.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("operation", REFUSED)
def test_refusals(visit: Visit, operation: str) -> None:
    """Texts, codes, IDs of requests and problems of fields of an error."""
    fields = [{"field": name, "code": HOSTILE, "message": HOSTILE} for name in ("from", "to", "bucketPath", HOSTILE)]
    visit.service.configuration["endpointConfiguration"]["bucketName"] = HOSTILE
    found = {"code": HOSTILE, "message": HOSTILE}
    visit.service.refuse(operation, Refused("INTERNAL", HOSTILE, fields=fields, requestId=HOSTILE))
    for error in (Refused(HOSTILE, HOSTILE, requestId=HOSTILE), Refused("X", HOSTILE, connectionError=found)):
        visit.open(DETAIL)
        REFUSED[operation](visit.page)
        expect(visit.page.get_by_role("alert").filter(has_text=SEEN)).to_be_visible()
        is_a_text(visit.page, 2)
        visit.service.refuse(operation, error)


def test_problems_of_a_form(visit: Visit) -> None:
    """A field that the page has, one that it does not have, and a conflict."""
    fields = [{"field": name, "code": HOSTILE, "message": HOSTILE} for name in ("description", HOSTILE)]
    visit.service.refuse("UpdateWithRole", Refused("INVALID_INPUT", HOSTILE, fields=fields))
    visit.open(f"{DETAIL}/edit")
    page = visit.page
    page.get_by_label("Description").fill(HOSTILE)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("group", name="fields have to be changed")).to_contain_text(SEEN)
    is_a_text(page, 2)
    visit.service.refuse("UpdateWithRole", Refused("CONFLICT", HOSTILE))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text(HOSTILE)
    is_a_text(page)


def test_a_code_in_the_address(visit: Visit) -> None:
    visit.open(f"#/codes/{quote(HOSTILE, safe='')}", signed_in=False)
    is_a_text(visit.page)


def texts_of(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yields the way to each text in a digest."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from texts_of(one, (*path, name))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from texts_of(one, (*path, index))


def changed(value: Any, path: tuple[str | int, ...]) -> Any:
    """Returns a copy in which the text at a path is hostile."""
    if not path:
        return HOSTILE
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = changed(copy[path[0]], path[1:])
    return copy


@pytest.mark.parametrize("case", ["nothing, of unknown origin", "filters and back", "Security Lake and back"])
def test_signed_digests_of_a_folder(visit: Visit, tmp_path: Path, case: str) -> None:
    """Each text of the newest digest that has a filter or a class of OCSF, or else of the newest. Its signature is right."""
    write_export(tmp_path, f"{case}; tagged: false")
    signer = Signer()
    (tmp_path / "key.pem").write_text((tmp_path / "key.pem").read_text() + signer.pem)
    digests = sorted((tmp_path / answers.ID / "_digests").glob("*.json"))
    marks = ("filter", "ocsfVersion") if "back" in case else ("version",)
    chosen = next(path for path in reversed(digests) if any(mark in json.loads(path.read_bytes()) for mark in marks))
    for path in digests[digests.index(chosen) + 1 :]:
        path.unlink()
        path.with_name(f"{path.name}.sig").unlink()
    genuine = json.loads(chosen.read_bytes())
    assert digest_bytes(genuine) == chosen.read_bytes(), "the digest is written as the service writes it"
    genuine["signingKey"] = signer.fingerprint
    visit.open("#/verify", signed_in=False)
    page = visit.page
    page.get_by_label("File with the public key").set_input_files(tmp_path / "key.pem")
    shown = set()
    for way in texts_of(genuine):
        digest = changed(genuine, way)
        if way[0] == "filter":
            digest["filterSha256"] = sha256(
                json.dumps(digest["filter"], separators=(",", ":"), ensure_ascii=False).encode()
            )
        content = digest_bytes(digest)
        chosen.write_bytes(content)
        chosen.with_name(f"{chosen.name}.sig").write_bytes(signer.sign(content))
        page.get_by_label("Folder of the export").set_input_files(tmp_path)
        page.get_by_role("button", name="Verify", exact=True).click()
        result = page.get_by_role("region", name="Result")
        expect(result.locator(".verdict")).to_contain_text("BROKEN")
        if SEEN in result.inner_text():
            shown.add(way[-1])
        is_harmless(page)
    assert "key" in shown, "names of objects are shown"


def test_names_of_files(visit: Visit, tmp_path: Path) -> None:
    """Of the key, of the folder, and of files that are no part of the export."""
    folder = tmp_path / FILE_NAME
    folder.mkdir()
    write_export(folder)
    key = (folder / "key.pem").rename(tmp_path / f"{FILE_NAME}.pem")
    day = folder / answers.ID / "date=2026-11-22"
    for name in (FILE_NAME, f"._{FILE_NAME}"):
        (day / name).write_text("")
    visit.open("#/verify", signed_in=False)
    page = visit.page
    page.get_by_label("File with the public key").set_input_files(key)
    page.get_by_label("Folder of the export").set_input_files(folder)
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.get_by_role("region", name="Result").locator(".verdict")).to_contain_text("BROKEN: EXTRA_OBJECT")
    # Key, folder before and in the result, key in the result, and the file.
    is_a_text(page, 5)
    # No event says that the content of the same file has changed.
    damaged = key.with_name(f"damaged {key.name}")
    damaged.write_text(HOSTILE)
    page.get_by_label("File with the public key").set_input_files(damaged)
    expect(page.get_by_role("alert")).to_contain_text(SEEN)
    is_a_text(page)


def test_every_view_with_hostile_answers(visit: Visit) -> None:
    """Of a configuration that has every field."""
    service = visit.service
    ocsf = {
        "version": HOSTILE,
        "classes": [{"action": HOSTILE, "targetType": HOSTILE, "class": HOSTILE, "activity": HOSTILE}],
    }
    steps = [{"code": HOSTILE, "instruction": HOSTILE, "document": HOSTILE}]
    whole = answers.configuration(
        connectionStatus="FAILED", connectionError={"code": HOSTILE, "message": HOSTILE}, connectionChecks=[]
    )
    service.configuration = hostile(whole) | {"nextSteps": steps, "ocsf": ocsf}
    service.configuration["endpointConfiguration"] |= dict.fromkeys(
        ("endpointUrl", "accessKeyId", "kmsKeyArn", "expectedBucketOwner"), HOSTILE
    )
    for name, answer in list(service.answers.items()):
        if name in ("Policies", "Jobs", "Tasks", "Repair", "Replays", "Backlog", "SigningKeys"):
            service.answers[name] = views.always(hostile(answer({})))
    key = {"fingerprint": HOSTILE, "algorithm": HOSTILE, "publicKey": HOSTILE, "current": True}
    service.answers["SigningKeys"] = lambda _: {"keys": [key]}
    for view in ("#/", DETAIL, f"{DETAIL}/edit", f"#/new/{answers.ID}"):
        visit.open(view)
        visit.page.wait_for_load_state("networkidle")
        views.unfold(visit.page)
        if view == DETAIL:
            is_a_text(visit.page, 15)
        is_harmless(visit.page)
