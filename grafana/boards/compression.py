"""Compression: bytes saved, CPU spent, and the link speed up to which it pays."""

from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from grafana import units
from grafana.board import Board, Section
from grafana.colours import ARMS
from grafana.panels.bars import bars
from grafana.panels.colour import coloured, fixed_colour
from grafana.panels.stat import stat
from grafana.panels.table import Column, table
from grafana.panels.timeseries import logarithmic, stacked, time_series, with_threshold_line
from grafana.query import ARM, instant, query, rows
from grafana.thresholds import below_is_bad
from prometheus.slo import Limits, Objectives

LINKS_MBIT_S: Final = {"2 Mbit/s": 2, "10 Mbit/s": 10, "50 Mbit/s": 50, "100 Mbit/s": 100, "1 Gbit/s": 1000}
BOARD: Final = 'handler="/airports/{faa}/departures"'


def dashboard(objectives: Objectives) -> Dashboard:
    return Board(
        uid="flightdeck-compression",
        title="Compression",
        question="How many bytes does compression save, what CPU does it cost, and on which links does it pay?",
        sections=[
            Section(title="", panels=_overview()),
            Section(title="By encoding", panels=_by_encoding()),
            Section(title="Does it pay?", panels=_worth(objectives.limits)),
        ],
        variables=("datasource", "arm", "window"),
    ).build(objectives)


def _rate(metric: str, by: str = "encoding", matching: str = "") -> str:
    return f"sum by ({by}) (rate(compression_{metric}{{{ARM}{matching}}}[$window]))"


def _total(metric: str) -> str:
    return f"sum(rate(compression_{metric}{{{ARM}}}[$window]))"


def _overview() -> list[Builder[Panel]]:
    return [
        bars(
            "A departure board on the wire",
            "Bytes of the average departure board as each arm sends it, for the same requests. Compression sends a "
            "fraction of what baseline sends.",
            instant(f"max by (arm) (handler:response_bytes_per_request:ratio_rate5m{{{ARM}, {BOARD}}})", "{{arm}}"),
            unit=units.BYTES,
        )
        .span(8)
        .height(9),
        table(
            "Bytes by route",
            "Average response of each route on the arm without techniques and on the arm that only compresses, the "
            "ten largest first. Small responses are sent as they are: below the minimum size, compressing costs more "
            "than it saves.",
            Column(
                title="baseline",
                query=rows(
                    'topk(10, max by (handler) (handler:response_bytes_per_request:ratio_rate5m{arm="baseline"}))'
                ),
                unit=units.BYTES,
                bar=True,
            ),
            Column(
                title="compression",
                query=rows('max by (handler) (handler:response_bytes_per_request:ratio_rate5m{arm="compression"})'),
                unit=units.BYTES,
                bar=True,
            ),
            Column(
                title="smaller by",
                query=rows('max by (handler) (handler_effect:response_bytes_per_request:ratio{arm="compression"})'),
                unit=units.FACTOR,
                decimals=1,
            ),
            key={"handler": "Route"},
        )
        .span(11)
        .height(9),
        coloured(
            stat(
                "Compression ratio",
                "Bytes of bodies divided by bytes on the wire, over all responses. JSON reaches 4 to 12; "
                "near 1 the bodies do not compress and the CPU is wasted.",
                instant(f"max by (arm) (arm:compression:ratio_rate5m{{{ARM}}} > 1)", "{{arm}}"),
                unit=units.FACTOR,
            )
        )
        .decimals(1)
        .span(5)
        .height(9),
    ]


def _by_encoding() -> list[Builder[Panel]]:
    responses = _rate("responses_total", "arm")
    compressed = _rate("responses_total", "arm", ', encoding!="identity"')
    reused = _rate("responses_total", "arm", ', reused="true"')
    return [
        time_series(
            "Bytes before and after",
            "Body bytes per second before compression and as sent. The gap between the lines is what compression "
            "saves.",
            query(_total("before_bytes_total"), "before"),
            query(_total("after_bytes_total"), "after"),
            unit=units.BYTES_PER_SECOND,
        )
        .override_by_name("before", [fixed_colour(ARMS["baseline"])])
        .override_by_name("after", [fixed_colour(ARMS["compression"])])
        .span(8),
        stacked(
            time_series(
                "Bytes on the wire by encoding",
                "The bytes sent, by encoding. identity is uncompressed: small bodies, and clients that accept no "
                "other encoding.",
                query(_rate("after_bytes_total"), "{{encoding}}"),
                unit=units.BYTES_PER_SECOND,
            )
        ).span(8),
        time_series(
            "Ratio by encoding",
            "Bytes before compression divided by bytes after. br and zstd should be above gzip; identity is 1 by "
            "definition.",
            query(f"{_rate('before_bytes_total')}\n/\n({_rate('after_bytes_total')} > 0)", "{{encoding}}"),
            unit=units.FACTOR,
        ).span(8),
        time_series(
            "Compression time per megabyte",
            "Seconds of compression per megabyte of bodies. Bodies that were compressed earlier and sent again cost "
            "nothing and are in the average: caches bring it down.",
            query(f"{_rate('duration_seconds_sum')}\n/\n({_rate('before_bytes_total')} / 1e6 > 0)", "{{encoding}}"),
            unit=units.SECONDS,
        ).span(8),
        logarithmic(
            "Time to compress one body, p95",
            "A departure board takes a millisecond or less with zstd. Large bodies are compressed on threads, while "
            "the event loop serves other requests. Dots lead to traces.",
            query(
                "histogram_quantile(0.95, sum by (encoding, le) "
                f"(rate(compression_duration_seconds_bucket{{{ARM}}}[$window])))",
                "{{encoding}}",
            ),
            unit=units.SECONDS,
        ).span(8),
        time_series(
            "Reused compressed bodies",
            "Share of compressed responses that reuse bytes compressed for an earlier response. It follows the hit "
            "ratio of the cache; an arm without a cache compresses every response.",
            query(
                f"({reused} or {responses} * 0)\n/\n({compressed} > 0)",
                "{{arm}}",
            ),
            unit=units.SHARE,
        )
        .max(1)
        .span(8),
    ]


def _worth(limits: Limits) -> list[Builder[Panel]]:
    limit = limits.compression_link_mbit_s * 1e6
    saved = f"({_rate('before_bytes_total')} - {_rate('after_bytes_total')})"

    def on_link(mbit_s: int) -> str:
        return (
            f"max by (arm) (handler:latency_seconds:p50_rate5m{{{ARM}, {BOARD}}})"
            f" + max by (arm) (handler:response_bytes_per_request:ratio_rate5m{{{ARM}, {BOARD}}}) "
            f" * 8 / {mbit_s * 1e6:g}"
        )

    return [
        table(
            "Time to the last byte of a departure board, on modelled links",
            "Measured median time of the service plus the calculated time of the bytes on a link of this speed. On "
            "slow links the bytes decide and compression wins; on fast ones only the service's own time remains.",
            *(
                Column(title=title, query=rows(on_link(mbit_s)), unit=units.SECONDS, bar=True)
                for title, mbit_s in LINKS_MBIT_S.items()
            ),
            key={"arm": "Arm"},
        )
        .span(16)
        .height(8),
        with_threshold_line(
            logarithmic(
                "Break-even link speed",
                "On links slower than this, compression saves more time than it takes; on faster ones it delays the "
                f"response. Good is far above the dashed line ({limit / 1e6:g} Mbit/s, from slo.toml), below which "
                "the alert CompressionCostsMore applies.",
                query(f"{saved} * 8\n/\n({_rate('duration_seconds_sum')} > 0)", "{{encoding}}"),
                unit=units.BITS_PER_SECOND,
            ),
            below_is_bad(limit),
        )
        .span(8)
        .height(8),
    ]
