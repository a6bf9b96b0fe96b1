"""Makes thumbnails of a folder of images."""

import io
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from PIL import Image, ImageOps

import jobstate
from tasks import files
from workers.app import app

SIZES = {"large": 1280, "medium": 480, "small": 160}  # each is made from the one before
FORMATS = ("JPEG", "PNG", "WEBP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
PREVIEW = 24  # pictures on the contact sheet
COLUMNS, TILE = 6, 160
MAX_PIXELS = 50_000_000  # a few hundred MB of memory, once unpacked
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice as many


@app.task(base=jobstate.JobTask, bind=True, acks_late=True, job_type="thumbnails")
def make_thumbnails(self: jobstate.JobTask, folder: str) -> dict[str, int]:
    """Packs thumbnails of each image in a folder, in three sizes, into one zip: the asset "zip".

    The first ones are shown on a contact sheet: the asset "preview".

    A broken image is recorded against that image, and the job lands partial. May run again: each
    attempt has a file of its own.
    """
    images = images_in(files.input_folder(folder))
    done, shown = 0, []
    with files.scratch() as scratch:
        path = scratch / "thumbnails.zip"
        with ZipFile(path, "w") as archive:
            for image in self.job.track(images, len(images), message="Drawing thumbnails"):
                with self.job.item(image.name):
                    made = thumbnails(image)
                    for name, content in made.items():
                        archive.writestr(name, content)
                    shown += [made[f"small/{image.name}"]][: PREVIEW - done]
                    done += 1
        if not done:
            raise jobstate.JobFailed(
                f"None of the {len(images)} images can be read (see the job's items). "
                "Replace them and try again.",
                code="no_readable_image",
            )
        self.job.save_asset("zip", path, content_type="application/zip")
    self.job.save_asset("preview", contact_sheet(shown), name="preview.jpg")
    return {"images": done}


def images_in(folder: Path) -> list[Path]:
    """Returns the folder's images, sorted by name.

    Raises:
        JobFailed: `no_images`.
    """
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not images:
        raise jobstate.JobFailed(
            f"There are no images in {folder.name} (files that end in "
            f"{', '.join(SUFFIXES)}). Put some there and try again.",
            code="no_images",
        )
    return images


def thumbnails(path: Path) -> dict[str, bytes]:
    """Returns the image in each size, by its name in the archive: all of them or none."""
    image, image_format = read(path)
    made = {}
    for size, pixels in SIZES.items():
        image.thumbnail((pixels, pixels))
        content = io.BytesIO()
        image.save(content, image_format)
        made[f"{size}/{path.name}"] = content.getvalue()
    return made


def contact_sheet(pictures: Sequence[bytes]) -> bytes:
    """Returns small pictures side by side, in rows, as one JPEG."""
    columns = min(len(pictures), COLUMNS)
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (columns * TILE, rows * TILE), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        tile = ImageOps.fit(Image.open(io.BytesIO(picture)).convert("RGB"), (TILE - 4, TILE - 4))
        sheet.paste(tile, (column * TILE + 2, row * TILE + 2))
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=85)
    return content.getvalue()


def read(path: Path) -> tuple[Image.Image, str]:
    """Reads a whole image, turned the right way up, and the name of its format.

    Raises:
        ValueError: It is broken, or so large that unpacking it could exhaust the memory.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            upright = ImageOps.exif_transpose(image)
            mode = "RGBA" if image.has_transparency_data else "RGB"
            return upright.convert(mode), str(image.format)
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path.name} has too many pixels (at most {MAX_PIXELS:,} are unpacked). "
            "Scale it down and try again."
        ) from error
    except (OSError, SyntaxError) as error:  # what Pillow raises for broken files
        raise ValueError(
            f"{path.name} cannot be read (a whole JPEG, PNG or WebP file is expected). "
            "Save it again and try again."
        ) from error
