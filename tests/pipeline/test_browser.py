"""The page in a real browser, with the network off: on a desk, on a phone, by day and by night."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from stages.common import paths
from tests.browsing import Scheme, barriers, browser, look, needs_browser
from tests.builders import draw, predictions, write_results
from tests.project import Project

pytestmark = needs_browser
__all__ = ["browser"]


@pytest.fixture(scope="module")
def pages(reproduced_once: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A real run's page, and one of 62 classes whose names are long and without a space."""
    folder = tmp_path_factory.mktemp("page")
    actual = [i % 62 for i in range(124)]
    names = [f"class_{i}_" + "supercalifragilistic" * 3 for i in range(62)]
    many = write_results(folder, names, predictions(actual, [*actual[1:], 0], [0.9] * 124))
    draw(folder)
    return {"real": reproduced_once.root / paths.PAGE, "many": many}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["real", "many"])
def test_the_page_can_be_read_anywhere(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: Scheme
) -> None:
    page, trouble = look(browser, pages[name], width, scheme)
    assert trouble == []
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.images].every(i => i.getBoundingClientRect().right <= innerWidth"
        " || i.closest('.scroll'))"
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(25, 25, 25)"}[scheme]
    assert barriers(page) == []
    page.context.close()


def test_its_headings_are_an_outline(browser: Browser, pages: dict[str, Path]) -> None:
    page, _ = look(browser, pages["real"], 390, "light")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")
    assert levels == ["H1"] + ["H2"] * 9
    assert page.evaluate("document.scripts.length") == 0
    links = page.evaluate("[...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    assert links == page.evaluate("[...document.querySelectorAll('section')].map(s => s.id)")
    page.context.close()


def test_on_paper_what_is_folded_is_there_except_for_long_lists(
    browser: Browser, pages: dict[str, Path]
) -> None:
    page, _ = look(browser, pages["many"], 680, "light")
    folded = "#model pre:not(.command)", "#confusions details img", "#confusions details th"
    long = "#mistakes details", "nav"

    def visible(selector: str) -> bool:
        return bool(page.locator(selector).last.evaluate("element => element.checkVisibility()"))

    assert [visible(selector) for selector in folded + long] == [False] * 3 + [True] * 2
    page.emulate_media(media="print")
    assert [visible(selector) for selector in folded + long] == [True] * 3 + [False] * 2
    page.context.close()
