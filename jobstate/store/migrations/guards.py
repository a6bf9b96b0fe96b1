"""What the migrations make to keep the rules: triggers, CHECKs and indexes, by their names."""

import re
from importlib.resources import files

from jobstate.store.version import VERSIONS

_MADE = re.compile(
    r"^create (?:unique )?(?P<kind>index|trigger) (?P<name>\w+)"
    r"|^ +constraint (?P<check>\w+)\s+check\b",
    re.MULTILINE,
)


def guards() -> list[tuple[str, str]]:
    """List them in the order in which they are made: the kind, and the name."""
    folder = files("jobstate.store") / "migrations" / "versions"
    texts = [
        script.read_text(encoding="utf-8")
        for script in sorted(folder.iterdir(), key=lambda each: each.name)
        if script.name.endswith(".sql") and script.name[:4] in VERSIONS
    ]
    return [
        (found["kind"] or "check", found["name"] or found["check"])
        for text in texts
        for found in _MADE.finditer(text)
    ]
