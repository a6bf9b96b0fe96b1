"""What FastAPI's document says is what the routes do."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from jobstate import JobService
from jobstate.web import models, shapes
from jobstate.web.routes import ROUTES, Kind, Route
from tests.unit.test_records import a_job
from tests.web.jobs import rich_job
from tests.web.servers import asgi_server
from tests.web.sites import USER, fastapi_app

CHECKS = [
    schemathesis.checks.not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture
def app(service: JobService) -> FastAPI:
    """An app with all routes."""
    return fastapi_app(service)


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """Where it is served."""
    with asgi_server(app) as url:
        yield url


def test_every_route_is_described(app: FastAPI) -> None:
    document = app.openapi()
    for route in ROUTES:
        described = document["paths"][f"/api{route.path}"][route.method.lower()]
        assert described["operationId"] == route.name
        assert described["summary"]
        named = {parameter["name"] for parameter in described["parameters"]}
        assert named >= set(route.parameters)
        assert all(f"{{{name}}}" not in route.path or name in named for name in named)
        answers = described["responses"]
        assert {"401", "503"} <= set(answers)
        assert all(answer["description"] for answer in answers.values())
        assert ("404" in answers) is ("{job_id}" in route.path)


def test_the_models_have_what_is_sent() -> None:
    shape = shapes.job_shape(
        a_job(progress=0, items_succeeded=0, items_failed=0, items_skipped=0), "/api"
    )
    assert set(models.Job.model_fields) == set(shape)
    assert set(models.JobLinks.model_fields) == set(shape["links"])
    (example,) = models.Job.model_json_schema()["examples"]
    assert models.Job.model_validate(example).model_dump().keys() == shape.keys()


@pytest.mark.parametrize("route", [route for route in ROUTES if route.kind is not Kind.STREAM])
def test_whatever_is_asked_is_answered_as_described(
    url: str, service: JobService, user_id: UUID, route: Route
) -> None:
    """Of a job that is there, and of jobs that are not; streams apart, which do not end."""
    job = rich_job(service, user_id)
    (asset,) = service.get_job_assets(job.id, user_id)
    ids = {"job_id": str(job.id), "asset_id": str(asset.id)}
    known = {name: value for name, value in ids.items() if f"{{{name}}}" in route.path}
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operation = schema[f"/api{route.path}"][route.method]
    answered = set()

    @settings(max_examples=15, database=None, phases=[Phase.explicit, Phase.generate])
    @given(case=operation.as_strategy() | operation.as_strategy(path_parameters=known))
    def check(case: schemathesis.Case) -> None:
        answer = case.call(base_url=url, headers={USER: str(user_id)}, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)
        answered.add(answer.status_code)

    check()
    assert answered & {200, 202, 302}, answered
