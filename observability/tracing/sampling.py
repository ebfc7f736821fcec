"""Head sampling that is decided before a span is created.

The SDK calls its sampler inside `start_span`, which takes four microseconds before. Here the trace id decides, by the
same rule as in `TraceIdRatioBased`, so that all services decide alike. As the SDK's sampler, `HeadSampler` then
confirms the decision, and decides for spans that start outside of requests.
"""

from collections.abc import Sequence
from random import Random
from threading import local
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context, create_key
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from observability.core.settings import TelemetrySettings

FORCE_SAMPLE: Final = create_key("observability-sampled")
"""The context key of a span that is recorded whatever its trace id."""

_LOW_64_BITS: Final = (1 << 64) - 1


class HeadSampler(Sampler):
    """Samples a share of the traces, by trace id; the parent-based kinds follow the caller's decision."""

    def __init__(self, *, share: float, parent_based: bool) -> None:
        self._share = share
        self._parent_based = parent_based
        self._below = round(share * (1 << 64))

    @classmethod
    def of(cls, settings: TelemetrySettings) -> "HeadSampler":
        kind = settings.traces_sampler
        share = {"always_on": 1.0, "always_off": 0.0}.get(
            kind.removeprefix("parentbased_"), settings.traces_sampler_arg
        )
        return cls(share=share, parent_based=kind.startswith("parentbased_"))

    def is_sampled(self, trace_id: int, parent: SpanContext | None) -> bool:
        """Whether a request of this trace is sampled, given the caller's span context."""
        if parent is not None and self._parent_based:
            return parent.trace_flags.sampled
        return trace_id & _LOW_64_BITS < self._below

    def should_sample(  # noqa: PLR0913, PLR0917 the signature is the SDK's
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,  # noqa: ARG002
        kind: SpanKind | None = None,  # noqa: ARG002
        attributes: Attributes | None = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        known = parent if parent.is_valid else None
        if parent_context is not None and FORCE_SAMPLE in parent_context:
            sampled = True
        elif known is not None and not known.is_remote:
            sampled = known.trace_flags.sampled
        else:
            sampled = self.is_sampled(trace_id, known)
        state = known.trace_state if known else None
        if not sampled:
            return SamplingResult(Decision.DROP, trace_state=state)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, state)

    def get_description(self) -> str:
        return f"HeadSampler(share={self._share}, parent_based={self._parent_based})"


class PresetIdGenerator(IdGenerator):
    """Gives the SDK the ids that a request already has: sampling, logs and propagation used them."""

    def __init__(self) -> None:
        # Ids need to be unique, not secret; each process seeds from the system.
        self.random_bits = Random().getrandbits  # noqa: S311 ids are no secrets
        self._preset = local()

    def trace_id(self) -> int:
        return self.random_bits(128) or 1

    def span_id(self) -> int:
        return self.random_bits(64) or 1

    def preset(self, *, trace_id: int, span_id: int) -> None:
        """Use these ids for the next root span, or the span id for the next child, of this thread."""
        self._preset.ids = [span_id, trace_id]

    def generate_trace_id(self) -> int:
        ids = getattr(self._preset, "ids", None)
        return ids.pop() if ids else self.trace_id()

    def generate_span_id(self) -> int:
        ids = getattr(self._preset, "ids", None)
        if not ids:
            return self.span_id()
        self._preset.ids = []
        return int(ids[0])

    def is_trace_id_random(self) -> bool:
        return True
