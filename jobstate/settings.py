"""Every setting, its default and its check, in one place."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from jobstate.errors import ConfigurationError
from jobstate.states import TERMINAL_STATUSES, JobStatus

_PREFIX = "jobstate_"
# The sweeper doubles some of them ten times, and Postgres still has to add them to its clock.
_LONGEST = timedelta(days=36_525).total_seconds()
# What a column of Postgres holds, and more than anybody counts to.
_MOST = 2_000_000_000
_IDENTIFIER = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")


def seconds(value: object) -> float:
    """Read a duration.

    Raises:
        ValueError: It is none; so below.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    number = _number(value)
    if not 0 < number <= _LONGEST:
        raise ValueError(
            "it must be a duration above 0, and a hundred years at most: seconds or a timedelta"
        )
    return number


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("it must be a number")  # noqa: TRY004 - one kind of error, collected
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError("it must be a number") from None


def count(value: object) -> int:
    """Read a whole number."""
    number = _number(value)
    if not 0 <= number <= _MOST or not number.is_integer():
        raise ValueError("it must be a whole number, 0 or more, and two thousand million at most")
    return int(number)


def _positive(value: object) -> int:
    number = count(value)
    if number == 0:
        raise ValueError("it must be a whole number above 0")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("it must be text")
    return value


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ValueError(
            "it must be a Postgres name in lower case, at most 63 characters, not pg_..."
        )
    return value


def _database_url(value: object) -> str:
    text = _text(value)
    if not text.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise ValueError("it must look like postgresql+psycopg://user@host/database")
    return "postgresql+psycopg://" + text.split("://", 1)[1]


def _storage_url(value: object) -> str:
    text = _text(value)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in ("file", "s3", "gs", "az"):
        raise ValueError(
            "it must look like file:///folder, s3://bucket/prefix, gs://bucket/prefix or "
            "az://container/prefix"
        )
    if (scheme == "file") != rest.startswith("/"):
        raise ValueError(
            "file:// takes an absolute folder (file:///srv/assets), the others a bucket first"
        )
    return text


def _threshold(value: object) -> int | None:
    """Read a prepare threshold; the environment spells None as text."""
    return None if value in (None, "None", "none", "") else count(value)


def _retention(value: object) -> Mapping[JobStatus, float]:
    if not isinstance(value, Mapping):
        raise ValueError("it must map statuses to durations")  # noqa: TRY004 - collected
    if unknown := set(value) - TERMINAL_STATUSES:
        raise ValueError(f"{', '.join(map(repr, sorted(map(str, unknown))))} is no terminal status")
    return {JobStatus(status): seconds(age) for status, age in value.items()}


def _error_message(value: object) -> str:
    if value not in ("exception", "generic"):
        raise ValueError('it must be "exception" or "generic"')
    return str(value)


def _setting(default: Any, read: Callable[[object], Any], *, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"read": read, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one application, checked. Durations are seconds or `timedelta`."""

    database_url: str = _setting("", _database_url, secret=True)
    """Where the jobs are: ``postgresql+psycopg://user@host/database``. Required."""

    schema: str = _setting("jobstate", _identifier)
    """The Postgres schema that holds the tables."""

    lease: float = _setting(30.0, seconds)
    """How long a worker's silence is tolerated, in seconds; a statement's answer may take half."""

    heartbeat: float = _setting(10.0, seconds)
    """How often a worker renews its lease, in seconds; at most a third of the lease."""

    sweep_interval: float = _setting(5.0, seconds)
    """How often a worker's sweeper looks for jobs that are due, in seconds."""

    lost_grace: float = _setting(5.0, seconds)
    """How long a held job may be without a living process before it is rescued, in seconds."""

    start_patience: float = _setting(60.0, seconds)
    """How long a delivery waits for the database before it gives the message back, in seconds."""

    publish_grace: float = _setting(5.0, seconds)
    """How old a queued job must be before the sweeper publishes what was not, in seconds."""

    publish_timeout: float = _setting(1.0, seconds)
    """How long one publication may take when the broker is slow or down, in seconds."""

    republish_after: float = _setting(3600.0, seconds)
    """When a published job that did not start is published again without evidence, in seconds."""

    queue_timeout: float | None = _setting(None, seconds)
    """How long a job may wait in its queue before it fails, in seconds; None: for ever."""

    max_rescues: int = _setting(3, count)
    """How often an idempotent job is run again after its worker was lost."""

    progress_interval: float = _setting(0.5, seconds)
    """The shortest time between two writes of one attempt's progress, in seconds."""

    cancel_grace: float = _setting(10.0, seconds)
    """How long a running job may take to notice a cancellation, in seconds."""

    system_user_id: str | None = _setting(None, lambda value: _text(str(value)))
    """The owner of jobs that nobody asked for, such as scheduled ones."""

    storage_url: str | None = _setting(None, _storage_url, secret=True)
    """Where saved assets are stored: ``file:///folder``, ``s3://bucket/prefix``,
    ``gs://bucket/prefix`` or ``az://container/prefix``, with options after a ``?``."""

    max_result_bytes: int = _setting(1024 * 1024, _positive)
    """The largest result that is stored, in bytes of JSON."""

    max_parameters_bytes: int = _setting(256 * 1024, _positive)
    """The largest parameters that are stored, in bytes of JSON."""

    retention: Mapping[JobStatus, float] | None = _setting(None, _retention)
    """For each terminal status, how long its jobs are kept, in seconds; others stay."""

    error_message: str = _setting("exception", _error_message)
    """What an owner sees of an unexpected error: its own text, or a generic sentence."""

    prepare_threshold: int | None = _setting(0, _threshold)
    """After how many executions a statement is prepared; None behind PgBouncer."""

    pool_size: int = _setting(5, _positive)
    """How many database connections a process keeps at most."""

    @classmethod
    def load(cls, conf: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from ``jobstate_*`` keys, and ``JOBSTATE_*`` variables under them.

        Raises:
            ConfigurationError: Anything is wrong; the message lists all of it.
        """
        declared = _prefixed(conf)
        inherited = {
            name: value
            for name, value in _prefixed(
                {key.lower(): value for key, value in (environ or {}).items()}
            ).items()
            if name in _names(cls) and value
        }
        raw = inherited | declared
        problems, values = [], {}
        for known in fields(cls):
            if known.name not in raw or raw[known.name] is known.default:
                continue
            try:
                values[known.name] = known.metadata["read"](raw[known.name])
            except ValueError as error:
                shown = "***" if known.metadata["secret"] else repr(raw[known.name])
                problems.append(f"{_PREFIX}{known.name} is {shown}, but {error}")
        problems += [f"{_PREFIX}{name} is unknown" for name in set(declared) - _names(cls)]
        settings = cls(**values)
        if problems := sorted(problems) + settings._contradictions(problems):
            listed = "".join(f"\n  - {problem}" for problem in problems)
            raise ConfigurationError(
                f"jobstate is not configured:{listed}\n"
                "Set these keys in the Celery configuration, or as JOBSTATE_* in the environment."
            )
        return settings

    @classmethod
    def for_database(cls, url: str) -> "Settings":
        """Read the settings of the environment, for a database that is named.

        Raises:
            ConfigurationError: Anything is wrong; the message lists all of it.
        """
        return cls.load({f"{_PREFIX}database_url": url}, os.environ)

    def _contradictions(self, problems: list[str]) -> list[str]:
        found = []
        if not self.database_url and not any("database_url" in problem for problem in problems):
            found.append("jobstate_database_url is missing")
        read = not any(
            problem.startswith((f"{_PREFIX}heartbeat ", f"{_PREFIX}lease ")) for problem in problems
        )
        if read and self.heartbeat * 3 > self.lease:
            found.append(
                f"jobstate_heartbeat is {self.heartbeat:g} s, but it must be at most a third of "
                f"jobstate_lease ({self.lease:g} s), or one lost renewal buries a living worker"
            )
        if self.sweep_interval * 3 > self.lease:
            found.append(
                f"jobstate_sweep_interval is {self.sweep_interval:g} s, but it must be at most a "
                f"third of jobstate_lease ({self.lease:g} s), or no silence can be judged"
            )
        return found


def _prefixed(source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(key).removeprefix(_PREFIX): source[key]
        for key in source
        if str(key).startswith(_PREFIX)
    }


def _names(cls: type[Settings]) -> set[str]:
    return {known.name for known in fields(cls)}
