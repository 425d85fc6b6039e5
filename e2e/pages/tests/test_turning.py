"""The end of a run, seen from its own page."""

from playwright.sync_api import Browser, expect

from crucible_pages.browser import look, opened
from crucible_pages.world import LIVE, World


def test_the_page_of_a_run_turns_into_its_report_when_it_ends(chromium: Browser, gateway: World) -> None:
    with opened(chromium) as page:
        page.goto(f"{gateway.open}/ui/runs/{LIVE}")
        expect(page.locator(".charts")).to_be_visible()
        gateway.end_the_live_run()
        expect(page.get_by_role("heading", level=1)).to_have_text("✓ Passed · checkout")
        expect(page.frame_locator("iframe").locator(".word")).to_have_text("✓ Passed")
        assert page.locator(".charts").count() == 0
        look(page, "run-turned")
