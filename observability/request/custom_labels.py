"""Labels of the application's own on the metrics of its requests, with a bounded number of values."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from observability.core.internal_errors import record_internal_error
from observability.core.labels import BoundedValues
from observability.request.record import RequestRecord, current_request

LabelDeclarations = Mapping[str, int | Collection[str]]
"""The allowed values of each label, or how many different ones it may have."""

UNSET: Final = "none"
"""The value of a label that was not set during the request."""

TAKEN: Final = frozenset({"method", "status", "code", "handler", "le", "quantile", "job", "instance"})


def set_label(name: str, value: str) -> None:
    """Set a label of the current request's metrics, from any of its tasks and threads; nothing outside of requests.

    `instrument(labels=…)` declares it.
    """
    request = current_request.get()
    if request is None:
        return
    if request.labels is None:
        request.labels = {}
    request.labels[name] = value


class CustomLabels:
    """Reads the declared labels of a request; a value that is not allowed, or one too many, is `other`."""

    def __init__(self, declared: LabelDeclarations) -> None:
        for name, allowed in declared.items():
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__") or name in TAKEN:
                raise ValueError(f"labels: {name!r} is not a label name, or is one of {', '.join(sorted(TAKEN))}")
            if isinstance(allowed, str | bool) or (isinstance(allowed, int) and allowed < 1):
                raise ValueError(f"labels: {name!r} needs its allowed values, or how many it may have: not {allowed!r}")
        self.names = tuple(declared)
        self._bounded = {
            name: BoundedValues(limit=allowed) if isinstance(allowed, int) else BoundedValues.closed(allowed)
            for name, allowed in declared.items()
        }

    def values(self, request: RequestRecord) -> tuple[str, ...]:
        """Return the request's values in the order of the names."""
        given = request.labels
        if given is None:
            return (UNSET,) * len(self.names)
        undeclared = given.keys() - self._bounded.keys()
        if undeclared:
            names = ", ".join(sorted(undeclared))
            record_internal_error("labels", KeyError(f"instrument(labels=...) does not declare {names}"))
        return tuple(bounded(str(given[name])) if name in given else UNSET for name, bounded in self._bounded.items())
