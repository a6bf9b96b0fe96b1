"""On which pools a test runs that uses the shared workers."""

import pytest

ALL_POOLS = ("prefork", "threads", "solo")


def on_pools(*pools: str) -> pytest.MarkDecorator:
    """Run a test on these pools alone."""
    return pytest.mark.parametrize("shared_site", pools, indirect=True)
