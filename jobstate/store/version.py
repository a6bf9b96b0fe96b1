"""Which versions of the schema this release knows."""

from collections.abc import Sequence
from typing import Any

from jobstate.errors import SchemaMismatch

VERSIONS = ("0001",)
"""Every version of the schema, oldest first."""

HEAD = VERSIONS[-1]
"""The version that this release works with."""


def check_version(rows: Sequence[tuple[Any, ...]]) -> None:
    """Refuse a schema that is older than this release.

    A newer one passes: during a rolling upgrade the old code runs on the new schema.

    Raises:
        SchemaMismatch: The schema is too old, or was never finished.
    """
    found = rows[0][0] if rows else None
    if found is None or (found in VERSIONS and found != HEAD):
        state = "unfinished" if found is None else f"at version {found}"
        raise SchemaMismatch(
            f"The jobstate schema is {state}: this release needs {HEAD}. Run: jobstate migrate"
        )
