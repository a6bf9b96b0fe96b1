"""Django's connections, without a project."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import django
from django.conf import settings
from django.db import connections
from sqlalchemy import make_url

_ENGINES = {"postgresql": "django.db.backends.postgresql", "sqlite": "django.db.backends.sqlite3"}


def set_up() -> None:
    """Have Django work, with hardly a setting; once for a process."""
    if not settings.configured:
        settings.configure(USE_TZ=True, SECRET_KEY="of the tests")  # noqa: S106 - no secret
        django.setup()


@contextmanager
def django_connection(url: str, **options: Any) -> Iterator[Any]:
    """Yield a connection to a database that Django knows for as long as the block."""
    set_up()
    parts, alias = make_url(url), f"database_{uuid4().hex}"
    database = {
        "ENGINE": _ENGINES[parts.get_backend_name()],
        "NAME": parts.database or ":memory:",
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.query.get("host", parts.host),
        "PORT": parts.port,
        **options,
    }
    # What Django itself does with the setting DATABASES.
    connections.settings |= connections.configure_settings({"default": {}, alias: database})
    try:
        yield connections[alias]
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]
