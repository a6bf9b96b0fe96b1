"""The example project, with Django's own test client and a real worker."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from jobstate import JobService
from tests.examples import Example
from tests.worker.process import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "django"

REQUESTS = """
import json, sys
import django
django.setup()
from django.contrib.auth import get_user_model
from django.test import Client
from shop.models import Order

users = get_user_model().objects
user = users.filter(username="ada").first() or users.create_user("ada")
client = Client(raise_request_exception=False)
answers = [client.get("/").status_code]
client.force_login(user)
for copies in sys.argv[1:]:
    answers.append(client.post("/order/", {"copies": copies}).status_code)
page = client.get("/").content.decode()
orders = [str(order.job_id) for order in Order.objects.all()]
print(json.dumps({"answers": answers, "page": page, "orders": orders, "user": user.pk}))
"""


@pytest.fixture
def environment(database_url: str, broker_url: str) -> dict[str, str]:
    """What the example reads from the environment."""
    url = make_url(database_url)
    return {
        **os.environ,
        "BROKER_URL": broker_url,
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "PGDATABASE": url.database or "",
        "PGHOST": str(url.query.get("host") or url.host or ""),
        "PGPASSWORD": url.password or "",
        "PGPORT": str(url.port or ""),
        "PGUSER": url.username or "",
    }


@pytest.fixture
def service(database_url: str) -> Iterator[JobService]:
    service = JobService(database_url)
    yield service
    service.close()


def run(environment: dict[str, str], *words: str) -> str:
    """Run Python in the example, and return what it prints."""
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=EXAMPLE, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def flush_left(code: str) -> str:
    return "".join(line.lstrip(" ") for line in code.splitlines(keepends=True))


@pytest.mark.examples("docs/how-to/django-tasks.md")
def test_an_order_and_its_job_are_made_together_and_the_job_runs(
    examples: list[Example], environment: dict[str, str], service: JobService
) -> None:
    code = "".join(flush_left(path.read_text("utf-8")) for path in EXAMPLE.rglob("*.py"))
    # The page shows pieces of what runs here.
    pieces = "\n".join(flush_left(example.take()) for example in examples).split("\n\n")
    assert [piece for piece in pieces if piece.strip() not in code] == []
    assert "Schema" not in run(environment, "manage.py", "migrate", "--verbosity", "0")
    assert "is up to date" in run(environment, "manage.py", "jobstate_migrate")
    seen: dict[str, Any] = json.loads(run(environment, "-c", REQUESTS, "3", "5000"))
    # A stranger is sent away, the first order is taken, the second is rolled back.
    assert seen["answers"] == [302, 302, 500]
    (job_id,) = seen["orders"]
    assert [str(job.id) for job in service.list_jobs(seen["user"]).items] == [job_id]
    assert "printing: queued" in seen["page"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "shop", "worker", "--pool", "solo"],
        cwd=EXAMPLE,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: service.get_job_internal(job_id).is_terminal, "the landing")
    finally:
        worker.terminate()
        worker.wait()
    landed = service.get_job_internal(job_id)
    assert (landed.status, landed.result, landed.attempt) == ("completed", {"printed": 3}, 1)
    assert "printing: completed" in json.loads(run(environment, "-c", REQUESTS))["page"]
