"""The fixtures of the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.page.exported import write_export
from tests.page.service import serving
from tests.page.visit import Visit, launch, visiting


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """A visit after which the browser must have reported nothing."""
    with visiting(browser, address) as visit:
        yield visit
        visit.check()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `key.pem` and a complete export in a folder of its ID."""
    folder = tmp_path_factory.mktemp("exported")
    write_export(folder)
    return folder
