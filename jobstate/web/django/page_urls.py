"""The URLs of the page of one's own jobs, for ``include``; the settings are those of `urls`.

``JOBSTATE_PAGE_LOOK`` may have a `Look`, or the dotted path to one.
"""

from jobstate.web.django.settings import setting
from jobstate.web.django.views import create_page_urls
from jobstate.web.page import Look
from jobstate.web.places import MAX_STREAMS

app_name = "jobstate_page"

urlpatterns = create_page_urls(
    setting("JOBSTATE_JOBS"),
    get_user_id=setting("JOBSTATE_GET_USER_ID"),
    look=setting("JOBSTATE_PAGE_LOOK", Look()),
    max_streams=setting("JOBSTATE_MAX_STREAMS", MAX_STREAMS),
)
