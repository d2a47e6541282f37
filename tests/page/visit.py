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
# WCAG 1.4.10: a window of 1280 pixels at 400 %.
NARROWEST = (320, 640)

# In every document that the visit opens.
_LISTEN = """
addEventListener("securitypolicyviolation", (event) =>
  window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# A region that scrolls has a name and takes the focus; what is for screen readers only is cut off on purpose.
_TOO_WIDE = """() => {
  const name = (one) => `${one.tagName} ${one.className.baseVal ?? one.className} ${one.textContent.slice(0, 60)}`;
  const scrolls = (one) => /auto|scroll/.test(getComputedStyle(one).overflowX);
  const isShown = (one) => one.getClientRects().length > 0 && !one.closest(".hidden, .skip, thead, svg, datalist");
  const isFree = (one) => { for (; one; one = one.parentElement) if (scrolls(one)) return false; return true; };
  const width = document.scrollingElement.clientWidth;
  const all = [...document.body.querySelectorAll("*")].filter(isShown);
  return [
    ...(document.scrollingElement.scrollWidth > width ? [`the page, ${document.scrollingElement.scrollWidth}`] : []),
    ...all.filter((one) => isFree(one) && one.getBoundingClientRect().right > width + 1).map(name),
    ...all.filter((one) => getComputedStyle(one).overflowX === "hidden" && one.scrollWidth > one.clientWidth).map(name),
  ];
}"""

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
        """
        Returns what axe-core finds against WCAG 2.2 AA, and what is too wide or cut off: in light, dark and forced colours,
        narrow and wide, and with text of twice the size.
        """
        self.page.evaluate(_axe())
        problems: list[str] = []
        for size in (NARROWEST, WIDE):
            problems += self._resize(size)
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                problems += self._axe(f"{scheme}, {size[0]}")
        self.page.emulate_media(forced_colors="active")
        problems += self._axe("forced colours")
        self.page.emulate_media(forced_colors="none")
        self.page.evaluate("document.documentElement.style.fontSize = '200%'")
        problems += self._resize(WIDE)
        self.page.evaluate("document.documentElement.style.fontSize = ''")
        return problems

    def _resize(self, size: tuple[int, int]) -> list[str]:
        """Returns what is wider than a window of this size, or than the place that it has."""
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        found: list[str] = self.page.evaluate(_TOO_WIDE)
        return [f"in a window of {size[0]}: {one}" for one in found]

    def _axe(self, condition: str) -> list[str]:
        # Not while something moves or fades.
        self.page.wait_for_function("() => document.getAnimations().every(one => one.playState !== 'running')")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", tags)
        return [
            f"{one['id']} ({condition}): {node['target']} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


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
