"""The apps of docs/operations/metrics.md answer where they are mounted."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from jobstate import JobService

PAGE = Path(__file__).parents[2] / "docs" / "operations" / "metrics.md"


@pytest.fixture
def apps(service: JobService) -> tuple[FastAPI, Flask]:
    """A FastAPI and a Flask app, after the example."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    app, flask_app = FastAPI(), Flask("shop")
    names = {"app": app, "flask_app": flask_app, "jobs": SimpleNamespace(service=service)}
    exec(code, {**names, "DispatcherMiddleware": DispatcherMiddleware})  # noqa: S102
    return app, flask_app


def test_the_example_mounts_the_metrics(apps: tuple[FastAPI, Flask]) -> None:
    app, flask_app = apps
    with TestClient(app) as client:
        answer = client.get("/metrics/")
    assert answer.status_code == 200
    assert "jobstate_up 1.0" in answer.text
    assert "jobstate_up 1.0" in Client(flask_app.wsgi_app).get("/metrics").text
