"""The parts of the report that need no database."""

import io
from datetime import date
from decimal import Decimal

from PIL import Image

from tasks.reports import HEIGHT, WIDTH, Day, draw, revenue, summarise

DAYS = [
    Day(date(2026, 2, 1), 3, Decimal("100.00")),
    Day(date(2026, 2, 14), 5, Decimal("1400.50")),
    Day(date(2026, 2, 28), 2, Decimal("0.01")),
]
BAR = (70, 130, 180)


def test_the_chart_is_a_png_that_can_be_read() -> None:
    content = io.BytesIO()
    draw("Orders in 2026-02", DAYS).save(content, "PNG")
    with Image.open(content) as chart:
        chart.load()
        assert (chart.format, chart.size) == ("PNG", (WIDTH, HEIGHT))


def test_the_best_day_has_the_highest_bar() -> None:
    best, others = draw("", DAYS[1:2]), draw("", [DAYS[0], DAYS[1]])
    assert bar_height(best) > 0
    assert bar_height(others) == bar_height(best)
    assert bar_height(draw("", [DAYS[0]])) == bar_height(best)


def test_a_month_of_one_order_and_a_month_of_31_days_can_be_drawn() -> None:
    assert bar_height(draw("", [DAYS[2]]))
    assert bar_height(draw("", [Day(date(2026, 1, n), 1, Decimal(n)) for n in range(1, 32)]))


def test_the_summary_names_the_figures() -> None:
    assert revenue(DAYS) == Decimal("1500.51")
    summary = summarise("Orders in 2026-02", DAYS)
    assert summary.startswith("# Orders in 2026-02\n")
    for line in (
        "| Orders | 10 |",
        "| Revenue | 1,500.51 |",
        "| Best day, 2026-02-14 | 1,400.50 |",
    ):
        assert line in summary.splitlines()


def bar_height(chart: Image.Image) -> int:
    """Counts the rows of pixels that any bar reaches."""
    pixels = chart.load()
    assert pixels
    return sum(any(pixels[x, y] == BAR for x in range(WIDTH)) for y in range(HEIGHT))
