"""How a stored file is sent: whole, or the part that a client asks for (RFC 9110)."""

import re
from urllib.parse import quote

from jobstate.records import Asset
from jobstate.web.exchange import Answer, Download, Request
from jobstate.web.problems import problem
from jobstate.web.shapes import asset_name

# More digits than any file needs would be slow to read.
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)


def sent(
    request: Request, asset: Asset, owner: object, how: str = "attachment"
) -> Answer | Download:
    """Send a file, to be saved or `inline`; or the part that is asked for, or 416: it has none."""
    headers, size = file_headers(asset, how), asset.file_size
    part = _part(request, asset)
    if part is None:
        return Download(asset, owner, headers)
    start, end = part
    if start >= end:
        return problem(
            416,
            f"The file has {size} bytes, and none of those that were asked for. Ask for others.",
            {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"},
        )
    headers["Content-Length"] = str(end - start)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Download(asset, owner, headers, 206, start, end)


def file_headers(asset: Asset, how: str) -> dict[str, str]:
    """Return the headers of a whole file."""
    # Whatever a user has uploaded: never shown as a page of this site, never run.
    return {
        "Content-Type": _media_type(asset.content_type),
        "Content-Length": str(asset.file_size),
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(asset_name(asset), safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, max-age=3600",
        "Accept-Ranges": "bytes",
        **({"ETag": _tag(asset)} if asset.sha256 else {}),
    }


def _part(request: Request, asset: Asset) -> tuple[int, int] | None:
    """Read which bytes are asked for, up to one that is left out; None: all of them.

    Several parts at once, other units and what is malformed count as nothing, as the RFC has it; so
    does a part of another content than this, and any of a HEAD.
    """
    if request.is_head:
        return None
    asked = _RANGE.fullmatch((request.headers.get("Range") or "").strip())
    known = request.headers.get("If-Range")
    if asked is None or (known is not None and known.strip() != _tag(asset)):
        return None
    first, last = asked.groups()
    size = asset.file_size
    if first and last and int(last) < int(first):
        return None
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return (max(0, size - int(last)), size) if last else None


def _tag(asset: Asset) -> str:
    return f'"{asset.sha256}"'


def _media_type(given: str | None) -> str:
    plain = given is not None and given.isascii() and given.isprintable() and "/" in given
    return given if plain and given else "application/octet-stream"
