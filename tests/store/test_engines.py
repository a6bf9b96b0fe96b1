"""Which databases and engines are taken, and what is said of the others."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import create_engine

from jobstate import AsyncJobService, ConfigurationError, JobService, Settings
from jobstate.store.migrations import apply

Connect = Callable[[], psycopg.Connection]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost:geheim/shop",
        "postgresql://user:geheim/shop",
        "postgresql://[::1/shop",
        "postgresql://one:5432,two:5432/shop",
    ],
)
@pytest.mark.parametrize(
    "use", [JobService, AsyncJobService, lambda url: apply(Settings.for_database(url))]
)
def test_a_malformed_url_is_a_mistake_of_the_configuration(
    use: Callable[[str], object], url: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        use(url)
    message = str(refused.value)
    assert message.startswith("The database URL is malformed: its port is no number")
    assert "It must look like postgresql+psycopg://user@host:5432/database." in message
    assert "geheim" not in message
    assert "geheim" not in repr(refused.value.__cause__)


def test_an_engine_of_another_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"uses sqlite\+pysqlite: jobstate runs on"):
        JobService(create_engine("sqlite://"))


def test_the_password_of_an_engine_is_not_lost() -> None:
    engine = create_engine("postgresql+psycopg://user:geheim@localhost/shop")
    assert ":geheim@" in JobService(engine).settings.database_url


def test_all_text_can_be_stored_whatever_the_environment_says(
    jobs_url: str, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    service = JobService(jobs_url)
    job = service.create_job(user_id, "report", {"price": "5 \u20ac"})
    assert service.get_job(job.id, user_id).parameters == {"price": "5 \u20ac"}
    service.close()


async def test_all_text_can_be_stored_by_the_asyncio_service_too(
    jobs_url: str, user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    service = AsyncJobService(jobs_url)
    job = await service.create_job(user_id, "report", {"price": "5 \u20ac"})
    assert (await service.get_job(job.id, user_id)).parameters == {"price": "5 \u20ac"}
    await service.close()
