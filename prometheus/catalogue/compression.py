"""Alerts for what happens to an answer on its way out: compression."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives


def compression_alerts(objectives: Objectives) -> Group:
    """Return the alert on compression that costs more time than it saves."""
    link = objectives.limits.compression_link_mbit_s

    def per_arm(metric: str) -> str:
        return f"sum by (job, arm) (rate({metric}{{{objectives.slo_jobs}}}[5m]))"

    saved = f"({per_arm('compression_before_bytes_total')} - {per_arm('compression_after_bytes_total')})"
    taken_s, saved_s = per_arm("compression_duration_seconds_sum"), f"{saved} * 8 / {link * 1e6:.0f}"
    return Group(
        name="compression",
        rules=[
            Alert(
                name="CompressionCostsMore",
                severity="ticket",
                owner="service",
                expr=(
                    f"1 - {saved_s}\n/ ({taken_s} > 0)\n"
                    f"and {taken_s}\n- {saved_s}\n> {objectives.limits.compression_loss_ratio:g}"
                ),
                for_="10m",
                summary="Compression slows answers down on {{ $labels.arm }}",
                description=(
                    "{{ $value | humanizePercentage }} of the time that compression took over [5m] saved none "
                    f"on a link of {link:g} Mbit/s: the level is too high or the bodies do not compress."
                ),
                dashboard="flightdeck-compression?var-arm={{ $labels.arm }}",
                drill="incompressible",
            )
        ],
    )
