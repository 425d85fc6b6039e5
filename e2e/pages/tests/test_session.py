"""Signing in, where the gateway asks who somebody is."""

from playwright.sync_api import Browser, expect

from crucible_pages.browser import fits, look, opened
from crucible_pages.world import ENDED, TOKEN, World


def test_a_token_is_shown_once(chromium: Browser, gateway: World, scheme: str) -> None:
    place = f"{gateway.guarded}/ui/runs/{ENDED['passed']}"
    with opened(chromium, scheme, quiet=False) as page:
        answer = page.goto(place)
        assert answer is not None and answer.status == 401
        look(page, f"sign-in-{scheme}")
        fits(page)
        page.get_by_label("Token").fill("sword")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("You are not signed in: the token is not valid here.")
        look(page, f"sign-in-refused-{scheme}")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("✓ Passed · checkout")
        assert page.url == place
        (cookie,) = page.context.cookies(place)
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["expires"]) == (True, "Strict", "/ui", -1)
        assert page.evaluate("document.cookie") == ""
        expect(page.frame_locator("iframe").locator(".word")).to_have_text("✓ Passed")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert not page.context.cookies(place)


def test_whoever_may_only_look_is_told_so_before_they_are_asked(chromium: Browser, gateway: World) -> None:
    with opened(chromium, quiet=False) as page:
        page.goto(f"{gateway.guarded}/ui/")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Sign in").wait_for(state="detached")
        page.get_by_label("Phase").select_option("Live")
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator("tbody a.id").first.click()
        page.get_by_role("link", name="Stop this run…").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("You may not do this")
        expect(page.get_by_text("Anna may not update testruns")).to_be_visible()
