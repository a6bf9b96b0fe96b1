"""The page by keyboard, for a screen reader, without JavaScript, on a phone, and in the dark."""

import pytest
from playwright.sync_api import Page, expect

from jobstate import Job, JobService
from tests.example.conftest import ADA, picture, status, upload


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
