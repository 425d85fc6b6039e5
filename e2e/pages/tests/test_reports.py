"""Reports, opened from the disk: the first screen says whether the system passed, why, and where to look next."""

import pytest
from playwright.sync_api import Browser

from crucible_pages.browser import WIDE, fits, look, opened
from crucible_pages.settings import REPORTS, SCREENSHOTS

REPORT = {
    "passed": ("✓ Passed", "Every check held."),
    "failed": ("✗ Failed", "This is about the system under test.", "The system under test did not answer as it should."),
    "invalid": ("! Invalid", "the load generator did not measure as it should"),
    "chaos": ("✗ Failed", "The system under test did not take a fault as it should."),
    "comparison": ("✗ Failed", "The system under test became slower."),
    "arms": ("✗ Failed", "The second arm is slower."),
    "open": ("✗ Failed", "This is about the system under test."),
    "aborted": ("! Aborted", "The load was ended early"),
}


@pytest.mark.parametrize("name", REPORT)
def test_a_report_says_on_its_first_screen_what_came_of_the_run(chromium: Browser, name: str, scheme: str) -> None:
    word, *nexts = REPORT[name]
    with opened(chromium, scheme, script=False) as page:
        page.goto((REPORTS / f"{name}.html").resolve().as_uri())
        head = page.locator(".verdict")
        assert head.locator(".word").inner_text() == word
        assert any(said in head.inner_text() for said in nexts), head.inner_text()
        assert head.locator(".why li").count() >= 1
        figures = page.locator(".figures").bounding_box()
        assert figures is not None and figures["y"] + figures["height"] < WIDE["height"] * 0.75
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"report-{name}-{scheme}-first.png")


@pytest.mark.parametrize("name", REPORT)
def test_a_report_can_be_used_by_everybody(chromium: Browser, name: str, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto((REPORTS / f"{name}.html").resolve().as_uri())
        look(page, f"report-{name}-{scheme}")
        fits(page)


def test_every_section_is_where_its_link_leads(chromium: Browser) -> None:
    with opened(chromium) as page:
        page.goto((REPORTS / "chaos.html").resolve().as_uri())
        for link in page.locator("nav a").all():
            assert page.locator(link.get_attribute("href") or "none").count() == 1
