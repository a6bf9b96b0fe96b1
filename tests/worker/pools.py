"""On which pools a test runs that uses the shared workers."""

from typing import Any

import pytest

ALL_POOLS = ("prefork", "threads", "solo")


def shared(pool: str) -> Any:
    """Name a pool; all tests of its shared worker stay in one process of pytest-xdist."""
    return pytest.param(pool, marks=pytest.mark.xdist_group(f"worker-{pool}"))


def on_pools(*pools: str) -> pytest.MarkDecorator:
    """Run a test on these pools alone."""
    return pytest.mark.parametrize("shared_site", [shared(pool) for pool in pools], indirect=True)
