"""Turns what the driver raises into the errors of jobstate."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy.exc
from psycopg import errors

from jobstate.counters import DATABASE_ERRORS
from jobstate.errors import (
    ConfigurationError,
    InvalidValueError,
    JobStateError,
    SchemaMismatch,
    StoreRefused,
    StoreUnavailable,
)
from jobstate.store.bounded import NoAnswerError

_SCHEMA = (
    errors.InvalidSchemaName,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedTable,
)
_REFUSED = (
    psycopg.DataError,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
)
_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    sqlalchemy.exc.TimeoutError,
)
_ROLLED_BACK = (errors.DeadlockDetected, errors.SerializationFailure)
_REFUSED_ALONE = (
    psycopg.IntegrityError,
    psycopg.InternalError,
    psycopg.NotSupportedError,
    errors.InvalidSqlStatementName,
    errors.RaiseException,
)
"""Somebody's trigger, a plan from before a migration, trouble inside the server."""
_KINDS: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "unanswered": NoAnswerError,
    "locked": errors.LockNotAvailable,
    "rolled_back": _ROLLED_BACK,
}
"""As what the metrics count an error of an outage, if as none they know."""


@contextmanager
def translated(remedy: str | None = None) -> Iterator[None]:
    """Raise the library's error for one of the driver's, with the driver's as its cause.

    `remedy` is what helps where a statement that may take long was not answered in time.
    """
    try:
        yield
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig if isinstance(error.orig, Exception) else error
        raise (_translation(cause, remedy) or error) from cause
    except (psycopg.Error, sqlalchemy.exc.TimeoutError) as error:
        if translation := _translation(error, remedy):
            raise translation from error
        raise


def _translation(error: Exception, remedy: str | None) -> JobStateError | None:
    found = _meaning(error, remedy) or _refusal(error)
    if isinstance(found, StoreRefused):
        DATABASE_ERRORS.add("refused")
    elif isinstance(found, StoreUnavailable):
        kinds = (kind for kind, classes in _KINDS.items() if isinstance(error, classes))
        DATABASE_ERRORS.add(next(kinds, "unavailable"))
    return found


def _meaning(error: Exception, remedy: str | None) -> JobStateError | None:
    if isinstance(error, _SCHEMA):
        return SchemaMismatch(
            f"The jobstate schema does not fit: {first_line(error)}. "
            "This version needs its own tables. Run: jobstate migrate"
        )
    if isinstance(error, _REFUSED):
        return InvalidValueError(
            f"Postgres refused a value: {first_line(error)}. User ids must have the type that "
            "was chosen with jobstate migrate --user-id-type, numbers must fit their columns, "
            "and keys must be short."
        )
    # The driver has no class of its own for an option in the URL that it does not know.
    if isinstance(error, _UNAVAILABLE) or "invalid connection option" in str(error):
        return _unavailable(error, remedy)
    if isinstance(error, errors.ForeignKeyViolation):
        return InvalidValueError(
            f"The user does not exist: {error.diag.message_detail or first_line(error)} "
            "A job belongs to a row of the users table. Create the user first; "
            "what a Session has not flushed is not there yet."
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return ConfigurationError(
            f"The database user may not do this: {first_line(error)}. Work needs usage on the "
            "schema, and select, insert, update and delete on its tables; a migration needs "
            "create on the database. Grant them."
        )
    return None


def _unavailable(error: Exception, remedy: str | None) -> StoreUnavailable:
    if isinstance(error, _ROLLED_BACK):
        return StoreUnavailable(
            f"The jobs database rolled the transaction back: {first_line(error)}. "
            "Another one was in its way. Run it again."
        )
    took_too_long = isinstance(error, NoAnswerError | errors.QueryCanceled)
    return StoreUnavailable(
        f"The jobs database did not answer: {first_line(error)}. "
        + (f"{remedy} Otherwise, check" if remedy and took_too_long else "Check")
        + " that Postgres runs and that jobstate_database_url is right."
    )


def _refusal(error: Exception) -> JobStateError | None:
    if isinstance(error, _REFUSED_ALONE):
        return StoreRefused(
            f"The jobs database refused a statement: {first_line(error)}. "
            "Nothing was changed. Its log says more."
        )
    return None


def first_line(error: Exception) -> str:
    """Return what an error says, without its details."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
