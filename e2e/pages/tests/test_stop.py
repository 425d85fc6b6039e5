"""The early end of a run: asked about first, and sent by our own page alone."""

from playwright.sync_api import Browser, expect

from crucible_pages.browser import fits, look, opened
from crucible_pages.world import LIVE, QUEUED, World


def test_nobody_elsewhere_can_have_a_run_stopped(chromium: Browser, gateway: World) -> None:
    with opened(chromium, quiet=False) as page:
        page.set_content(f'<form method="post" action="{gateway.open}/ui/runs/{QUEUED}/stop"><button>Win a prize</button></form>')
        page.get_by_role("button").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You may not do this")
        page.goto(f"{gateway.open}/ui/runs/{QUEUED}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Queued · reporting")


def test_whoever_is_not_sure_lets_it_go_on(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/runs/{LIVE}")
        page.get_by_role("link", name="Stop this run…").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Stop this run?")
        look(page, f"stop-{scheme}")
        fits(page)
        page.get_by_role("link", name="Let it go on").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Executing · checkout")


def test_whoever_is_sure_stops_it_with_a_script_or_without(chromium: Browser, gateway: World) -> None:
    with opened(chromium, script=False) as page:
        page.goto(f"{gateway.open}/ui/runs/{QUEUED}/stop")
        page.get_by_role("button", name="Stop the run").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Stopping · reporting")
        assert page.get_by_role("link", name="Stop this run…").count() == 0
