"""Reports on a month's orders: a chart and a summary."""

import io
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

import jobstate
from tasks import periods
from tasks.database import connect
from workers.app import app

WIDTH, HEIGHT, MARGIN = 960, 480, 56
DAYS = """
select placed_on, count(*), sum(quantity * unit_price)
from demo_orders where placed_on >= %s and placed_on < %s group by placed_on order by placed_on
"""


class Day(NamedTuple):
    """What was ordered on a day."""

    date: date
    orders: int
    revenue: Decimal


@app.task(base=jobstate.JobTask, bind=True, acks_late=True, job_type="report")
def monthly_report(self: jobstate.JobTask, year: int, month: int) -> dict[str, object]:
    """Draws a chart of a month's revenue and writes a summary: the assets "chart", "summary".

    May run again: each attempt has files of its own.
    """
    period = periods.of_month(year, month)
    title = f"Orders in {year}-{month:02}"

    self.job.progress(0, message="Loading the orders")
    with connect() as connection:
        days = [Day(*row) for row in connection.execute(DAYS, period)]
    if not days:
        raise jobstate.JobFailed(
            f"No orders in {year}-{month:02} (a report needs at least one). Choose another month.",
            code="no_orders",
        )

    self.job.progress(30, message="Drawing the chart")
    chart = io.BytesIO()
    draw(title, days).save(chart, "PNG")
    self.job.save_asset("chart", chart.getvalue(), name="chart.png")

    self.job.progress(70, message="Writing the summary")
    summary = summarise(title, days).encode()
    self.job.save_asset("summary", summary, name="summary.md", content_type="text/markdown")

    return {"orders": sum(day.orders for day in days), "revenue": str(revenue(days))}


def revenue(days: Sequence[Day]) -> Decimal:
    """Adds up what the days brought in."""
    return sum((day.revenue for day in days), Decimal(0))


def summarise(title: str, days: Sequence[Day]) -> str:
    """Returns the month's figures as Markdown."""
    orders = sum(day.orders for day in days)
    best = max(days, key=lambda day: day.revenue)
    return f"""# {title}

| | |
|---|---:|
| Orders | {orders:,} |
| Revenue | {revenue(days):,.2f} |
| Revenue of an order | {revenue(days) / orders:,.2f} |
| Best day, {best.date} | {best.revenue:,.2f} |
"""


def draw(title: str, days: Sequence[Day]) -> Image.Image:
    """Returns a chart with a bar for the revenue of each day of the month."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    floor, slot = HEIGHT - MARGIN, (WIDTH - 2 * MARGIN) / 31
    highest = max(day.revenue for day in days)

    canvas.text((MARGIN, 16), title, "black", ImageFont.load_default(22))
    canvas.text((WIDTH - MARGIN, 22), f"best day {highest:,.2f}", "gray", font, anchor="ra")
    for day in days:
        left = MARGIN + (day.date.day - 1) * slot
        top = floor - float(day.revenue / highest) * (floor - MARGIN)
        canvas.rectangle((left + 2, top, left + slot - 2, floor), "steelblue")
        canvas.text((left + slot / 2, floor + 6), str(day.date.day), "gray", font, anchor="ma")
    canvas.line((MARGIN, floor, WIDTH - MARGIN, floor), "black")
    return image
