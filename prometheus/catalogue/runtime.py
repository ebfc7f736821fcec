"""Alerts for the process itself: its event loop, threads, memory, descriptors and restarts."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

STILL_GROWING = 1.1
"""Against two hours before: a process that filled its caches and stopped there does not leak."""

BOARD = "flightdeck-async?var-arm={{ $labels.arm }}"
PROCESS_BOARD = "flightdeck-runtime?var-arm={{ $labels.arm }}"


def runtime_alerts(objectives: Objectives) -> Group:
    """Return the alerts on the event loop, threads, memory, descriptors and restarts."""
    return Group(name="runtime", rules=[*_concurrency(objectives), *_resources(objectives)])


def _concurrency(objectives: Objectives) -> list[Alert]:
    jobs, limits = objectives.slo_jobs, objectives.limits
    return [
        Alert(
            name="EventLoopBlocked",
            severity="ticket",
            owner="service",
            expr=(
                f"sum by (job, arm, instance, handler) (rate(event_loop_blocked_seconds_total{{{jobs}}}[5m]))"
                f" > {limits.loop_blocked_ratio:g}"
            ),
            for_="5m",
            summary="{{ $labels.handler }} blocks the event loop of {{ $labels.arm }}",
            description=(
                "Over [5m] {{ $labels.handler }} kept {{ $labels.instance }} from doing anything else for "
                "{{ $value | humanizePercentage }} of the time, and every request waited; "
                f"the limit is {limits.loop_blocked_ratio:.0%}."
            ),
            dashboard=BOARD,
            drill="loop-blocked",
        ),
        Alert(
            name="ThreadLimiterFull",
            severity="ticket",
            owner="service",
            expr=(
                f"min_over_time(thread_limiter_borrowed_threads{{{jobs}}}[5m])\n"
                f"/ thread_limiter_limit_threads{{{jobs}}} > {limits.thread_occupancy_ratio:g}"
            ),
            for_="2m",
            summary="All {{ $labels.limiter }} threads of {{ $labels.arm }} are busy",
            description=(
                "{{ $value | humanizePercentage }} of the {{ $labels.limiter }} threads were in use for all of [5m]; "
                "further blocking work waits in line."
            ),
            dashboard=BOARD,
            drill="threads-full",
        ),
    ]


def _resources(objectives: Objectives) -> list[Alert]:
    jobs, limits = objectives.slo_jobs, objectives.limits
    memory = f"process_resident_memory_bytes{{{jobs}}}"
    now = f"avg_over_time({memory}[30m])"
    start = f"process_start_time_seconds{{{jobs}}}"
    return [
        Alert(
            name="MemoryGrowth",
            severity="ticket",
            owner="service",
            expr=(
                f"{now} / avg_over_time({memory}[30m] offset 6h) > {limits.memory_growth_ratio:g}\n"
                f"and {now} / avg_over_time({memory}[30m] offset 2h) > {STILL_GROWING}"
            ),
            for_="30m",
            summary="The memory of {{ $labels.arm }} grows",
            description=(
                '{{ $labels.instance }} takes {{ $value | printf "%.1f" }} times the memory that it took [6h] before, '
                "and it still grows."
            ),
            dashboard=PROCESS_BOARD,
            drill="leak",
        ),
        Alert(
            name="FileDescriptorsNearLimit",
            severity="ticket",
            owner="service",
            expr=f"process_open_fds{{{jobs}}} / process_max_fds{{{jobs}}} > {limits.descriptor_ratio:g}",
            for_="5m",
            summary="{{ $labels.arm }} runs out of file descriptors",
            description=(
                "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open; "
                "at 100% it accepts no connection."
            ),
            dashboard=PROCESS_BOARD,
            drill="descriptors",
        ),
        Alert(
            name="RestartLoop",
            severity="ticket",
            owner="service",
            expr=f"max by (job, arm, instance) (changes({start}[30m])) >= {limits.restarts}",
            for_="1m",
            summary="{{ $labels.arm }} restarts again and again",
            description='{{ $labels.instance }} started {{ $value | printf "%.0f" }} times within [30m].',
            dashboard=PROCESS_BOARD,
            drill="restart-loop",
        ),
    ]
