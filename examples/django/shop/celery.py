"""The Celery app: its tasks are jobs, kept in the database of Django's own."""

import os

from celery import Celery

import jobstate
from jobstate.django import DjangoJobTask, database_url

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = Celery("shop", task_cls=DjangoJobTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.jobstate_database_url = database_url()
jobs = jobstate.install(app)
app.autodiscover_tasks()
