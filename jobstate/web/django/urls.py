"""The URLs of the routes, for ``include``; the settings say whose jobs they show.

``JOBSTATE_JOBS`` and ``JOBSTATE_GET_USER_ID`` are required, ``JOBSTATE_IS_ADMIN`` is not. Each is a
dotted path, or what it leads to. ``JOBSTATE_MAX_STREAMS`` is how many streams a user may have open
in one process. Origins in ``CSRF_TRUSTED_ORIGINS`` may cancel and retry jobs.
"""

from django.conf import settings

from jobstate.web.django.settings import setting
from jobstate.web.django.views import create_urls, nobody
from jobstate.web.places import MAX_STREAMS

app_name = "jobstate"

urlpatterns = create_urls(
    setting("JOBSTATE_JOBS"),
    get_user_id=setting("JOBSTATE_GET_USER_ID"),
    is_admin=setting("JOBSTATE_IS_ADMIN", nobody),
    trusted_origins=settings.CSRF_TRUSTED_ORIGINS,
    max_streams=setting("JOBSTATE_MAX_STREAMS", MAX_STREAMS),
)
