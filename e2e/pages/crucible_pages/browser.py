"""Pages as a browser sees them. Whatever it complains of is a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright

from .settings import CHROMIUM, SCREENSHOTS

# The clock of the world in memory stands still, and so does nothing else: pictures differ where pages do.
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
# What keeps somebody from using a page.
GRAVE = ("serious", "critical")


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium. Its own sandbox needs a user other than root."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


@contextmanager
def opened(browser: Browser, scheme: str = "light", *, script: bool = True, quiet: bool = True) -> Iterator[Page]:
    """A window of its own: no cookie, nothing remembered. `quiet` is given up where a page is meant to be refused."""
    context = browser.new_context(color_scheme=scheme, viewport=WIDE, java_script_enabled=script)
    page = context.new_page()
    complaints: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.add(_origin(request.url)))
    page.set_default_timeout(10_000)
    yield page
    context.close()
    assert len(asked - {"data:"}) <= 1, f"a page asked elsewhere: {asked}"
    assert not (quiet and complaints), complaints


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/')[0]}" if rest else f"{url.split(':')[0]}:"


def look(page: Page, name: str) -> None:
    """Takes a picture, and has axe look for what keeps people from using the page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    # What is shown in a frame is looked at by itself.
    found = Axe().run(page, options={"resultTypes": ["violations"], "iframes": False}).response["violations"]
    grave = [f"{one['id']} ({one['impact']}): {[node['html'] for node in one['nodes']][:3]}" for one in found if one["impact"] in GRAVE]
    assert not grave, "\n".join(grave)


def fits(page: Page) -> None:
    """Nobody has to scroll sideways, on a telephone either."""
    page.set_viewport_size(NARROW)
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size(WIDE)
    assert wide <= NARROW["width"], f"{wide} pixels on a screen of {NARROW['width']}"
