"""The schema's versions, and how a database gets to the newest one."""

from jobstate.store.migrations.runner import UserIdType, apply, upgrade

__all__ = ["UserIdType", "apply", "upgrade"]
