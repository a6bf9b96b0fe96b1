"""The worker's settings: known to Celery, and in the right proportions."""

from celery.app.defaults import SETTING_KEYS

from workers import settings
from workers.app import app

NAMES = {name for name in vars(settings) if not name.startswith("_")} - {"Path", "os", "tempfile"}


def test_celery_knows_every_setting_but_the_librarys_own() -> None:
    unknown = NAMES - SETTING_KEYS
    assert unknown == {"jobstate_database_url", "jobstate_storage_url"}


def test_every_setting_reaches_the_app() -> None:
    assert {name: app.conf[name] for name in NAMES} == {
        name: vars(settings)[name] for name in NAMES
    }


def test_no_message_is_delivered_again_while_its_task_may_run() -> None:
    options = settings.broker_transport_options
    assert settings.task_soft_time_limit < settings.task_time_limit < options["visibility_timeout"]


def test_only_the_tasks_themselves_say_that_they_may_run_again() -> None:
    assert not app.conf.task_acks_late
    app.loader.import_default_modules()
    ours = [task for name, task in app.tasks.items() if name.startswith("tasks.")]
    assert len(ours) == 4
    assert all(task.acks_late for task in ours)
