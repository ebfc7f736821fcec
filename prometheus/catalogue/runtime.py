"""Alerts for the process: event loop, threads, memory, file descriptors, restarts."""

from prometheus.rule import Alert, Group
from prometheus.slo import Objectives

STILL_GROWING = 1.1
"""Ratio to two hours ago: a process whose caches are full has stopped growing and does not leak."""

BOARD = "flightdeck-async?var-arm={{ $labels.arm }}"
PROCESS_BOARD = "flightdeck-runtime?var-arm={{ $labels.arm }}"


def runtime_alerts(objectives: Objectives) -> Group:
    return Group(name="runtime", rules=[*_concurrency(objectives), *_resources(objectives)])


def _concurrency(objectives: Objectives) -> list[Alert]:
    jobs, limits = objectives.slo_jobs, objectives.limits
    return [
        Alert(
            name="EventLoopBlocked",
            expr=(
                f"sum by (job, arm, instance, handler) (rate(event_loop_blocked_seconds_total{{{jobs}}}[5m]))"
                f" > {limits.loop_blocked_ratio:g}"
            ),
            for_="5m",
            summary="{{ $labels.handler }} blocks the event loop of {{ $labels.arm }}",
            description=(
                "{{ $labels.handler }} blocked the event loop of {{ $labels.instance }} for "
                "{{ $value | humanizePercentage }} of the time over [5m], and every other request waited; the limit "
                f"is {limits.loop_blocked_ratio:.0%}."
            ),
            dashboard=BOARD,
            drill="loop-blocked",
        ),
        Alert(
            name="ThreadLimiterFull",
            expr=(
                f"min_over_time(thread_limiter_borrowed_threads{{{jobs}}}[5m])\n"
                f"/ thread_limiter_limit_threads{{{jobs}}} > {limits.thread_occupancy_ratio:g}"
            ),
            for_="2m",
            summary="All {{ $labels.limiter }} threads of {{ $labels.arm }} are busy",
            description=(
                "{{ $value | humanizePercentage }} of the {{ $labels.limiter }} threads were in use for all of "
                "[5m]; further blocking work queues up."
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
    # Where each restart has another `instance`: the instances that another one replaced. Of a release all were older
    # than the window, and an autoscaler replaces none.
    seen = f"count by (job, arm) (last_over_time({start}[30m]))"
    processes = f"max_over_time(count by (job, arm) ({start})[30m:15s])"
    ended = f"count by (job, arm) (last_over_time({start}[30m]) unless {start} unless {start} offset 30m)"
    return [
        Alert(
            name="MemoryGrowth",
            expr=(
                f"{now} / avg_over_time({memory}[30m] offset 6h) > {limits.memory_growth_ratio:g}\n"
                f"and {now} / avg_over_time({memory}[30m] offset 2h) > {STILL_GROWING}"
            ),
            for_="30m",
            summary="The memory of {{ $labels.arm }} grows",
            description=(
                '{{ $labels.instance }} uses {{ $value | printf "%.1f" }} times the memory of [6h] ago and grows.'
            ),
            dashboard=PROCESS_BOARD,
            drill="leak",
        ),
        Alert(
            name="FileDescriptorsNearLimit",
            expr=f"process_open_fds{{{jobs}}} / process_max_fds{{{jobs}}} > {limits.descriptor_ratio:g}",
            for_="5m",
            summary="{{ $labels.arm }} is running out of file descriptors",
            description=(
                "{{ $labels.instance }} has {{ $value | humanizePercentage }} of its file descriptors open; at 100% "
                "it cannot accept connections."
            ),
            dashboard=PROCESS_BOARD,
            drill="descriptors",
        ),
        Alert(
            name="RestartLoop",
            expr=(
                f"max by (job, arm) (changes({start}[30m])) >= {limits.restarts}\n"
                f"or {seen} - {processes} >= {limits.restarts}\n"
                f"and {ended} >= {limits.restarts - 1}"
            ),
            for_="1m",
            summary="{{ $labels.arm }} keeps restarting",
            description='A process of {{ $labels.arm }} restarted {{ $value | printf "%.0f" }} times within [30m].',
            dashboard=PROCESS_BOARD,
            drill="restart-loop",
        ),
    ]
