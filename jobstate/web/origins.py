"""Keeps other sites from posting in the name of a user whose browser sends their cookies along."""

from collections.abc import Collection

from jobstate.web.exchange import Headers
from jobstate.web.problems import Forbidden


def check_origin(headers: Headers, trusted: Collection[str]) -> None:
    """Let a request through that no page of another site has sent.

    Browsers say where a request comes from, and pages cannot change what they say:
    ``Sec-Fetch-Site``, or in browsers from before 2023 the ``Origin`` of every POST. What says
    neither is no browser, and no site can make it send somebody's cookies.

    Args:
        headers: The headers of the request.
        trusted: Origins that may post all the same, such as ``https://app.example.org``; with
            ``https://*.example.org``, that host and all below it.

    Raises:
        Forbidden: It comes from another site.
    """
    origin = headers.get("Origin")
    if origin is not None and _is_trusted(origin, trusted):
        return
    site = headers.get("Sec-Fetch-Site")
    if site is None:
        # "null", the origin of a sandboxed page, has no host either.
        own = origin is None or origin.partition("://")[2] == headers.get("Host")
    else:
        own = site in ("same-origin", "none")
    if not own:
        raise Forbidden(
            "This request comes from a page of another site: only the app's own pages may change "
            "jobs. Add its origin to trusted_origins, if it is one of yours."
        )


def _is_trusted(origin: str, trusted: Collection[str]) -> bool:
    """Tell whether an origin is among these, as Django reads its ``CSRF_TRUSTED_ORIGINS``."""
    if origin in trusted:
        return True
    scheme, _, host = origin.partition("://")
    patterns = [each.partition("://*.") for each in trusted]
    return any(
        scheme == its_scheme and f".{host}".endswith(f".{domain}")
        for its_scheme, is_pattern, domain in patterns
        if is_pattern
    )
