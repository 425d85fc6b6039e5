"""Plans, datasets, and two runs side by side."""

from playwright.sync_api import Browser, expect

from crucible_pages.browser import fits, look, opened
from crucible_pages.world import ENDED, World


def test_plans_of_both_kinds_can_be_looked_at(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/")
        page.get_by_role("link", name="Plans", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Plans")
        look(page, f"plans-{scheme}")
        fits(page)
        page.get_by_role("link", name="checkout", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("checkout")
        page.get_by_text("As the cluster has it").click()
        look(page, f"plan-{scheme}")
        fits(page)
        page.get_by_role("link", name="Runs of this plan").click()
        assert page.url.endswith("/ui/?plan=checkout")
        page.goto(f"{gateway.open}/ui/plans/stored/Check_out.v2")
        expect(page.locator("pre")).to_contain_text('password: "********"')
        look(page, f"plan-stored-{scheme}")
        page.goto(f"{gateway.open}/ui/plans/stored/wrong")
        expect(page.get_by_text("This plan cannot be run.")).to_be_visible()
        look(page, f"plan-wrong-{scheme}")
        fits(page)


def test_datasets_have_their_files(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/fixtures")
        look(page, f"fixtures-{scheme}")
        fits(page)
        page.get_by_role("link", name="shop-orders", exact=True).click()
        expect(page.get_by_role("row")).to_have_count(5)
        look(page, f"fixture-{scheme}")
        fits(page)


def test_two_runs_are_compared_with_a_script_or_without(chromium: Browser, gateway: World, scheme: str) -> None:
    with opened(chromium, scheme, script=scheme == "light") as page:
        page.goto(f"{gateway.open}/ui/compare")
        page.get_by_label("Earlier run").fill(ENDED["passed"])
        page.get_by_label("Later run").fill(ENDED["comparison"])
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("row").filter(has_text="version")).to_contain_text("differs")
        expect(page.get_by_role("img", name="95th percentile of the latency").locator(".trace")).to_have_count(2)
    with opened(chromium, scheme) as page:
        page.goto(f"{gateway.open}/ui/compare?one={ENDED['passed']}&other={ENDED['comparison']}")
        look(page, f"compare-{scheme}")
        fits(page)
