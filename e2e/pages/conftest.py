"""What the tests share: one browser and one world."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from crucible_pages import browser, world

# The last one ends the run that the others look at.
ORDER = ("test_reports", "test_runs", "test_beside_runs", "test_session", "test_stop", "test_cluster", "test_turning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the modules in order. One that is not in the list is an error, not an afterthought."""
    items.sort(key=lambda item: ORDER.index(item.path.stem))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    with sync_playwright() as playwright:
        launched = browser.launch(playwright)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def gateway() -> Iterator[world.World]:
    """The gateway with its world in memory."""
    begun = world.begin()
    yield begun
    begun.process.communicate()


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    """The colours that somebody prefers."""
    return request.param
