"""A database that each example empties."""

import pytest


@pytest.fixture
def jobs_url(emptied_url: str) -> str:
    """The database that these tests use in turn."""
    return emptied_url
