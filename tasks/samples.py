"""Makes the input that the example's tasks run on: `python -m tasks.samples`.

The same call makes the same data, whenever and wherever it runs.
"""

import csv
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from PIL import Image, ImageDraw

from tasks import files
from tasks.database import connect, create_tables
from workers.app import app

FIRST_DAY, LAST_DAY = date(2024, 1, 1), date(2026, 10, 31)
PRODUCTS = {"lamp": "39.90", "chair": "129.00", "desk": "349.00", "shelf": "89.50", "rug": "75.25"}
NAMES = ("Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Femi", "Grace", "Hiro", "Ines", "Jonas")
COUNTRIES = ("DE", "FR", "IT", "JP", "NG", "PL", "PT", "TR", "US")
BAD_ROWS = (
    ("", "nameless@example.org", "DE"),
    ("Ada", "ada(at)example.org", "DE"),
    ("Bruno", "bruno@example.org", "Germany"),
    ("Chiara", "chiara@example.org", "IT", "one column too many"),
    ("Dmitri", "dmitri@example.org"),
)

Order = tuple[int, date, str, str, int, str]


def orders(rows: int) -> Iterator[Order]:
    """Yields orders in the sequence of their days, spread evenly over several years."""
    chance = random.Random(2026)  # noqa: S311 - sample data, nothing to guess
    days = (LAST_DAY - FIRST_DAY).days + 1
    for number in range(rows):
        product, price = chance.choice(list(PRODUCTS.items()))
        day = FIRST_DAY + timedelta(days=number * days // rows)
        yield number + 1, day, chance.choice(NAMES), product, chance.randint(1, 5), price


def create_orders(connection_url: str, rows: int = 5000) -> None:
    """Fills `demo_orders`, in place of what is there, and creates the tables where missing."""
    create_tables(connection_url)
    with connect(connection_url) as connection, connection.cursor() as cursor:
        cursor.execute("truncate demo_orders")
        with cursor.copy("copy demo_orders from stdin") as copy:
            for order in orders(rows):
                copy.write_row(order)


def draw_images(folder: Path, count: int = 12) -> list[Path]:
    """Draws pictures, half JPEG and half PNG; the last one is broken: it ends in the middle."""
    chance = random.Random(count)  # noqa: S311 - as above
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"picture-{n:02}{('.jpg', '.png')[n % 2]}" for n in range(1, count + 1)]
    for path in paths:
        image = Image.new("RGB", (1600, 1200), chance.choice(("navy", "teal", "maroon", "indigo")))
        canvas = ImageDraw.Draw(image)
        for _ in range(40):
            centre, radius = (chance.randrange(1600), chance.randrange(1200)), chance.randint(9, 99)
            canvas.circle(centre, radius, f"hsl({chance.randrange(360)}, 70%, 60%)")
        image.save(path)
    content = paths[-1].read_bytes()
    paths[-1].write_bytes(content[: len(content) // 2])
    return paths


def write_customers_csv(path: Path, rows: int = 400, bad: int = 7, duplicates: int = 0) -> None:
    """Writes a CSV file of so many customers, among them some bad rows and some duplicates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(rows)  # noqa: S311 - as above
    good = [
        (chance.choice(NAMES), f"customer{n:05}@example.org", chance.choice(COUNTRIES))
        for n in range(rows - bad - duplicates)
    ]
    lines = [*good, *good[:duplicates], *(BAD_ROWS[n % len(BAD_ROWS)] for n in range(bad))]
    chance.shuffle(lines)
    with path.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text).writerows([("name", "email", "country"), *lines])


if __name__ == "__main__":
    create_orders(app.conf.jobstate_database_url)
    draw_images(files.inputs() / "pictures")
    write_customers_csv(files.inputs() / "customers.csv", duplicates=3)
