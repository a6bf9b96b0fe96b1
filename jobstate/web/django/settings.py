"""Reads from Django's settings whose jobs are shown to whom."""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from jobstate.errors import ConfigurationError


def setting(name: str, default: Any = None) -> Any:
    """Return a setting, or what its dotted path leads to.

    Raises:
        ConfigurationError: It is missing, and there is no default.
    """
    value = getattr(settings, name, default)
    if value is None:
        raise ConfigurationError(
            f"{name} is not set: the routes must know whose jobs to show to whom. Set it in "
            'Django\'s settings to a dotted path, such as "shop.jobs.get_user_id".'
        )
    return import_string(value) if isinstance(value, str) else value
