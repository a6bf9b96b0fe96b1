"""The schema's versions, and how a database gets to the newest one."""

from jobstate.store.migrations.runner import UserIdType, apply, upgrade
from jobstate.store.migrations.version import HEAD, check_version

__all__ = ["HEAD", "UserIdType", "apply", "check_version", "upgrade"]
