"""The caller's trace context, extracted from request headers, and what outgoing calls have of it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import baggage, propagate
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagators.textmap import Getter

from observability.request.record import current_request

_TRACEPARENT: Final = b"traceparent"


def header_values(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the values by header name; those of a repeated header are combined into a list, as in RFC 9110.

    A repeated `traceparent` is empty, which is invalid: W3C Trace Context allows one, and a list of them could be read
    as a single one of a later version.
    """
    values = dict(headers)
    if len(values) == len(headers):
        return values
    values.clear()
    for name, value in headers:
        before = values.get(name)
        if before is None:
            values[name] = value
        else:
            values[name] = b"" if name == _TRACEPARENT else b"%b,%b" % (before, value)
    return values


class _HeaderGetter(Getter[Mapping[bytes, bytes]]):
    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        value = carrier.get(key.lower().encode("latin-1"))
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


class Extractor:
    """Extracts with the configured propagators (`OTEL_PROPAGATORS`, by default W3C trace context and baggage)."""

    def __init__(self) -> None:
        self._propagator = propagate.get_global_textmap()
        self.fields = frozenset(field.lower().encode("latin-1") for field in self._propagator.fields)
        self._getter = _HeaderGetter()

    def context(self, headers: Mapping[bytes, bytes]) -> Context:
        """Return the caller's context; it is empty for headers without any of the `fields`."""
        return self._propagator.extract(headers, Context(), self._getter)


def forwards_baggage() -> bool:
    """Return whether `OTEL_PROPAGATORS` names baggage: then calls of this process have the caller's."""
    return "baggage" in os.environ.get("OTEL_PROPAGATORS", "")


@contextmanager
def without_callers_baggage() -> Iterator[None]:
    """Hide the baggage of the request's client from propagators; that of the application remains."""
    context, request = get_current(), current_request.get()
    if request is None or not baggage.get_all(context):
        yield
        return
    for name, value in baggage.get_all(Extractor().context(header_values(request.scope["headers"]))).items():
        if baggage.get_baggage(name, context) == value:
            context = baggage.remove_baggage(name, context)
    token = attach(context)
    try:
        yield
    finally:
        detach(token)
