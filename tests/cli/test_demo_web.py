"""`demo --web`: the example's web app beside the worker, until Ctrl-C."""

import re
import signal
from collections.abc import Callable

import httpx
import pytest

from tests.cli.programs import PATIENCE, Program, ended, eventually, quick_demo
from tests.cli.test_demo_failures import WITHOUT, assert_refused

pytestmark = pytest.mark.timeout(180)

Start = Callable[..., Program]


def test_the_web_app_shows_the_jobs_until_ctrl_c(start: Start) -> None:
    demo = start(*quick_demo("plan.PLAN = plan.PLAN[1:5]"), "--web")
    url = demo.read_until("Open http").split()[3]
    demo.read_until("Everything runs until Ctrl-C.")
    offspring = demo.offspring()
    with httpx.Client(base_url=url, follow_redirects=True, timeout=PATIENCE) as client:
        page = client.get("/")
        assert page.url == f"{url}jobs/"
        assert "Import of people.csv" in page.text
        assert "Thumbnails of photos" not in page.text
        assert "Thumbnails of photos" in client.post("/user", data={"user": "grace"}).text
    assert demo.end(signal.SIGINT) == 130
    assert demo.complaints == ""
    eventually(lambda: all(map(ended, offspring)))


def test_a_web_app_that_does_not_start_is_told_with_its_last_words(start: Start) -> None:
    demo = start(
        *quick_demo("from jobstate.cli.demo import web; web.APP = 'web.none:app'"), "--web"
    )
    assert demo.end() == 1
    assert re.match(r"Error: The web app did not start\. Its log \S+web\.log ends", demo.complaints)
    assert "web.none" in demo.complaints


def test_a_web_app_that_ends_by_itself_ends_the_demo(start: Start) -> None:
    demo = start(*quick_demo("plan.PLAN = plan.PLAN[1:2]"), "--web")
    demo.read_until("Everything runs until Ctrl-C.")
    offspring = demo.offspring()
    next(each for each in offspring if "web.app:app" in each.cmdline()).kill()
    assert demo.end() == 1
    assert demo.complaints.startswith("Error: The web app ended: nobody asked it to. Its log ")
    eventually(lambda: all(map(ended, offspring)))


def test_what_the_web_app_needs_is_told_with_its_remedy(start: Start) -> None:
    assert_refused(start("-c", WITHOUT.format("uvicorn"), "demo", "--web"), "pip install")
