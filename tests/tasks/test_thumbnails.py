"""Images in, thumbnails out."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

import jobstate
from tasks.thumbnails import PREVIEW, SIZES, contact_sheet, images_in, read, thumbnails


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (1600, 800)) -> Path:
    Image.new(mode, size).save(path)
    return path


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_image_becomes_one_thumbnail_of_each_size(tmp_path: Path, name: str) -> None:
    made = {path: opened(content) for path, content in thumbnails(picture(tmp_path / name)).items()}
    assert {path: image.size for path, image in made.items()} == {
        f"{size}/{name}": (pixels, pixels // 2) for size, pixels in SIZES.items()
    }
    assert {image.format for image in made.values()} == {Image.open(tmp_path / name).format}


def test_a_small_image_is_not_blown_up(tmp_path: Path) -> None:
    made = thumbnails(picture(tmp_path / "a.png", size=(20, 10)))
    assert {opened(content).size for content in made.values()} == {(20, 10)}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_image_is_drawn(tmp_path: Path, mode: str) -> None:
    assert len(thumbnails(picture(tmp_path / "a.png", mode))) == len(SIZES)


def test_transparency_is_kept(tmp_path: Path) -> None:
    made = thumbnails(picture(tmp_path / "a.png", "RGBA"))
    assert {opened(content).mode for content in made.values()} == {"RGBA"}


def test_an_image_taken_sideways_is_turned(tmp_path: Path) -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=orientation)
    assert read(tmp_path / "a.jpg")[0].size == (20, 40)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_a_broken_image_is_refused_by_name(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    Image.effect_noise((200, 200), 50).convert("RGB").save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=f"^{name} cannot be read"):
        thumbnails(path)


def test_an_image_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(ValueError, match=r"^a\.jpg cannot be read"):
        thumbnails(tmp_path / "a.jpg")


def test_a_huge_image_is_refused_unpacked(tmp_path: Path) -> None:
    """It has no content: had anything been unpacked, it would be called broken."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT")
    with pytest.raises(ValueError, match=r"^a\.png has too many pixels \(at most 50,000,000"):
        thumbnails(tmp_path / "a.png")


def test_images_are_found_by_their_suffix_and_sorted(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp", "d.jpeg"):
        (tmp_path / name).touch()
    assert [path.name for path in images_in(tmp_path)] == ["a.png", "b.JPG", "c.webp", "d.jpeg"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(jobstate.JobFailed, match="There are no images in") as failed:
        images_in(tmp_path)
    assert failed.value.code == "no_images"


@pytest.mark.parametrize(("count", "size"), [(1, (160, 160)), (6, (960, 160)), (7, (960, 320))])
def test_a_contact_sheet_has_rows_of_six(tmp_path: Path, count: int, size: tuple[int, int]) -> None:
    small = picture(tmp_path / "a.png", "RGBA", (30, 40)).read_bytes()
    sheet = opened(contact_sheet([small] * count))
    assert (sheet.format, sheet.size) == ("JPEG", size)


def test_a_contact_sheet_has_at_most_four_rows() -> None:
    assert PREVIEW == 4 * 6
