"""The browser that tests of pages drive: no wheel has one."""

from pathlib import Path

PROGRAM = Path("/usr/bin/chromium")
