"""Which pages may post."""

import httpx
import pytest

from jobstate.web.origins import check_origin
from jobstate.web.problems import Forbidden

TRUSTED = frozenset({"https://app.example", "https://*.example.org", "http://*.localhost:3000"})


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        ("https://app.example", True),
        ("https://a.app.example", False),
        ("https://a.example.org", True),
        ("https://a.b.example.org", True),
        ("https://example.org", True),
        ("http://a.example.org", False),
        ("https://badexample.org", False),
        ("https://example.org.evil.example", False),
        ("https://a.example.org:8443", False),
        ("http://a.localhost:3000", True),
        ("http://a.localhost", False),
        ("https://*.example.org", True),
        ("null", False),
        ("", False),
    ],
)
def test_a_trusted_origin_may_be_named_with_all_below_it(origin: str, is_let_in: bool) -> None:
    """Django's settings name origins like this."""
    headers = httpx.Headers({"Origin": origin, "Sec-Fetch-Site": "cross-site"})
    if is_let_in:
        check_origin(headers, TRUSTED)
        return
    with pytest.raises(Forbidden):
        check_origin(headers, TRUSTED)
