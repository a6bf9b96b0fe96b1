"""The routes for Django: ``path("api/", include("jobstate.web.django.urls"))``.

Importing this needs no settings; `urls` and `page_urls` read them when they are included.
"""

from jobstate.web.django.views import accepted, create_page_urls, create_urls

__all__ = ["accepted", "create_page_urls", "create_urls"]
