"""The examples of docs/how-to/page.md show the jobs of whoever asks."""

import re
from pathlib import Path
from typing import Any

import httpx

from tests.web.servers import asgi_server

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "page.md"
DATABASE = "postgresql+psycopg://localhost/shop"


def examples(database_url: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8").replace(DATABASE, database_url)
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_page_is_mounted_in_fastapi(jobs_url: str, user_id: object) -> None:
    names: dict[str, Any] = {"__name__": "shop"}
    mount, look = examples(jobs_url)
    exec(mount, names)  # noqa: S102 - our own documentation
    exec(look, names)  # noqa: S102 - our own documentation
    service = names["jobs"].service
    job = service.create_job(user_id, "orders", {"year": 2026})
    user = {"X-User": str(user_id)}
    with asgi_server(names["app"]) as url, httpx.Client(base_url=url, headers=user) as client:
        assert "Orders</a>" in client.get("/my/jobs/").text
        page = client.get(f"/exports/{job.id}").text
    assert "<h1>Orders of 2026</h1>" in page
    assert "My exports</a>" in page
    assert 'href="/static/jobs.css"' in page
    service.close()
