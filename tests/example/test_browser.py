"""The page in a real browser: live, by keyboard, without JavaScript, on a phone."""

import re
from collections.abc import Iterator
from io import BytesIO
from zipfile import ZipFile

import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, FilePayload, Page, expect, sync_playwright

from jobstate import Job, JobService
from tests.browser import PROGRAM
from tests.example.site import Site
from tests.factories import processing_job

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu"),
    # Nothing but the page is asked for anything.
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE = 20_000
ADA = "ada"

expect.set_options(timeout=PATIENCE)


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


def test_an_upload_becomes_pictures_and_a_download(page: Page) -> None:
    upload(page, picture("one.png"), picture("two.png"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Thumbnails of one.png and 1 more")
    status(page, "Completed")
    shown = page.get_by_role("img", name="preview.jpg")
    expect(shown).to_have_js_property("naturalWidth", 320)
    with page.expect_download() as download:
        page.get_by_role("link", name="thumbnails.zip").click()
    assert download.value.suggested_filename == "thumbnails.zip"
    with ZipFile(download.value.path()) as archive:
        assert "small/two.png" in archive.namelist()


def test_the_bar_moves_and_the_end_appears_without_a_reload(
    page: Page, jobs: JobService, running: Job
) -> None:
    page.goto(f"/jobs/{running.id}")
    page.evaluate("window.isTheSame = true")
    expect(page.get_by_text("This is how it was at")).to_be_hidden()
    bar = page.get_by_role("progressbar", name="Progress")
    for percent in (40, 60):
        jobs.update_progress(running.id, percent, current=percent * 50, total=5000, message="Ink")
        expect(bar).to_have_js_property("value", percent)
        expect(page.locator(".now")).to_contain_text("Ink")
        expect(page.locator(".now")).to_contain_text(f"{percent * 50:,} of 5,000")
    jobs.mark_completed(running.id, {"pages": 12})
    status(page, "Completed")
    expect(bar).to_have_count(0)
    expect(page.locator(".figures")).to_contain_text("12")
    expect(page.locator(".timeline li").last).to_contain_text("Completed")
    assert page.evaluate("window.isTheSame")
    assert page.title() == "by_hand: completed"


def test_the_list_moves_and_shows_new_jobs(page: Page, jobs: JobService, running: Job) -> None:
    page.goto("/jobs/")
    row = page.locator(f'[data-job="{running.id}"]')
    jobs.update_progress(running.id, 70, message="Drying")
    expect(row.get_by_role("progressbar")).to_have_js_property("value", 70)
    expect(row).to_contain_text("Drying")
    new = jobs.create_job(ADA, "by_hand")
    expect(page.locator(f'[data-job="{new.id}"]')).to_contain_text("Queued")
    jobs.mark_failed(running.id, "Out of ink.")
    expect(row).to_contain_text("Failed")
    expect(row).to_contain_text("Out of ink.")
    expect(page.locator("#announcer")).to_have_text("by_hand: failed")


def test_a_list_of_one_status_gains_and_loses_jobs(page: Page, jobs: JobService, job: Job) -> None:
    page.goto("/jobs/?status=processing")
    row = page.locator(f'[data-job="{job.id}"]')
    expect(row).to_have_count(0)
    jobs.transition_status(job.id, "processing")
    expect(row).to_have_count(1)
    jobs.mark_completed(job.id)
    expect(row).to_have_count(0)


def test_a_job_is_cancelled_by_its_button(page: Page, job: Job) -> None:
    page.goto(f"/jobs/{job.id}")
    page.get_by_role("button", name="Cancel").click()
    status(page, "Failed")
    expect(page.locator(".error")).to_have_text("The job was cancelled.")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_running_job_shows_that_it_is_being_cancelled(page: Page, jobs: JobService) -> None:
    held = processing_job(jobs.store, user_id=ADA)
    page.goto(f"/jobs/{held.job_id}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Cancelling …")).to_be_disabled()


def test_a_failure_shows_its_message(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Monthly report").select_option("2026-12")
    page.get_by_role("button", name="Report").click()
    status(page, "Failed")
    expect(page.locator(".error")).to_contain_text("No orders in 2026-12")


def test_items_that_failed_are_named_and_tried_again(page: Page) -> None:
    upload(page, picture("good.png"), picture("bad.png", broken=True))
    status(page, "Partial")
    expect(page.get_by_role("row", name="bad.png")).to_contain_text("cannot be read")
    first = page.url
    page.get_by_role("button", name="Retry failed items").click()
    page.wait_for_url(lambda url: url != first)
    link = page.get_by_role("link", name="an earlier job")
    assert first.endswith(str(link.get_attribute("href")))


XSS = (
    "<script>window.isOwned = 1</script><img src=x onerror='window.isOwned = 1'>"
    "\"'><svg onload=alert(1)>"
)


def test_nothing_that_a_job_says_runs(page: Page, jobs: JobService) -> None:
    job = jobs.create_job(ADA, XSS)
    jobs.transition_status(job.id, "processing")
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation', () => { window.isOwned = 2 })"
    )
    page.goto(f"/jobs/{job.id}")
    jobs.update_progress(job.id, 30, message=XSS)
    expect(page.locator('[data-field="note"]')).to_have_text(XSS)
    page.goto("/jobs/")
    expect(page.locator(f'[data-job="{job.id}"]')).to_contain_text(XSS)
    jobs.create_asset(job.id, ADA, XSS, "javascript:window.isOwned = 3", f"a/{XSS}", 5)
    jobs.mark_partial(job.id, {XSS: XSS}, XSS)
    expect(page.locator("#announcer")).to_have_text(f"{XSS}: partial")
    page.goto(f"/jobs/{job.id}")
    expect(page.locator(".error")).to_have_text(XSS)
    assert page.evaluate("window.isOwned") is None


@pytest.mark.parametrize("page", [{"java_script_enabled": False}], indirect=True)
def test_without_javascript_the_page_is_whole(page: Page, jobs: JobService, running: Job) -> None:
    jobs.update_progress(running.id, 35, message="Drawing")
    page.goto("/jobs/")
    row = page.locator(f'[data-job="{running.id}"]')
    expect(row).to_contain_text("35 %")
    expect(page.get_by_text("This is how it was at")).to_be_visible()
    row.get_by_role("link").click()
    expect(page.locator(".now")).to_contain_text("Drawing")
    jobs.update_progress(running.id, 55)
    page.get_by_role("link", name="Look again").click()
    expect(page.locator(".now")).to_contain_text("55 %")
    page.get_by_role("button", name="Cancel").click()
    status(page, "Failed")


def test_the_page_works_with_the_keyboard_alone(page: Page, job: Job) -> None:
    page.goto("/jobs/")
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    newest = page.locator(f'[data-job="{job.id}"]').get_by_role("link")
    _tab_to(page, f'a[href="/jobs/{job.id}"]')
    expect(newest).to_be_focused()
    press("Enter")
    page.wait_for_url(f"**/jobs/{job.id}")
    _tab_to(page, "#cancel")
    press("Enter")
    status(page, "Failed")


def _tab_to(page: Page, selector: str) -> None:
    """Go on by the keyboard, and see that the focus can be seen at each step."""
    for _ in range(40):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const focused = document.activeElement;
                const framed = focused.closest('.job') ?? focused;
                return getComputedStyle(framed).outlineStyle !== 'none';
            }"""
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"Tab never comes to {selector}")


def test_the_focus_stays_where_it_was_when_the_page_changes(
    page: Page, jobs: JobService, job: Job
) -> None:
    page.goto(f"/jobs/{job.id}")
    page.locator("#cancel").focus()
    jobs.transition_status(job.id, "processing")
    status(page, "Processing")
    expect(page.locator("#cancel")).to_be_focused()


def test_a_screen_reader_hears_quarters_and_the_end(
    page: Page, jobs: JobService, running: Job
) -> None:
    page.goto(f"/jobs/{running.id}")
    heard = page.get_by_role("status")
    bar = page.get_by_role("progressbar")
    for percent, said in ((20, ""), (30, "25 %"), (45, "25 %"), (80, "75 %")):
        jobs.update_progress(running.id, percent)
        expect(bar).to_have_js_property("value", percent)
        expect(heard).to_have_text(said)
    jobs.mark_completed(running.id)
    expect(heard).to_have_text("by_hand: completed")


NAMELESS = """() => ['a', 'button', 'input', 'select', 'img', 'progress', 'nav', 'ol', 'pre']
    .flatMap((tag) => [...document.querySelectorAll(tag)])
    .filter((each) => each.type !== 'hidden')
    .filter((each) => ({
        A: () => !each.textContent.trim() && !each.querySelector('img[alt]:not([alt=""])'),
        BUTTON: () => !each.textContent.trim(),
        INPUT: () => !each.labels.length,
        SELECT: () => !each.labels.length,
        IMG: () => !each.hasAttribute('alt'),
        PROGRESS: () => !each.getAttribute('aria-label'),
        NAV: () => !each.getAttribute('aria-label'),
        OL: () => each.tabIndex === 0 && !each.getAttribute('aria-labelledby'),
        PRE: () => !each.getAttribute('aria-labelledby'),
    })[each.tagName]())
    .map((each) => each.outerHTML)"""

TWICE = """() => {
    const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
    return ids.filter((id, place) => ids.indexOf(id) !== place);
}"""


def test_everything_has_a_name_and_a_place(page: Page, running: Job) -> None:
    upload(page, picture("good.png"), picture("bad.png", broken=True))
    status(page, "Partial")
    for path in (page.url, "/jobs/", f"/jobs/{running.id}"):
        page.goto(path)
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(TWICE) == []
        for once in (page.get_by_role("main"), page.get_by_role("heading", level=1)):
            expect(once).to_have_count(1)
        levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(it => it.tagName)")
        assert levels[0] == "H1"
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.title()


@pytest.mark.parametrize("page", [{"viewport": {"width": 320, "height": 640}}], indirect=True)
def test_the_page_fits_a_phone(page: Page, jobs: JobService) -> None:
    """Also with words that nothing can break but the browser (WCAG 1.4.10)."""
    long = "Donaudampfschifffahrtsgesellschaft" * 9
    job = jobs.create_job(ADA, long[:200])
    jobs.transition_status(job.id, "processing")
    jobs.update_progress(job.id, 10, message=long)
    for path in ("/jobs/", f"/jobs/{job.id}"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    jobs.create_asset(job.id, ADA, long[:100], "https://cdn.example/a", f"a/{long}", 5)
    jobs.mark_partial(job.id, {"name": long}, long)
    page.goto(f"/jobs/{job.id}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_turns_where_motion_is_to_be_reduced(page: Page, running: Job) -> None:
    page.goto(f"/jobs/{running.id}")
    moves = "all => all.map(it => getComputedStyle(it).animationName)"
    assert page.eval_on_selector_all(".turns", moves) == ["none"]


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_the_page_is_dark_where_that_is_asked_for(page: Page) -> None:
    page.goto("/jobs/")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(18, 19, 23)"


def test_nothing_is_loaded_from_elsewhere(page: Page, site: Site, job: Job) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/jobs/", f"/jobs/{job.id}"):
        page.goto(path)
        page.wait_for_load_state("load")
    assert asked
    assert all(url.startswith(site.url) for url in asked)


def test_a_page_that_lost_its_server_says_so_and_goes_on_by_itself(
    page: Page, jobs: JobService, running: Job
) -> None:
    page.goto(f"/jobs/{running.id}")
    jobs.update_progress(running.id, 10)
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 10)
    page.route("**/events", lambda route: route.fulfill(status=503))
    page.reload()
    expect(page.get_by_text("This is how it was at")).to_be_visible()
    page.unroute("**/events")
    jobs.mark_completed(running.id)
    status(page, "Completed")
