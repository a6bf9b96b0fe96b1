"""Lengths of time as arguments."""

from typing import Any

import click

MOST_SECONDS = 1e9
MOST_DAYS = 1e5


class Duration(click.FloatRange):
    """A number from `least` to `most`; not one that no clock can count, such as nan."""

    def __init__(self, least: float, most: float = MOST_SECONDS) -> None:
        super().__init__(min=least)
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        number = super().convert(value, param, ctx)
        # The range alone has nothing against nan, which is neither below nor above.
        if not number <= self._most:
            self.fail(f"{value} is not a number up to {self._most:,.0f}.", param, ctx)
        return number
