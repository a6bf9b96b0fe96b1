"""What the pages give to a browser does there what they say."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.responses import HTMLResponse, Response
from playwright.sync_api import Browser, Page, sync_playwright

import jobstate
from jobstate import AsyncJobService, Job, JobService
from jobstate.web.page import Look
from tests.browser import PROGRAM
from tests.examples import Example
from tests.web.servers import asgi_server
from tests.web.sites import USER, fastapi_app

PATIENCE = 60_000


@pytest.fixture
def job(service: JobService, user_id: object) -> Job:
    """A job of somebody."""
    return service.create_job(user_id, "orders")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for this file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def site(jobs_url: str, examples: list[Example]) -> Iterator[str]:
    """The URL of an app with a stylesheet of its own, and a page with nothing on it."""
    app = fastapi_app(AsyncJobService(jobs_url), Look(stylesheet="/jobs.css"))

    @app.get("/", response_class=HTMLResponse)
    def blank() -> str:
        return "<!doctype html><title>Shop</title>"

    @app.get("/jobs.css")
    def stylesheet() -> Response:
        return Response(examples[0].take(), media_type="text/css")

    with asgi_server(app) as url:
        yield url


@pytest.fixture
def page(browser: Browser, site: str, job: Job) -> Iterator[Page]:
    """A tab of the job's owner."""
    context = browser.new_context(base_url=site, extra_http_headers={USER: str(job.user_id)})
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@pytest.mark.examples("docs/how-to/live.md", "EventSource")
def test_two_lines_of_javascript_show_every_change(
    examples: list[Example], page: Page, service: JobService, job: Job
) -> None:
    (example,) = examples
    page.goto("/")
    page.add_script_tag(
        content=f"""
        const seen = [];
        const show = (job) => seen.push(job);
        {example.take()}
    """
    )
    page.wait_for_function("id => seen.some(job => job.id === id)", arg=str(job.id))
    service.transition_status(job.id, jobstate.JobStatus.PROCESSING)
    page.wait_for_function("seen.some(job => job.status === 'processing')")


@pytest.mark.examples("docs/how-to/page.md", ":root")
@pytest.mark.parametrize(("scheme", "accent"), [("light", "#7a2e8e"), ("dark", "#dca3ee")])
def test_a_stylesheet_of_ones_own_sets_the_colours_of_the_page(
    page: Page, scheme: Any, accent: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto("/my/jobs/")
    read = "name => getComputedStyle(document.documentElement).getPropertyValue(name)"
    assert page.evaluate(read, "--jobs-accent") == accent
    assert page.evaluate(read, "--jobs-radius") == "4px"
    # The page has variables of these names, and uses them.
    used = page.evaluate("""async () => {
        const links = [...document.querySelectorAll("link[rel=stylesheet]")];
        const texts = links.map(async link => (await fetch(link.href)).text());
        return (await Promise.all(texts))[0];
    }""")
    for name in ("accent", "on-accent", "radius"):
        assert f"var(--jobs-{name})" in used
