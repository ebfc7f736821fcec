"""Alerts for what happens to an answer on its way out: compression."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives


def delivery_alerts(objectives: Objectives) -> Group:
    """Return the alert on compression that costs more time than it saves."""
    link = objectives.limits.compression_link_mbit_s

    def per_arm(metric: str) -> str:
        return f"sum by (job, arm) (increase({metric}{{{objectives.watched}}}[5m]))"

    saved = f"({per_arm('compression_before_bytes_total')} - {per_arm('compression_after_bytes_total')})"
    saved_s = f"({saved} * 8 / {link * 1e6:.0f} > 0)"
    return Group(
        name="delivery",
        rules=[
            Alert(
                name="CompressionCostsMore",
                severity="ticket",
                owner="service",
                expr=f"{per_arm('compression_duration_seconds_sum')}\n/ {saved_s}\n> 1",
                wait="10m",
                summary="Compression slows answers down on {{ $labels.arm }}",
                description=(
                    'Over [5m] compression took {{ $value | printf "%.1f" }} times as long as it saved '
                    f"on a link of {link:g} Mbit/s: the level is too high or the bodies do not compress."
                ),
                dashboard="flightdeck-compression?var-arm={{ $labels.arm }}",
                no_drill="it takes a badly chosen level in the code, which no fault from outside makes",
            )
        ],
    )
