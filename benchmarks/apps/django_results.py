"""django-celery-results."""

import os

import django
from celery import Celery
from django.core.management import call_command
from django.db import connections
from filling import serve

os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"

app = Celery("django_results", broker=os.environ["BENCH_BROKER"], backend="django-db")
app.conf.task_default_queue = "bench"
if "BENCH_KEEP" in os.environ:
    # Celery closes Django's connections around each task, whatever Django's settings say.
    app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000


@app.task(name="nothing")
def nothing(number: int) -> int:
    """Do nothing."""
    return number


def fill(_: str, number: int) -> None:
    """Enqueue so many jobs."""
    for index in range(number):
        nothing.delay(index)
    connections.close_all()


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    serve(fill)
