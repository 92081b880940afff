"""The page in a real browser, with the network off: on a desk, on a phone, by day and by night."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, sync_playwright

from stages.common import paths
from tests.builders import draw, predictions, write_results
from tests.project import Project

Scheme = Literal["light", "dark"]
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(
    not BROWSER, reason="no browser: neither chromium nor google-chrome"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium refuses to sandbox what root runs; this page holds nothing but our own text.
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(reproduced_once: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A real run's page, and one of 62 classes whose names are long and without a space."""
    folder = tmp_path_factory.mktemp("page")
    actual = [i % 62 for i in range(124)]
    names = [f"class_{i}_" + "supercalifragilistic" * 3 for i in range(62)]
    many = write_results(folder, names, predictions(actual, [*actual[1:], 0], [0.9] * 124))
    draw(folder)
    return {"real": reproduced_once.root / paths.PAGE, "many": many}


def look(browser: Browser, path: Path, width: int, scheme: Scheme) -> tuple[Page, list[str]]:
    """Open the page and return it with whatever went wrong or was asked of the network."""
    context = browser.new_context(
        offline=True, viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(request.url))
    page.on("request", lambda request: trouble.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    return page, [item for item in trouble if item != path.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["real", "many"])
def test_the_page_can_be_read_anywhere(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    page, trouble = look(browser, pages[name], width, scheme)
    assert trouble == []
    assert page.evaluate("[...document.images].map(i => i.complete && i.naturalWidth > 0)") == (
        [True] * 5
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.images].every(i => i.getBoundingClientRect().right <= innerWidth)"
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(25, 25, 25)"}[scheme]
    violations = Axe().run(page).response["violations"]
    assert [
        (violation["id"], [node["target"] for node in violation["nodes"]])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ] == []
    page.context.close()


def test_its_headings_are_an_outline(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = look(browser, pages["real"], 390, "light")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")
    assert levels == ["H1"] + ["H2"] * 8
    assert page.evaluate("document.scripts.length") == 0
    page.context.close()
