"""The trace of one request."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

from pydantic import BaseModel

MOST_SPANS: Final = 400
"""Kept of one trace, from its start; the others are only counted."""

SpanKind = Literal["database", "call", "work"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A received span; times are in nanoseconds since 1970."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    kind: SpanKind = "work"


class SpanResult(BaseModel):
    name: str
    at_s: float
    """Since the start of the trace."""
    duration_s: float
    depth: int
    """Number of its ancestors."""
    kind: SpanKind
    """`database`: a statement or a connect; `call`: a request to another service; `work`: any other span."""


class TraceResult(BaseModel):
    request: str
    status: int
    trace_id: str
    duration_s: float
    spans: list[SpanResult]
    """Ordered by their start."""
    spans_by_name: dict[str, int]
    """Counts, including spans that were not kept."""

    @classmethod
    def of(cls, spans: Iterable[Span], *, request: str, status: int) -> Self:
        """Build the trace; raise `ValueError` without spans."""
        ordered = sorted(spans, key=lambda span: (span.started_ns, -span.ended_ns))
        if not ordered:
            raise ValueError(f"no span of {request}")
        begun, parents = ordered[0].started_ns, {span.span_id: span.parent_id for span in ordered}
        return cls(
            request=request,
            status=status,
            trace_id=ordered[0].trace_id,
            duration_s=(max(span.ended_ns for span in ordered) - begun) / 1e9,
            spans=[
                SpanResult(
                    name=span.name,
                    at_s=(span.started_ns - begun) / 1e9,
                    duration_s=(span.ended_ns - span.started_ns) / 1e9,
                    depth=_depth(span.span_id, parents),
                    kind=span.kind,
                )
                for span in ordered[:MOST_SPANS]
            ],
            spans_by_name=dict(Counter(span.name for span in ordered).most_common()),
        )


def _depth(span_id: str, parents: Mapping[str, str]) -> int:
    depth, above = 0, parents.get(span_id, "")
    while above in parents and depth < len(parents):
        depth, above = depth + 1, parents[above]
    return depth
