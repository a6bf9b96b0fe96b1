"""Jobs in a Django project: the base of its tasks, its tables, the URL of its database.

``"jobstate.django"`` among the INSTALLED_APPS has ``manage.py migrate`` make the tables.
"""

from jobstate.django.databases import database_url
from jobstate.django.task import DjangoJobTask

__all__ = ["DjangoJobTask", "database_url"]
