"""``manage.py jobstate_migrate``."""

from argparse import ArgumentParser
from typing import Any, get_args

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from jobstate.django.databases import database_url
from jobstate.django.databases import user_id_type as type_of_users
from jobstate.errors import JobStateError
from jobstate.settings import Settings
from jobstate.store.migrations import UserIdType, apply


class Command(BaseCommand):  # type: ignore[misc]  # Django ships no types
    """Creates jobstate's tables, or brings them to the version of this release."""

    help = "Creates jobstate's tables, or brings them to the version of this release. Repeatable."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what ``jobstate migrate`` takes."""
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="which of DATABASES")
        parser.add_argument(
            "--user-id-type",
            choices=get_args(UserIdType),
            help="the type of user ids, chosen once; that of the project's users unless given",
        )
        parser.add_argument("--users-table", help="a table whose id every owner must be")
        parser.add_argument("--sql", action="store_true", help="print the SQL, and run nothing")

    def handle(
        self,
        *_: Any,
        database: str,
        user_id_type: UserIdType | None,
        users_table: str | None,
        sql: bool,
        **__: Any,
    ) -> None:
        """Migrate, or say in one line why not."""
        try:
            settings = Settings.for_database(database_url(database))
            applied = apply(
                settings,
                user_id_type=user_id_type or type_of_users(),
                users_table=users_table,
                script=self.stdout if sql else None,
            )
        except JobStateError as error:
            raise CommandError(str(error)) from error
        if not sql:
            done = f"is now at version {applied[-1]}" if applied else "is up to date"
            self.stdout.write(f"Schema {settings.schema} {done}.")
