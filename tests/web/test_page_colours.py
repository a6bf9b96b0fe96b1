"""The page's colours can be told apart, in the light and in the dark (WCAG 2.2, level AA)."""

import re

import pytest

from jobstate.web.page.look import content

GROUNDS = ("ground", "surface", "sunken")
TEXTS = ("text", "muted", "accent", "queued", "processing", "completed", "partial", "failed")


def _palettes() -> dict[str, dict[str, str]]:
    """Return the colours of the light page and of the dark one, by their names."""
    css = content("page.css").decode()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = re.compile(r"--jobs-([\w-]+): #([0-9a-f]{3,6});")
    given = dict(colours.findall(light))
    return {"light": given, "dark": given | dict(colours.findall(dark))}


PALETTES = _palettes()


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", PALETTES)
def test_text_can_be_read_on_every_ground(scheme: str) -> None:
    colours = PALETTES[scheme]
    pairs = [*((text, ground) for text in TEXTS for ground in GROUNDS), ("on-accent", "accent")]
    weak = {
        pair: round(found, 2)
        for pair in pairs
        if (found := contrast(colours[pair[0]], colours[pair[1]])) < 4.5
    }
    assert weak == {}


@pytest.mark.parametrize("scheme", PALETTES)
def test_controls_and_bars_stand_out(scheme: str) -> None:
    colours = PALETTES[scheme]
    for ground in ("ground", "surface"):
        assert contrast(colours["edge"], colours[ground]) >= 3
    assert contrast(colours["processing"], colours["line"]) >= 3


def test_the_dark_page_has_a_colour_for_each_of_the_light_one() -> None:
    dark = content("page.css").decode().partition("prefers-color-scheme: dark")[2]
    for name in PALETTES["light"]:
        assert f"--jobs-{name}:" in dark.partition("}")[0]
