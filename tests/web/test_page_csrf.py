"""The forms of the page carry the token that a framework asks for, and are refused without it."""

import re
from types import ModuleType
from typing import Any
from uuid import UUID

from django.test import Client, override_settings
from django.urls import include, path

from jobstate import Job, JobService
from jobstate.web import django as for_django
from tests.djangos import set_up
from tests.web.sites import PAGE, USER, flask_app

MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware"]


def forms_of(page: str) -> list[tuple[str, str, str]]:
    """Return the action of each form, and the field that comes with it."""
    return re.findall(
        r'<form method="post" action="(.*?)"><input type="hidden" name="(.*?)" value="(.*?)">', page
    )


def test_djangos_own_protection_accepts_the_forms_of_the_page_alone(
    service: JobService, user_id: UUID
) -> None:
    job = service.create_job(user_id, "report")
    urls: Any = ModuleType("urls")
    page = for_django.create_page_urls(service, get_user_id=lambda _: user_id)
    urls.urlpatterns = [path(f"{PAGE[1:]}/", include((page, "jobstate_page")))]
    set_up()
    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], MIDDLEWARE=MIDDLEWARE):
        client = Client(enforce_csrf_checks=True)
        assert client.post(f"{PAGE}/{job.id}/cancel").status_code == 403
        assert not service.get_job_internal(job.id).is_terminal
        ((action, name, token),) = forms_of(client.get(f"{PAGE}/{job.id}").text)
        assert client.post(action, {name: token}).status_code == 303
    assert service.get_job_internal(job.id).error_code == "cancelled"


def test_where_flask_wtf_is_the_forms_carry_its_token(service: JobService, user_id: UUID) -> None:
    job: Job = service.create_job(user_id, "report")
    app = flask_app(service)
    app.jinja_env.globals["csrf_token"] = lambda: "<t0ken>"  # what CSRFProtect(app) does
    shown = app.test_client().get(f"{PAGE}/{job.id}", headers={USER: str(user_id)})
    assert forms_of(shown.text) == [(f"{PAGE}/{job.id}/cancel", "csrf_token", "&lt;t0ken&gt;")]


def test_elsewhere_the_forms_carry_nothing(service: JobService, user_id: UUID) -> None:
    job = service.create_job(user_id, "report")
    shown = flask_app(service).test_client().get(f"{PAGE}/{job.id}", headers={USER: str(user_id)})
    assert f'action="{PAGE}/{job.id}/cancel"' in shown.text
    assert 'type="hidden"' not in shown.text
