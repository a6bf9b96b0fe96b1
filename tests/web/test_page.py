"""The page of one's own jobs, as the server draws it."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin
from uuid import UUID, uuid4

import httpx
import pytest

from jobstate import ItemStatus, Job, JobService, JobStatus, reporting
from jobstate.items import Outcome
from jobstate.web.page import Look
from jobstate.web.page.pages import MOST_ITEMS
from tests.factories import failed_job, processing_job, queued_job
from tests.web.conftest import OpenClient
from tests.web.sites import PAGE, USER

JobIn = Callable[[JobStatus | str], Job]


class Links(HTMLParser):
    """Collects what a page links to and loads, its forms, and whatever is inline."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Sort a tag in."""
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given["href"])
        elif tag == "form" and given.get("method") == "post":
            self.forms.append(given["action"])
        elif url := given.get("src") or (given.get("href") if tag == "link" else None):
            self.loads.append(url)
        elif tag in {"script", "style"}:
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


def test_the_list_shows_the_jobs_of_the_owner_alone(
    client: httpx.Client, job_in: JobIn, service: JobService
) -> None:
    mine = job_in("processing")
    other = service.create_job(uuid4(), "report")
    page = client.get(f"{PAGE}/")
    assert page.status_code == 200
    assert f"{PAGE}/{mine.id}" in page.text
    assert str(other.id) not in page.text


def test_a_job_of_somebody_else_is_the_same_page_as_none(
    client: httpx.Client, service: JobService
) -> None:
    other = service.create_job(uuid4(), "report")
    seen = [client.get(f"{PAGE}/{key}") for key in (other.id, uuid4(), "none", "%3Cb%3E")]
    assert [page.status_code for page in seen] == [404] * 4
    assert len({page.text for page in seen}) == 1
    assert "Nothing is here" in seen[0].text


@pytest.mark.parametrize("status", JobStatus)
def test_a_job_of_every_status_has_a_page(
    client: httpx.Client, job_in: JobIn, status: JobStatus
) -> None:
    job = job_in(status)
    page = client.get(f"{PAGE}/{job.id}")
    assert page.status_code == 200
    assert page.text.count(f'data-tone="{status}"') >= 2  # the badge, and the history
    assert ("Cancel</button>" in page.text) is not job.is_terminal
    assert ("data-events" in page.text) is not job.is_terminal


def test_pages_load_nothing_but_their_own_files_and_have_nothing_inline(
    client: httpx.Client, job_in: JobIn
) -> None:
    for path in (f"{PAGE}/", f"{PAGE}/{job_in('processing').id}", f"{PAGE}/none"):
        page = client.get(path)
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        seen = Links(page)
        assert seen.inline == []
        assert len(seen.loads) == 3
        for url in seen.loads:
            assert url.startswith(f"{PAGE}/static/")
            loaded = client.get(url)
            assert loaded.status_code == 200
            assert "immutable" in loaded.headers["Cache-Control"]


def test_a_file_that_the_page_does_not_have_is_not_found(client: httpx.Client) -> None:
    assert client.get(f"{PAGE}/static/look.py").status_code == 404


XSS = "<script>alert('{}')</script><img src=x onerror=alert('{}')>\"' javascript:alert(1)"


def test_whatever_a_job_says_is_text(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, XSS.format("type", ""))
    service.transition_status(job.id, "processing")
    service.update_progress(job.id, 5, message=XSS.format("message", ""))
    pages = [client.get(f"{PAGE}/"), client.get(f"{PAGE}/{job.id}")]
    service.create_asset(job.id, user_id, XSS, "javascript:alert(1)", f"a/{XSS}", 5)
    service.mark_partial(job.id, {"<b>k</b>": XSS}, XSS.format("error", ""))
    pages += [client.get(f"{PAGE}/"), client.get(f"{PAGE}/{job.id}")]
    pages += [client.get(f"{PAGE}/?type={XSS}"), client.get(f"{PAGE}/?status={XSS}")]
    for page in pages:
        assert "&lt;script&gt;" in page.text or page.status_code == 400
        for found in ("<script>", "<img src=x", "<b>k"):
            assert found not in page.text
        seen = Links(page)
        assert seen.inline == []
        assert all(url.startswith(("/", "?", "#")) or url == "" for url in seen.links)


def test_the_items_that_failed_are_listed_with_their_reasons(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job = failed_job(service.store, user_id=user_id)
    page = client.get(f"{PAGE}/{job.id}").text
    assert ">1</b> succeeded" in page
    assert "<b>2</b> failed" in page
    assert re.findall(r'<th scope="row">(.*?)</th>', page) == ["bad", "7"]
    assert "more</p>" not in page


def test_of_very_many_failed_items_the_first_are_listed(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    hold = processing_job(service.store, user_id=user_id)
    bad = dict.fromkeys(map(str, range(MOST_ITEMS + 5)), Outcome(ItemStatus.FAILED))
    service.store.run(reporting.record_items(hold, bad))
    page = client.get(f"{PAGE}/{hold.job_id}").text
    assert page.count('<th scope="row">') == MOST_ITEMS
    assert "and 5 more</p>" in page


def test_a_job_is_cancelled_by_its_form(client: httpx.Client, job_in: JobIn) -> None:
    job = job_in("queued")
    (form,) = Links(client.get(f"{PAGE}/{job.id}")).forms
    answer = client.post(form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PAGE}/{job.id}")
    page = client.get(answer.headers["Location"])
    assert "<code>cancelled</code>" in page.text


def test_a_running_job_shows_that_it_is_being_cancelled(
    client: httpx.Client, service: JobService, user_id: UUID
) -> None:
    job_id = processing_job(service.store, user_id=user_id).job_id
    client.post(f"{PAGE}/{job_id}/cancel")
    assert "disabled>Cancelling …</button>" in client.get(f"{PAGE}/{job_id}").text


@pytest.mark.parametrize(("form", "only"), [(0, True), (1, False)])
def test_a_job_is_run_again_by_its_forms(
    client: httpx.Client, service: JobService, user_id: UUID, *, form: int, only: bool
) -> None:
    job = failed_job(service.store, user_id=user_id)
    forms = Links(client.get(f"{PAGE}/{job.id}")).forms
    answer = client.post(forms[form])
    assert answer.status_code == 303
    new = service.get_job(answer.headers["Location"].rpartition("/")[2], user_id)
    assert new.retry_of == job.id
    assert ("only=failed" in forms[form]) is only
    assert f"{PAGE}/{job.id}" in client.get(answer.headers["Location"]).text


def test_a_job_that_cannot_be_run_again_says_why(
    client: httpx.Client, service: JobService, user_id: UUID, job_in: JobIn
) -> None:
    forgotten = failed_job(service.store, user_id=user_id, call=None)
    for job, why in ((forgotten, "what it was called with"), (job_in("queued"), "still runs")):
        page = client.post(f"{PAGE}/{job.id}/retry")
        assert page.status_code == 409
        assert re.search(rf'role="alert">[^<]*{why}', page.text)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_form_of_another_site_is_refused(
    client: httpx.Client, job_in: JobIn, service: JobService, headers: dict[str, str]
) -> None:
    job = job_in("queued")
    answer = client.post(f"{PAGE}/{job.id}/cancel", headers=headers)
    assert answer.status_code == 403
    assert "That was not done" in answer.text
    assert service.get_job_internal(job.id).cancel_requested_at is None


def test_every_job_is_on_one_page_of_the_list(
    open_client: OpenClient, service: JobService, user_id: UUID
) -> None:
    client = open_client(look=Look(page_size=2))
    client.headers[USER] = str(user_id)
    made = [str(queued_job(service.store, user_id=user_id).id) for _ in range(5)]
    seen: list[str] = []
    url = f"{PAGE}/"
    for size in (2, 2, 1):
        page = client.get(url)
        jobs = re.findall(r'data-job="(.*?)"', page.text)
        assert len(jobs) == size
        seen += jobs
        older = [each for each in Links(page).links if "cursor" in each]
        url = urljoin(url, older[0]) if older else ""
    assert seen == made[::-1]
    assert url == ""


def test_the_list_is_narrowed_by_status_and_type(
    client: httpx.Client, job_in: JobIn, service: JobService, user_id: UUID
) -> None:
    failed, queued = job_in("failed"), job_in("queued")
    other = service.create_job(user_id, "export")

    def shown(query: str) -> set[str]:
        return set(re.findall(r'data-job="(.*?)"', client.get(f"{PAGE}/{query}").text))

    assert shown("?status=failed") == {str(failed.id)}
    assert shown("?type=report") == {str(failed.id), str(queued.id)}
    assert shown("?status=queued&type=export") == {str(other.id)}
    assert "No jobs here" in client.get(f"{PAGE}/?status=partial").text
    assert client.get(f"{PAGE}/?status=none").status_code == 400
    assert client.get(f"{PAGE}/?cursor=none").status_code == 400


def test_who_is_not_known_sees_no_jobs(client: httpx.Client) -> None:
    del client.headers[USER]
    page = client.get(f"{PAGE}/")
    assert page.status_code == 401
    assert "Log in first" in page.text


def test_without_the_database_the_page_says_when_to_come_back(
    open_client: OpenClient, user_id: UUID
) -> None:
    client = open_client(JobService("postgresql+psycopg://127.0.0.1:1/none"))
    client.headers[USER] = str(user_id)
    page = client.get(f"{PAGE}/")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "Out of order for a moment" in page.text


def test_a_job_that_the_app_cannot_name_hides_no_other(
    open_client: OpenClient, service: JobService, user_id: UUID
) -> None:
    client = open_client(look=Look(title_of=lambda job: f"Year {job.parameters['year']}"))
    client.headers[USER] = str(user_id)
    service.create_job(user_id, "report", {"year": 2026})
    odd = service.create_job(user_id, "shop.odd_one")
    page = client.get(f"{PAGE}/")
    assert "Year 2026</a>" in page.text
    assert "Odd one</a>" in page.text
    assert "<h1>Odd one</h1>" in client.get(f"{PAGE}/{odd.id}").text


def test_an_app_gives_the_page_a_look_of_its_own(
    open_client: OpenClient, job_in: JobIn, user_id: UUID, tmp_path: Path
) -> None:
    (tmp_path / "header.html").write_text("<header>Shop of {{ user_id }}</header>")
    look = Look(
        heading="My <exports>",
        title_of=lambda job: f"Year <{job.parameters['year']}>",
        stylesheet="https://shop.example/jobs.css",
        templates=tmp_path,
    )
    client = open_client(look=look)
    client.headers[USER] = str(user_id)
    job_in("queued")
    page = client.get(f"{PAGE}/")
    assert f"<header>Shop of {user_id}</header>" in page.text
    assert "<h1>My &lt;exports&gt;</h1>" in page.text
    assert "Year &lt;2026&gt;</a>" in page.text
    assert '<link rel="stylesheet" href="https://shop.example/jobs.css">' in page.text
    assert "style-src 'self' https://shop.example;" in page.headers["Content-Security-Policy"]
