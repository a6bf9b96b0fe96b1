"""The base of a Django project's tasks."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from jobstate.celery.enqueue import submit
from jobstate.celery.runtime import runtime_of
from jobstate.celery.task import JobTask
from jobstate.ids import new_id


class DjangoJobTask(JobTask):
    """A `JobTask` with what Celery's own task for Django has.

    Use it as ``task_cls=`` of the app, or as ``base=`` of a task.
    """

    abstract = True

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> str:
        """Create a job in Django's transaction, and publish it after the commit; return its id.

        Without an ``atomic`` block it is committed and published at once. A block that is rolled
        back leaves no job. The owner is that of `delay`: the surrounding job's, else
        `jobstate_system_user_id`.

        Raises:
            OwnerRequired: There is no owner.
        """
        return self.apply_async_on_commit(args, kwargs)

    def apply_async_on_commit(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        *,
        using: str = DEFAULT_DB_ALIAS,
        **options: Any,
    ) -> str:
        """Do the same with the options of `apply_async`, among them ``user_id``; return the id.

        Args:
            args: The task's positional arguments.
            kwargs: The task's keyword arguments.
            task_id: The id of the job; a new one unless given.
            using: Which of Django's databases the transaction is of.
            options: Celery's, and jobstate's.

        Raises:
            OwnerRequired: There is no owner.
            InvalidValueError: Something cannot be stored; nothing was.
            ConfigurationError: The database is not on psycopg 3.
        """
        connection = connections[using]
        if not self.runs_as_job or self.app.conf.task_always_eager:
            task_id = task_id or str(new_id())
            later = partial(self.apply_async, args, kwargs, task_id, **options)
            connection.on_commit(later)
            return task_id
        call = self.checked_call(args or (), kwargs or {}, task_id, options)
        return str(submit(runtime_of(self.app), call, connection).id)
