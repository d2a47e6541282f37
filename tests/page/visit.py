"""A visit of the page with a browser, and what no visit may show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Playwright, Route, Worker

from infra.local import browser as browsers
from tests.page.service import GRAPHQL, Service, operation, token

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDE = (1280, 900)
NARROW = (360, 740)

# In every document that the visit opens.
_LISTEN = """
addEventListener("securitypolicyviolation", (event) =>
  window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

# In a worker, which has a policy of its own. What it writes to its console is a problem of the visit.
_LISTEN_IN_WORKER = """
() => addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy of a worker: ${event.violatedDirective} ${event.blockedURI}`))
"""


def launch(playwright: Playwright) -> Browser:
    chosen = browsers.browser()
    return playwright.chromium.launch(
        executable_path=chosen.executable,
        # Fields of times take digits in the order of the browser's language, whatever the zone and language of a page.
        env={**os.environ, **chosen.environment, "LANGUAGE": "en_US"},
        # The sandbox needs privileges that a container lacks, and refuses to run as root.
        args=["--no-sandbox", "--disable-dev-shm-usage"],
    )


class Visit:
    """A page in a browser of its own, and the service that it asks. `problems`: what the browser reported."""

    def __init__(self, page: Page, address: str, service: Service) -> None:
        self.page = page
        self.address = address
        self.service = service
        self.token = token()
        # The requests of operations that are held back.
        self._held: dict[str, list[Route]] = {}
        self.problems: list[str] = []
        self.violations: list[str] = []
        page.expose_binding("reportViolation", lambda _, violation: self.violations.append(violation))
        page.add_init_script(_LISTEN)
        page.on("console", self._note)
        page.on("worker", _listen)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        # Chromium notes each response of 4xx and 5xx, which the page shows by itself.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.problems.append(f"{message.type}: {message.text}")

    def open(self, view: str = "#/", *, signed_in: bool = True) -> None:
        """Opens a view, with a token that a portal hands over in the fragment."""
        if signed_in:
            if self.page.url.startswith(self.address):
                # Else only the fragment would change.
                self.page.goto("about:blank")
            self.page.goto(f"{self.address}#token={self.token}")
            self.page.get_by_role("button", name="Sign out").wait_for()
            self.page.evaluate("hash => location.hash = hash", view)
        else:
            self.page.goto(self.address + view)
        self.page.get_by_role("heading", level=1).wait_for()

    def check(self) -> None:
        """Fails if the policy was violated, or the browser reported something."""
        assert self.violations == []
        assert self.problems == []

    def respond(self, route: Route) -> None:
        """Lets the service respond, unless the operation is held back."""
        request = json.loads(route.request.post_data or "")
        held = self._held.get(operation(request))
        if held is None:
            status, body = self.service.respond(request, route.request.headers.get("authorization", ""))
            route.fulfill(status=status, body=body, content_type="application/json")
        else:
            held.append(route)

    def hold(self, name: str) -> None:
        """Lets the next requests for an operation wait."""
        self._held[name] = []

    def release(self, name: str) -> None:
        """Lets the service respond to the requests that wait, and to later ones."""
        for route in self._held.pop(name):
            self.respond(route)

    def accessibility(self) -> list[str]:
        """Returns what axe-core finds against WCAG 2.2 AA, and what is too wide: in light and dark, narrow and wide."""
        self.page.evaluate(_axe())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        problems: list[str] = []
        for width, height in (NARROW, WIDE):
            self.page.set_viewport_size({"width": width, "height": height})
            if (actual := self.page.evaluate("document.scrollingElement.scrollWidth")) > width:
                problems.append(f"{actual} pixels wide in a window of {width}")
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                # Not while something moves or fades.
                self.page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")
                found = self.page.evaluate(
                    "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", tags
                )
                problems += [
                    f"{one['id']} ({scheme}, {width}): {node['target']} {node['failureSummary']}"
                    for one in found["violations"]
                    for node in one["nodes"]
                ]
        return problems


def _listen(worker: Worker) -> None:
    # It may have ended by now, as one does whose program can't be loaded.
    with suppress(Error):
        worker.evaluate(_LISTEN_IN_WORKER)


@cache
def _axe() -> str:
    return browsers.axe()


@contextmanager
def visiting(
    browser: Browser,
    address: str,
    *,
    scheme: Scheme = "light",
    size: tuple[int, int] = WIDE,
    has_service: bool = False,
    **options: Any,
) -> Iterator[Visit]:
    """Opens a page. Unless a service is behind it (`has_service`), that of the visit responds."""
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": size[0], "height": size[1]},
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
        **options,
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    visit = Visit(page, address, Service())
    if not has_service:
        page.route(GRAPHQL, visit.respond)
    try:
        yield visit
    finally:
        context.close()
