"""One request as each arm's own spans tell it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Self

from pydantic import BaseModel

MOST_SPANS: Final = 400
"""Kept of one trace: the first ones; the others are counted."""

SpanKind = Literal["database", "call", "work"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span as it arrived; times are nanoseconds since 1970."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    begun_ns: int
    ended_ns: int
    kind: SpanKind = "work"


class SpanResult(BaseModel):
    """A span of a kept trace."""

    name: str
    at_s: float
    """Since the trace began."""
    duration_s: float
    depth: int
    """How many spans it is inside of."""
    kind: SpanKind
    """`database`: a statement or a connect; `call`: to another service; `work`: everything else."""


class TraceResult(BaseModel):
    """One request, from its first span to its last."""

    request: str
    status: int
    trace_id: str
    duration_s: float
    spans: list[SpanResult]
    """In the order they began."""
    spans_by_name: dict[str, int]
    """How many there were, the kept and the others."""

    @classmethod
    def of(cls, spans: Iterable[Span], *, request: str, status: int) -> Self:
        """Return the trace that these spans are; raise `ValueError` where there are none."""
        ordered = sorted(spans, key=lambda span: (span.begun_ns, -span.ended_ns))
        if not ordered:
            raise ValueError(f"no span of {request}")
        begun, parents = ordered[0].begun_ns, {span.span_id: span.parent_id for span in ordered}
        return cls(
            request=request,
            status=status,
            trace_id=ordered[0].trace_id,
            duration_s=(max(span.ended_ns for span in ordered) - begun) / 1e9,
            spans=[
                SpanResult(
                    name=span.name,
                    at_s=(span.begun_ns - begun) / 1e9,
                    duration_s=(span.ended_ns - span.begun_ns) / 1e9,
                    depth=_depth(span.span_id, parents),
                    kind=span.kind,
                )
                for span in ordered[:MOST_SPANS]
            ],
            spans_by_name=dict(Counter(span.name for span in ordered).most_common()),
        )

    @property
    def statements(self) -> int:
        """How many of the kept spans are the database's."""
        return sum(span.kind == "database" for span in self.spans)


def _depth(span_id: str, parents: Mapping[str, str]) -> int:
    depth, above = 0, parents.get(span_id, "")
    while above in parents and depth < len(parents):
        depth, above = depth + 1, parents[above]
    return depth
