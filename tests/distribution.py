"""Which tests share a process, and in which order: those that wait for long begin first."""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

FIRST = ("promise", "fates", "faults", "edges", "worker", "nodes", "web", "flower", "model", "cli")
"""Folders whose tests search or wait for long; the others fill the gaps."""

ONE_NODE = "RabbitMQ"
"""What is named so in a test's parameters shares one broker that is slow to start."""

ONE_SITE = "tests/example/"
"""The tests in this folder share servers that are slow to start."""


class Distribution(LoadFileScheduling):  # type: ignore[misc]  # xdist's scheduler is untyped here
    """Keeps together what shares workers: a file; in the fates, a file and a pool.

    The searches share nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        _, _, parameters = test.partition("[")
        if ONE_NODE in parameters:
            return ONE_NODE
        if file.startswith(ONE_SITE):
            return ONE_SITE
        if file.startswith("tests/promise/"):
            return nodeid
        return f"{file}[{parameters}" if file.startswith("tests/fates/") else file


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests in the order of their folders."""
    return sorted(items, key=_place)


def make_scheduler(config: pytest.Config, log: Any) -> Distribution | None:
    """Take the place of `--dist loadfile`, and begin the parts in the order of their tests."""
    if config.getoption("dist") != "loadfile":
        return None
    # Otherwise the parts with the most tests would be first.
    config.option.loadscopereorder = False
    return Distribution(config, log)


def _place(item: pytest.Item) -> tuple[bool, int]:
    folder = "".join(item.nodeid.split("/")[1:2])
    return ONE_NODE not in item.nodeid, FIRST.index(folder) if folder in FIRST else len(FIRST)
