"""The queries of the dashboard and of the alert rules, parsed, and held against an exposition."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families

OPS = Path(__file__).parents[2] / "ops"
OF_PROMETHEUS = {"instance", "job", "le"}
SHORT_LISTS = {"result", "kind", "reason", "limit", "state"}
"""Labels whose values are all told from the start: a query may name none that is not."""


def queries_of_dashboard() -> list[str]:
    board = json.loads((OPS / "grafana" / "mintage.json").read_text("utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            # Grafana's own form, of the same meaning.
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"])
            assert found is not None, f"a list of values that nobody checks: {variable['query']}"
            asked.append(f"group by ({found[2]}) ({found[1]})")
    return asked


def queries_of_alerts() -> list[str]:
    text = (OPS / "prometheus" / "mintage-alerts.yml").read_text("utf-8")
    found = re.findall(r"^ +expr: '(.+)'$", text, re.MULTILINE)
    assert len(found) == text.count("- alert: "), "write an expression in one line, quoted by '"
    return found


def unknown_in(queries: list[str], exposition: str) -> list[str]:
    """Metrics, labels and values of short lists that a query names and the exposition does not tell."""
    told: dict[str, list[dict[str, str]]] = {}
    families = text_string_to_metric_families(exposition)
    for family in families:
        for sample in family.samples:
            told.setdefault(sample.name, []).append(sample.labels)
    return [f"{problem} in {query}" for query in queries for problem in _problems(query, told)]


def _problems(query: str, told: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    nodes = list(_nodes(promql.parse(query.replace("$__rate_interval", "5m"))))
    known: set[str] = set(OF_PROMETHEUS)
    for node in nodes:
        if not isinstance(node, promql.VectorSelector):
            continue
        samples = told.get(str(node.name), [])
        if not samples:
            yield f"no metric {node.name}"
        labels = {label for sample in samples for label in sample}
        known |= labels
        for matcher in node.matchers.matchers:
            if matcher.name not in labels | OF_PROMETHEUS:
                yield f"no label {matcher.name}"
            values = {sample.get(matcher.name) for sample in samples}
            if matcher.name in SHORT_LISTS and matcher.value not in values:
                yield f"no {matcher.name}={matcher.value}"
    for node in nodes:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            yield from (f"no label {name}" for name in node.modifier.labels if name not in known)


def _nodes(node: object) -> Iterator[object]:
    yield node
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        if (below := getattr(node, name, None)) is not None:
            yield from _nodes(below)
    for argument in getattr(node, "args", None) or ():
        yield from _nodes(argument)
