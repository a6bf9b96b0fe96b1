"""`migrate`: bring the database's schema to the version of this release."""

import io
from typing import get_args

import click

from jobstate.cli.output import print_json
from jobstate.cli.target import Target
from jobstate.store.migrations import UserIdType, apply
from jobstate.store.version import HEAD
from jobstate.values import optional_text


@click.command()
@click.option("--sql", is_flag=True, help="Print the SQL of a first migration; run nothing.")
@click.option(
    "--user-id-type",
    type=click.Choice(get_args(UserIdType)),
    help="The type of your users' ids, chosen once. Default: uuid.",
)
@click.option(
    "--users-table",
    metavar="TABLE",
    help="Your table of users: every owner must be one of its id's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: schema, applied.")
@click.pass_obj
def migrate(
    target: Target,
    *,
    sql: bool,
    user_id_type: UserIdType | None,
    users_table: str | None,
    as_json: bool,
) -> None:
    """Create the tables, or bring them to this release.

    Repeatable, and safe beside another migration. It is one transaction.
    """
    settings = target.settings(needs_database=not sql)
    users_table = optional_text(users_table, "name of the users table")
    if sql:
        script = io.StringIO()
        apply(settings, user_id_type=user_id_type, users_table=users_table, script=script)
        click.echo(script.getvalue(), nl=False)
        return
    applied = apply(settings, user_id_type=user_id_type, users_table=users_table)
    if as_json:
        print_json({"schema": settings.schema, "applied": applied})
        return
    if applied:
        click.echo(f"Schema {settings.schema} is now at version {applied[-1]}.")
        return
    click.echo(f"Schema {settings.schema} is at version {HEAD} already: nothing to do.")
    if users_table is not None:
        click.echo(
            "--users-table was not used: it counts when the tables are made. "
            "Add the foreign key with alter table.",
            err=True,
        )
