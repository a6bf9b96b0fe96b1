"""jobstate's statements with their values written into them, for those who run them without it."""

import re
from collections.abc import Mapping
from typing import Any

from jobstate.store import Operation
from jobstate.store.queries import load_queries


def written(operation: Operation[Any], open_values: Mapping[str, str]) -> str:
    """Return a statement with its values in place, but for those that differ from job to job.

    Args:
        operation: The statement, and its values.
        open_values: What stands for each of the others.
    """

    def literal(found: re.Match[str]) -> str:
        if found[1] in open_values:
            return open_values[found[1]]
        value = {"patience": "5s", **operation.params}[found[1]]
        if value is None:
            return "null"
        if isinstance(value, bool | int | float):
            return str(value).lower()
        return "'" + str(value).replace("'", "''") + "'"

    return re.sub(r"%\((\w+)\)s", literal, load_queries("jobstate")[operation.statement])
