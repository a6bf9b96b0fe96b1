"""Django's databases, as jobstate names them."""

from typing import Any
from urllib.parse import quote, urlencode

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, models

from jobstate.errors import ConfigurationError
from jobstate.store.migrations import UserIdType

_OPTIONS = frozenset(
    {"channel_binding", "hostaddr", "load_balance_hosts", "options", "passfile", "service"}
    | {"target_session_attrs", "require_auth", "requirepeer"}
    | {"gssdelegation", "gssencmode", "gsslib", "krbsrvname"}
    | {"sslcert", "sslcertmode", "sslcrl", "sslcrldir", "sslkey", "sslmode", "sslnegotiation"}
    | {"sslpassword", "sslrootcert", "sslsni"}
    | {"ssl_max_protocol_version", "ssl_min_protocol_version"}
)
"""What of a database's OPTIONS says how to connect; the rest is about Django's own connections."""


def database_url(alias: str = DEFAULT_DB_ALIAS) -> str:
    """Return the URL of one of Django's databases, for `jobstate_database_url`.

    Raises:
        ConfigurationError: It is not on Postgres.
    """
    database: dict[str, Any] = connections[alias].settings_dict
    if connections[alias].vendor != "postgresql":
        raise ConfigurationError(
            f"The database {alias!r} uses {database['ENGINE']}: jobs are kept in Postgres. "
            "Name a database that is."
        )
    options = {
        name: value for name, value in database.get("OPTIONS", {}).items() if name in _OPTIONS
    }
    host = database["HOST"]
    if host.startswith("/"):
        host, options["host"] = "", host
    user = quote(database["USER"], safe="")
    if database["PASSWORD"]:
        user += f":{quote(database['PASSWORD'], safe='')}"
    port = f":{database['PORT']}" if database["PORT"] else ""
    where = f"{user}@{host}{port}" if user or host or port else ""
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"postgresql+psycopg://{where}/{quote(database['NAME'], safe='')}{query}"


def user_id_type() -> UserIdType | None:
    """Return the type of the ids of the project's users; None: it has no model of users."""
    try:
        key = get_user_model()._meta.pk  # noqa: SLF001 - Django's documented name
    except ImproperlyConfigured:
        return None
    while isinstance(key, models.OneToOneField):
        key = key.target_field
    if isinstance(key, models.UUIDField):
        return "uuid"
    return "bigint" if isinstance(key, models.IntegerField) else "text"
