"""Flower's pages, in a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import PROGRAM
from tests.flower.server import FlowerProcess
from tests.worker.process import PATIENCE
from tests.worker.site import Site

expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A tab of a real browser."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=arguments)
        yield browser.new_page(viewport={"width": 1600, "height": 900})
        browser.close()


def test_the_pages_show_the_owner_the_progress_and_the_landing(
    site: Site, flower: FlowerProcess, page: Page
) -> None:
    job = site.enqueue("reports_and_blocks")
    site.gates.reached(job.id)
    flower.shows(job.id, lambda task: task["progress"] == 50)
    page.goto(f"{flower.url}/tasks")
    row = page.locator(f"tr[id='{job.id}']")
    for text in ("STARTED", "processing", "50", str(site.user_id)):
        expect(row).to_contain_text(text)
    site.gates.open(job.id)
    flower.shows(job.id, lambda task: task["job_status"] == "completed")
    page.goto(f"{flower.url}/task/{job.id}")
    details = page.locator("#task-page")
    for title, value in (
        ("Owner", str(site.user_id)),
        ("Job type", "tests.worker.reporting.reports_and_blocks"),
        ("Job status", "completed"),
        ("Progress", "100"),
        ("Attempt", "1"),
    ):
        shown = details.locator(".detail-row", has=page.get_by_text(title, exact=True))
        expect(shown.locator("dd")).to_have_text(value)


def test_what_a_job_says_is_text_and_not_markup(
    site: Site, flower: FlowerProcess, page: Page
) -> None:
    job = site.enqueue("fails", "<img src=x onerror=document.title='owned'>")
    flower.shows(job.id, lambda task: task["state"] == "FAILURE")
    page.goto(f"{flower.url}/task/{job.id}")
    expect(page.locator("#task-page")).to_contain_text("<img src=x")
    assert "owned" not in page.title()
