"""Which pages may post."""

import httpx
import pytest

from jobstate.web.origins import check_origin
from jobstate.web.problems import Forbidden

TRUSTED = frozenset({"https://app.example", "https://*.example.org", "http://*.localhost:3000"})


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example",
        "https://a.example.org",
        "https://a.b.example.org",
        "https://example.org",
        "http://a.localhost:3000",
    ],
)
def test_a_trusted_origin_may_be_named_with_all_below_it(origin: str) -> None:
    """Django's settings name origins like this."""
    check_origin(from_elsewhere(origin), TRUSTED)


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.app.example",
        "http://a.example.org",
        "https://badexample.org",
        "https://example.org.evil.example",
        "https://a.example.org:8443",
        "http://a.localhost",
        "null",
        "",
    ],
)
def test_another_origin_is_not_trusted(origin: str) -> None:
    with pytest.raises(Forbidden):
        check_origin(from_elsewhere(origin), TRUSTED)


def from_elsewhere(origin: str) -> httpx.Headers:
    return httpx.Headers({"Origin": origin, "Sec-Fetch-Site": "cross-site"})
