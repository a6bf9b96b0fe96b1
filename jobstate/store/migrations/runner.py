"""Brings a database's schema to the version of this release."""

from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from typing import Any, Literal, TextIO, get_args

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory
from psycopg import errors
from sqlalchemy import Connection, Inspector, NullPool, create_engine, func, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateSchema

from jobstate.errors import ConfigurationError, SchemaMismatch
from jobstate.settings import Settings
from jobstate.store.engines import url_in
from jobstate.store.failures import first_line, translated
from jobstate.store.version import HEAD, VERSIONS

UserIdType = Literal["uuid", "bigint", "text"]

_VERSION_TABLE = "schema_version"
_NO_REFERENCE = (
    errors.DatatypeMismatch,
    errors.InvalidForeignKey,
    errors.InvalidSchemaName,
    errors.UndefinedColumn,
    errors.UndefinedTable,
)
_ONE_AT_A_TIME = 0x6A6F627374617465  # "jobstate" in ASCII


def apply(
    settings: Settings,
    *,
    user_id_type: UserIdType | None = None,
    users_table: str | None = None,
    script: TextIO | None = None,
) -> list[str]:
    """Migrate the configured database, in one transaction. Repeatable; safe beside another.

    Args:
        settings: Where the database is, and the schema.
        user_id_type: The type of user ids, chosen once; None: as it is, or uuid.
        users_table: A table whose ``id`` every owner must be, such as ``users`` or ``auth.users``.
        script: Write the SQL of a first migration here instead, and touch no database.

    Returns:
        The versions that were applied.

    Raises:
        SchemaMismatch: The database is newer than this release.
        ConfigurationError: The user id type is unknown or another one than the database has,
            the users table has no such key, the schema has other tables of these names, or the
            database's encoding is not UTF8.
        StoreUnavailable: The database cannot be reached.
    """
    migration = _Migration(settings.schema, user_id_type, users_table)
    if script is not None:
        context = migration.context(
            None, {"as_sql": True, "literal_binds": True, "output_buffer": script}
        )
        with context.begin_transaction():
            return migration.run(context)
    options = {"client_encoding": "utf8"}
    engine = create_engine(url_in(settings), poolclass=NullPool, connect_args=options)
    with translated(), engine.begin() as connection:
        connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
        return migration.run(migration.context(connection, {}))


def upgrade(
    operations: Operations,
    *,
    schema: str = "jobstate",
    user_id_type: UserIdType | None = None,
    users_table: str | None = None,
) -> list[str]:
    """Migrate from inside a migration of your own: call it with Alembic's ``op``.

    Runs in that migration's transaction, and into its script when that is written with ``--sql``.
    See `apply` for the arguments, what is returned and what is raised.
    """
    outer = operations.get_context()
    script = (
        {"as_sql": True, "literal_binds": True, "output_buffer": outer.impl.output_buffer}
        if outer.as_sql
        else {}
    )
    migration = _Migration(schema, user_id_type, users_table)
    return migration.run(migration.context(outer.connection, script))


class _Migration:
    """One run of the steps that are due."""

    def __init__(
        self, schema: str, user_id_type: UserIdType | None, users_table: str | None
    ) -> None:
        self._schema = schema
        self._user_id_type = user_id_type
        self._users_table = users_table
        self._applied: list[str] = []

    def context(self, connection: Connection | None, script: Mapping[str, Any]) -> MigrationContext:
        return MigrationContext.configure(
            connection=connection,
            dialect_name="postgresql" if connection is None else None,
            # The driver's own style would double each percent sign of the script.
            dialect_opts={"paramstyle": "named"},
            opts={
                "fn": self._due,
                "version_table": _VERSION_TABLE,
                "version_table_schema": self._schema,
                **script,
            },
        )

    def run(self, context: MigrationContext) -> list[str]:
        operations = Operations(context)
        found = None if context.as_sql else inspect(context.connection)
        if found is not None:
            _check_encoding(operations.get_bind())
        user_id_type = _settle_type(found, self._schema, self._user_id_type)
        # Where the schema was made for a role, that role need not be allowed to make any.
        if found is None or not found.has_schema(self._schema):
            operations.execute(CreateSchema(self._schema, if_not_exists=True))
        values = {
            "schema": f'"{self._schema}"',
            "schema_name": self._schema,
            "user_id_type": user_id_type,
            "user_id_reference": _reference(self._users_table),
        }
        try:
            context.run_migrations(operations=operations, values=values)
        except DBAPIError as error:
            if self._users_table is None or not isinstance(error.orig, _NO_REFERENCE):
                raise
            raise ConfigurationError(
                f"Owners cannot be rows of {self._users_table}: {first_line(error.orig)}. It must "
                f"exist, with a key id of type {user_id_type}. "
                "Create it first, or choose with --users-table and --user-id-type."
            ) from error
        return self._applied

    def _due(self, heads: tuple[str, ...], _: MigrationContext) -> Iterable[MigrationStep]:
        with as_file(files("jobstate.store") / "migrations") as directory:
            scripts = ScriptDirectory(str(directory))
            due = list(scripts.iterate_revisions("head", _known(heads) or "base"))
            for script in reversed(due):
                self._applied.append(script.revision)
                yield MigrationStep.upgrade_from_script(scripts.revision_map, script)


def _known(heads: tuple[str, ...]) -> str | None:
    if not heads:
        return None
    if heads[0] not in VERSIONS:
        raise SchemaMismatch(
            f"The jobstate schema is at version {heads[0]}: this release knows up to {HEAD} and "
            "cannot go back. Install the release of jobstate that made it, or a newer one."
        )
    return heads[0]


def _check_encoding(connection: Connection) -> None:
    found = connection.scalar(select(func.current_setting("server_encoding")))
    if found != "UTF8":
        raise ConfigurationError(
            f"The database's encoding is {found}: what a job says may be any text, and with UTF8 "
            "alone all of it can be stored. Create a database with encoding 'UTF8'."
        )


def _settle_type(database: Inspector | None, schema: str, wanted: str | None) -> str:
    if wanted is not None and wanted not in get_args(UserIdType):
        raise ConfigurationError(
            f"The user id type {wanted!r} is unknown: it is {', '.join(get_args(UserIdType))}. "
            "Choose the type of your users' primary key."
        )
    if database is None or not database.has_table("jobs", schema):
        return wanted or "uuid"
    if not database.has_table(_VERSION_TABLE, schema):
        raise ConfigurationError(
            f"Schema {schema} has a table jobs that is not jobstate's: its tables need a schema "
            "where they do not meet yours. Choose another jobstate_schema."
        )
    columns = database.get_columns("jobs", schema)
    found = next(str(column["type"]) for column in columns if column["name"] == "user_id").lower()
    if wanted is not None and wanted != found:
        raise ConfigurationError(
            f"User ids in schema {schema} are {found}, not {wanted}: the type is chosen once. "
            "Leave --user-id-type out, or migrate into another jobstate_schema."
        )
    return found


def _reference(users_table: str | None) -> str:
    if users_table is None:
        return ""
    quoted = ".".join(f'"{part}"' for part in users_table.replace('"', "").split("."))
    return f"references {quoted} (id)"
