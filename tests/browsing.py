"""Pages in a real browser, with the network off, and with whatever went wrong in them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, sync_playwright

Scheme = Literal["light", "dark"]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

needs_browser = pytest.mark.skipif(
    not BROWSER, reason="no browser: neither chromium nor google-chrome"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox what root runs; these pages hold nothing but our own text.
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


def look(
    browser: Browser, path: Path, width: int, scheme: Scheme, **options: Any
) -> tuple[Page, list[str]]:
    """Open the page and return it with whatever went wrong or was asked of the network, so far."""
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": 800}, color_scheme=scheme, **options
    )
    page = context.new_page()
    trouble: list[str] = []

    def note(text: str) -> None:
        if text != path.as_uri():
            trouble.append(text)

    page.on("console", lambda message: note(message.text))
    page.on("pageerror", lambda error: note(str(error)))
    page.on("requestfailed", lambda request: note(request.url))
    page.on("request", lambda request: note(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    return page, trouble


def barriers(page: Page) -> list[tuple[str, list[str]]]:
    """Return what axe finds that keeps somebody from using the page, and where."""
    violations = Axe().run(page).response["violations"]
    return [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]
