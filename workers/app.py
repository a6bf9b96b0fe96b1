"""The Celery app that runs the example's tasks: `celery --app workers.app worker`."""

from celery import Celery

import jobstate

app = Celery(
    "jobstate-example",
    include=["tasks.exports", "tasks.imports", "tasks.reports", "tasks.thumbnails"],
)
app.config_from_object("workers.settings")

jobs = jobstate.install(app)
