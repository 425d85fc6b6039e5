"""The gateway of the development cluster: real runs, followed and stopped in a browser."""

from playwright.sync_api import Browser, expect

from crucible_pages import cluster
from crucible_pages.browser import fits, look, opened
from crucible_pages.settings import CLUSTER

# Other runs may go first, and the load of this one takes its time.
PATIENCE = 150_000


def test_a_real_run_is_followed_from_its_list_to_its_report(chromium: Browser) -> None:
    with cluster.run("15s") as run_id, opened(chromium) as page:
        page.goto(f"{CLUSTER}/")
        page.get_by_role("link", name=run_id).click()
        head = page.get_by_role("heading", level=1)
        expect(head).to_contain_text("Executing", timeout=PATIENCE)
        expect(page.get_by_role("img", name="Queries answered per second").locator(".trace")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".figures")).to_contain_text("workers")
        look(page, "cluster-run-live")
        report = page.frame_locator("iframe.report").locator(".verdict .word")
        expect(report).not_to_be_empty(timeout=PATIENCE)
        assert head.inner_text().startswith(report.inner_text())
        look(page, "cluster-run-ended")
        fits(page)
        page.get_by_role("link", name="Runs", exact=True).first.click()
        expect(page.get_by_role("row").filter(has_text=run_id)).to_contain_text("Completed")
        look(page, "cluster-runs")
        fits(page)


def test_a_real_run_is_stopped_on_its_page(chromium: Browser) -> None:
    with cluster.run("5m") as run_id, opened(chromium) as page:
        page.goto(f"{CLUSTER}/ui/runs/{run_id}")
        head = page.get_by_role("heading", level=1)
        expect(head).to_contain_text("Executing", timeout=PATIENCE)
        page.wait_for_timeout(2000)
        page.get_by_role("link", name="Stop this run…").click()
        page.get_by_role("button", name="Stop the run").click()
        # It may be over before anybody looks.
        expect(page.get_by_role("link", name="Stop this run…")).to_have_count(0)
        expect(head).to_contain_text("Aborted", timeout=30_000)
        expect(page.frame_locator("iframe.report").locator(".verdict .word")).to_have_text("! Aborted")


def test_plans_and_datasets_of_the_cluster_have_pages(chromium: Browser, scheme: str) -> None:
    with opened(chromium, scheme) as page:
        for name in ("plans", "fixtures", "compare"):
            page.goto(f"{CLUSTER}/ui/{name}")
            look(page, f"cluster-{name}-{scheme}")
            fits(page)
