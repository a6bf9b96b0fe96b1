"""Finds a Celery app by name, and what it says about jobstate."""

from typing import Any

from celery import Celery
from celery.app import utils

from jobstate.celery.runtime import Runtime
from jobstate.errors import ConfigurationError, JobStateError
from jobstate.service import JobService
from jobstate.settings import Settings


def find_app(name: str) -> Celery:
    """Import the app that ``celery --app`` would, from the current directory too.

    Raises:
        ConfigurationError: There is none, or its module cannot be imported.
    """
    try:
        found = utils.find_app(name)
    except JobStateError:
        raise
    except (Exception, SystemExit) as error:  # importing somebody's module may raise anything
        raise _unusable(name, f"{type(error).__name__}: {error}") from error
    if not isinstance(found, Celery):
        raise _unusable(name, f"it is a {type(found).__name__}")
    return found


def configuration_of(app: str | Celery) -> dict[str, Any]:
    """Read the ``jobstate_*`` keys of an app's configuration, unchecked.

    Raises:
        ConfigurationError: There is no such app, or its configuration cannot be read.
    """
    found = find_app(app) if isinstance(app, str) else app
    try:
        return {key: found.conf[key] for key in found.conf if str(key).startswith("jobstate_")}
    except Exception as error:  # Celery imports the configuration when it is first read
        raise _unusable(str(app), f"{type(error).__name__}: {error}") from error


def service_of(app: str | Celery, settings: Settings) -> JobService:
    """Return a service of the database in `settings` that publishes with the app.

    Raises:
        ConfigurationError: There is no such app.
    """
    return Runtime(find_app(app) if isinstance(app, str) else app, settings).service


def _unusable(name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"The Celery app {name!r} cannot be used: {reason.rstrip('.')}. Give the name that celery "
        "--app takes, in the directory and the environment in which that works."
    )
