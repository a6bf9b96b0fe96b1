"""What the tests of the pages share."""

from tests.examples import examples

__all__ = ["examples"]
