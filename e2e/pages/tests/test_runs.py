"""Runs: the list of them and the page of each."""

import re

import pytest
from playwright.sync_api import Browser, expect

from crucible_pages.browser import fits, look, opened
from crucible_pages.world import ENDED, LIVE, LOST, QUEUED, World

WORDS = {
    "passed": "✓ Passed",
    "failed": "✗ Failed",
    "chaos": "✗ Failed",
    "comparison": "✗ Failed",
    "invalid": "! Invalid",
    "aborted": "! Aborted",
}


def test_the_list_shows_every_run_and_what_came_of_it(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/")
        assert page.url == f"{gateway.open}/ui/"
        assert page.title() == "Runs · Crucible"
        live = page.get_by_role("row").filter(has_text=LIVE)
        expect(live).to_contain_text("Executing")
        expect(page.get_by_role("row").filter(has_text=ENDED["invalid"])).to_contain_text("! Invalid")
        expect(page.get_by_role("row").filter(has_text=QUEUED)).to_contain_text("</td><script>")
        look(page, f"runs-{scheme}")
        fits(page)
        assert page.title() == "Runs · Crucible", "what somebody called their run was carried out"


def test_the_list_keeps_itself_up_to_date_until_it_is_told_not_to(chromium: Browser, gateway: World) -> None:
    with opened(chromium) as page:
        page.goto(f"{gateway.open}/ui/")
        page.evaluate("window.loadedOnce = true")
        progress = page.get_by_label(f"Progress of {LIVE}")
        before = progress.get_attribute("value")
        expect(progress).not_to_have_attribute("value", before or "", timeout=10_000)
        assert page.evaluate("window.loadedOnce"), "it is the same page"
        page.get_by_role("button", name="Pause updates").click()
        page.wait_for_timeout(500)
        paused = progress.get_attribute("value")
        page.wait_for_timeout(4000)
        assert progress.get_attribute("value") == paused
        page.get_by_role("button", name="Go on updating").click()
        expect(progress).not_to_have_attribute("value", paused or "", timeout=10_000)


@pytest.mark.parametrize("script", [True, False])
def test_runs_are_searched_and_paged_with_a_script_or_without(chromium: Browser, gateway: World, script: bool) -> None:
    with opened(chromium, script=script) as page:
        page.goto(f"{gateway.open}/ui/")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(50)
        page.get_by_role("link", name="Older").click()
        expect(rows).to_have_count(19)
        page.get_by_role("link", name="Newest").click()
        expect(rows).to_have_count(50)
        page.get_by_label("Plan").fill("reporting")
        page.get_by_label("Phase").select_option("Failed")
        page.get_by_role("button", name="Show", exact=True).click()
        expect(rows).to_have_count(1)
        assert page.url.endswith("/ui/?plan=reporting&label=&phase=Failed")
        expect(page.get_by_label("Plan")).to_have_value("reporting")
        page.get_by_role("link", name="Show all").click()
        expect(rows).to_have_count(50)


def test_a_live_run_is_drawn_as_it_goes(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/runs/{LIVE}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Executing · checkout")
        line = page.get_by_role("img", name="Queries answered per second").locator(".trace")
        expect(line).to_be_visible()
        # A line through twelve points.
        expect(line).to_have_attribute("d", re.compile("(L[^L]+){11}"))
        expect(page.locator(".figures")).to_contain_text("workers")
        look(page, f"run-live-{scheme}")
        fits(page)
        page.reload()
        assert page.locator("[data-chart] .trace").first.get_attribute("d").count("L") >= 10, "what was seen is not forgotten"


def test_a_live_run_can_be_read_without_a_script(chromium: Browser, gateway: World) -> None:
    with opened(chromium, script=False) as page:
        page.goto(f"{gateway.open}/ui/runs/{LIVE}")
        expect(page.locator(".figures")).to_contain_text("answered per second")
        assert not page.locator(".charts").is_visible()
        before = page.locator(".through").inner_text()
        page.wait_for_timeout(6000)
        assert page.locator(".through").inner_text() != before, "it is asked for again"


@pytest.mark.parametrize("kind", WORDS)
def test_an_ended_run_shows_its_verdict_and_its_report(chromium: Browser, gateway: World, kind: str, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/runs/{ENDED[kind]}")
        expect(page.get_by_role("heading", level=1)).to_have_text(f"{WORDS[kind]} · checkout")
        expect(page.frame_locator("iframe").locator(".word")).to_have_text(WORDS[kind])
        page.get_by_text("Checks", exact=True).click()
        expect(page.get_by_role("table").first).to_be_visible()
        look(page, f"run-{kind}-{scheme}")
        fits(page)
        page.get_by_role("link", name="Open the report").click()
        assert page.url.endswith("/report")


def test_a_run_without_results_says_why(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/runs/{LOST}")
        expect(page.locator(".verdict")).to_contain_text("! Harness error")
        expect(page.locator(".why")).to_contain_text("Worker 1 of reporting left no outcome")
        look(page, f"run-lost-{scheme}")


def test_what_is_not_there_is_told_by_a_page(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme, quiet=False) as page:
        answer = page.goto(f"{gateway.open}/ui/runs/nobody_1")
        assert answer is not None and answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
        look(page, f"error-{scheme}")


def test_everything_can_be_reached_by_keyboard(chromium: Browser, gateway: World) -> None:
    with opened(chromium) as page:
        page.goto(f"{gateway.open}/ui/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Pause updates")).to_be_focused()
