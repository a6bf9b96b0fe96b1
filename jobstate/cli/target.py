"""Which database a command works on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jobstate.celery.find import configuration_of, service_of
from jobstate.errors import ConfigurationError
from jobstate.service import JobService
from jobstate.settings import Settings


@dataclass(frozen=True)
class Target:
    """What the group's options name. `app` is a name, or a Celery app that is loaded already."""

    app: Any = None
    database_url: str | None = None

    def settings(self, *, needs_database: bool = True) -> Settings:
        """Work the settings out: the options win over the app, and the app over the environment.

        Args:
            needs_database: Without it, the settings may name no database.

        Raises:
            ConfigurationError: A setting is wrong, the app cannot be loaded, or no database is
                named.
        """
        declared = {} if self.app is None else configuration_of(self.app)
        if self.database_url is not None:
            declared["jobstate_database_url"] = self.database_url
        named = declared.get("jobstate_database_url") or os.environ.get("JOBSTATE_DATABASE_URL")
        # Empty is most likely a variable that is not set: no reason to take another database.
        if self.database_url == "" or (needs_database and not named):
            raise ConfigurationError(
                "No database is named: this command needs the one that holds the jobs. "
                "Pass --database-url or --app, or set JOBSTATE_DATABASE_URL."
            )
        if not named:
            declared["jobstate_database_url"] = "postgresql://"
        settings = Settings.load(declared, os.environ)
        # Connects to nothing, but reads the whole URL.
        JobService.from_settings(settings).close()
        return settings

    @contextmanager
    def sweeping_service(self) -> Iterator[JobService]:
        """Open a service that can publish where an app is named, and close it at the end."""
        if self.app is None:
            with self.service() as service:
                yield service
            return
        service = service_of(self.app, self.settings())
        try:
            yield service
        finally:
            service.close()

    @contextmanager
    def service(self) -> Iterator[JobService]:
        """Open the service, and close its connections at the end."""
        service = JobService.from_settings(self.settings())
        try:
            yield service
        finally:
            service.close()
