"""The names that expressions read, and the names that processes expose."""

import re
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("", "_count", "_sum"),
}


def labels_in(expression: str) -> Iterator[tuple[str, str]]:
    """Yield each metric name with each label that the expression matches on it."""
    selector = re.compile(r"([a-zA-Z_:][\w:]*)\{((?:[^\"{}]|\"[^\"]*\")*)\}")
    for name, matchers in selector.findall(expression):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers):
            yield name, label


def exposed_in(text: str) -> set[str]:
    """Return the sample names of the families that an exposition declares, whether or not they have samples yet."""
    return {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in SUFFIXES.get(family.type, ("",))
    }


def labels_of(text: str) -> dict[str, set[str]]:
    """Return the labels that the samples of an exposition carry, by sample name."""
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels
