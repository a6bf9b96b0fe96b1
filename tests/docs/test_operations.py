"""The dashboard, the alerts and the page of metrics speak of the metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from jobstate import JobService
from jobstate.metrics import JobMetrics, ProcessMetrics

FOLDER = Path(__file__).parents[2] / "docs" / "operations"
DASHBOARD = json.loads((FOLDER / "jobstate-dashboard.json").read_text())
RULES = YAML(typ="safe").load(FOLDER / "alerts.yml")["groups"][0]["rules"]
PAGE = (FOLDER / "metrics.md").read_text()


def expressions() -> Iterator[Any]:
    """Every expression of the dashboard and the alerts, with Grafana's variables filled in."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$type", ".*")
            yield pytest.param(expression, id=panel["title"])
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])


@pytest.fixture(scope="module")
def registry(postgres_url: str) -> Iterator[CollectorRegistry]:
    """The registry, of a database that has no jobs."""
    service = JobService(postgres_url)
    yield JobMetrics(service).registry
    service.close()


def series(registry: CollectorRegistry) -> dict[str, set[str]]:
    """Return the name of each series with its labels."""
    found = {}
    for collector, names in registry._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        found |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in names}
    # Those of the process are made when they are read, and always there.
    for metric in ProcessMetrics().collect():
        found |= {sample.name: set(sample.labels) for sample in metric.samples}
    return found


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_is_valid_and_names_series_that_exist(
    expression: str, registry: CollectorRegistry
) -> None:
    selectors: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    known = series(registry)
    assert selectors
    for selector in selectors:
        assert selector.name in known
        assert {matcher.name for matcher in selector.matchers.matchers} <= known[selector.name]


def test_the_page_lists_every_metric_and_its_labels(registry: CollectorRegistry) -> None:
    rows = re.findall(r"^\| `(jobstate_\w+)` \| ([\w, ]*)\|", PAGE, re.MULTILINE)
    listed = {name: set(re.findall(r"\w+", labels)) for name, labels in rows}
    hidden = ("_created", "_bucket", "_count", "_sum")
    metrics = {
        name: labels
        for name, labels in series(registry).items()
        if not name.endswith(hidden) and f"{name}_total" not in series(registry)
    }
    assert listed == metrics


def test_the_page_lists_every_alert() -> None:
    assert re.findall(r"^\| `(Jobstate\w+)`", PAGE, re.MULTILINE) == [
        rule["alert"] for rule in RULES
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    known = "type" if "by (type)" in rule["expr"] else ""
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= {known}


def test_the_panels_stand_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
