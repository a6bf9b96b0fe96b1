"""The page in a real browser: live, with buttons and downloads; and what a job says never runs."""

from zipfile import ZipFile

from playwright.sync_api import Page, expect

from jobstate import Job, JobService
from tests.example.conftest import ADA, picture, status, upload
from tests.example.site import Site
from tests.factories import processing_job


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
