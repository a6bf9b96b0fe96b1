"""The tables, their rules, and the triggers that keep them."""

from collections.abc import Mapping
from importlib.resources import files

from alembic.operations import Operations
from sqlalchemy import text

from jobstate.store.queries import sections

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade(operations: Operations, values: Mapping[str, str]) -> None:
    """Create everything."""
    source = files("jobstate.store.migrations") / "versions" / "0001_jobs.sql"
    for statement in sections(source, values).values():
        operations.execute(text(statement.replace(":", r"\:")))
