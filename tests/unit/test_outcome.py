"""What leaves a body lands its job, whatever it carries."""

import pytest

from jobstate import JobFailed, Settings
from jobstate.celery.outcome import failure

SETTINGS = Settings(database_url="unused")


class UntellableError(Exception):
    """An exception whose text is broken."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("No credit", "No credit"),
        (ValueError("No credit"), "No credit"),
        (KeyError(), "KeyError"),
        (UntellableError(), "UntellableError"),
        (402, "402"),
        (b"No", "b'No'"),
        (None, "The task failed unexpectedly."),
    ],
)
def test_a_failure_keeps_its_code_whatever_its_message_is(message: str, told: str) -> None:
    error = JobFailed(message, code="out_of_credit")
    landing = failure(error, SETTINGS, retries_exhausted=False)
    assert (landing.error_code, landing.error_message) == ("out_of_credit", told)
