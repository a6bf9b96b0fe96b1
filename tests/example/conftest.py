"""One web app and one worker, for all tests of the example, and a browser for those of its page."""

import re
from collections.abc import Iterator
from io import BytesIO

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, expect, sync_playwright

from jobstate import Job, JobService
from tests.browser import PROGRAM
from tests.example.site import Site, open_site

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu"),
    # Nothing but the page is asked for anything.
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 60_000
ADA = "ada"

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def site(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example."""
    with open_site(postgres_url, tmp_path_factory.mktemp("example")) as site:
        yield site


@pytest.fixture
def jobs(site: Site) -> JobService:
    """The jobs of the example."""
    return site.jobs


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """A client of ada's, which follows no redirect."""
    with httpx.Client(base_url=site.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser; each test has a profile of its own in it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A tab, in which nothing may go wrong; a test's parameter has options for it."""
    options = getattr(request, "param", {})
    context = browser.new_context(base_url=site.url, **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A test may take a stream away, which the browser tells.
        if not message.location["url"].endswith("/events"):
            wrong.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    yield page
    context.close()
    assert wrong == []


@pytest.fixture
def job(jobs: JobService) -> Job:
    """A job of ada's that the test moves by hand."""
    return jobs.create_job(ADA, "by_hand")


@pytest.fixture
def running(jobs: JobService, job: Job) -> Job:
    """The same, processing."""
    return jobs.transition_status(job.id, "processing")


def picture(name: str, *, broken: bool = False) -> FilePayload:
    content = BytesIO()
    Image.effect_noise((320, 240), 60).save(content, "PNG")
    whole = content.getvalue()
    buffer = whole[: len(whole) // 2] if broken else whole
    return {"name": name, "mimeType": "image/png", "buffer": buffer}


def upload(page: Page, *pictures: FilePayload) -> None:
    page.goto("/")
    page.get_by_label("Thumbnails").set_input_files(list(pictures))
    page.get_by_role("button", name="Upload").click()


def status(page: Page, word: str) -> None:
    expect(page.locator(".head .badge")).to_have_text(re.compile(rf"\s*{word}\s*"))
