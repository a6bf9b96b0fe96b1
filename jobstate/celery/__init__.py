"""Everything that knows Celery: the task, its current job, the signals, the worker's keeper."""

from jobstate.celery.current import CurrentJob, current_job
from jobstate.celery.install import JobState, install
from jobstate.celery.logcontext import JobLogFilter
from jobstate.celery.outcome import Partial
from jobstate.celery.task import JobTask

__all__ = ["CurrentJob", "JobLogFilter", "JobState", "JobTask", "Partial", "current_job", "install"]
