"""The app for INSTALLED_APPS."""

from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_migrate

from jobstate.django.databases import database_url, user_id_type
from jobstate.settings import Settings
from jobstate.store.migrations import apply


class JobStateConfig(AppConfig):  # type: ignore[misc]  # Django ships no types
    """Has ``migrate`` bring jobstate's tables to the version of this release."""

    name = "jobstate.django"
    label = "jobstate"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Listen for migrations."""
        post_migrate.connect(_migrated, sender=self, dispatch_uid="jobstate.django")


def _migrated(*, using: str, **_: Any) -> None:
    if using == DEFAULT_DB_ALIAS:
        apply(Settings.for_database(database_url(using)), user_id_type=user_id_type())
