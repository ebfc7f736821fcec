"""Results as Prometheus metrics, on a port during the run or in a text file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lab.analysis.environment import Environment
from lab.analysis.result import ExperimentResult, LabResult, Part
from lab.core.errors import BadSetting
from lab.report.observers import RunStep

VERDICTS: Final = {"helps": 1.0, "no difference seen": 0.0, "hurts": -1.0}
INFINITE: Final = float("inf")
OF_EXPERIMENT: Final = ["experiment", "part"]
OF_METRIC: Final = [*OF_EXPERIMENT, "metric"]
OF_MACHINE: Final = ["processor", "cores", "system", "python", "database"]


class ResultCollector(Collector):
    """Collects the finished experiments of a run."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        path: Path | None = None,
        say: Callable[[str], None] = lambda _: None,
        machine: Environment | None = None,
    ) -> None:
        """Write the metrics to `path` after each experiment; call `say` if that fails."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._clock = clock
        self._path = path
        self._say = say
        self._machine = machine
        self._running: RunStep | None = None
        self._finished: dict[tuple[str, Part], tuple[ExperimentResult, float]] = {}

    @classmethod
    def of(cls, result: LabResult, *, finished_at: float) -> "ResultCollector":
        """Collect a result that was measured before."""
        collector = cls(clock=lambda: finished_at, machine=result.environment)
        for part, experiment in result.experiments():
            collector._finished[experiment.name, part] = (experiment, finished_at)
        return collector

    async def on_start(self, step: RunStep) -> None:
        self._running = step
        self._write()

    async def on_end(self, step: RunStep, result: ExperimentResult | None) -> None:
        self._running = None
        if result is not None:
            self._finished[step.experiment, step.part] = (result, self._clock())
        self._write()

    def collect(self) -> Iterator[Metric]:
        running = GaugeMetricFamily("lab_experiment_running", "1 for the experiment in progress.", None, OF_EXPERIMENT)
        if self._running is not None:
            running.add_metric([self._running.experiment, self._running.part], 1)
        yield running
        yield self._of_machine()
        yield from self._of_experiments()
        yield from self._of_metrics()

    @contextmanager
    def served(self, port: int) -> Iterator[None]:
        """Serve the metrics on this port of 127.0.0.1 (0: off); raise `BadSetting` if the port is taken."""
        server: WSGIServer | None = None
        if port:
            try:
                server, _ = start_http_server(port, addr="127.0.0.1", registry=self.registry)
            except OSError as error:
                raise BadSetting("port", str(port), f"free: {error.strerror}") from error
        try:
            yield
        finally:
            if server is not None:
                server.shutdown()
                server.server_close()

    def _of_machine(self) -> Metric:
        info = GaugeMetricFamily("lab_machine_info", "1, with what the results were measured on.", None, OF_MACHINE)
        if (machine := self._machine) is not None:
            database = machine.servers.get("database", "")
            info.add_metric([machine.processor, str(machine.cores), machine.system, machine.python, database], 1)
        return info

    def _of_experiments(self) -> Iterator[Metric]:
        rounds = GaugeMetricFamily("lab_experiment_rounds", "Measured rounds.", None, OF_EXPERIMENT)
        valid = GaugeMetricFamily("lab_experiment_valid", "1 if the load was as planned, else 0.", None, OF_EXPERIMENT)
        ended = GaugeMetricFamily(
            "lab_experiment_finished_timestamp_seconds", "When the experiment ended.", None, OF_EXPERIMENT
        )
        for key, (result, at) in self._finished.items():
            rounds.add_metric(key, len(result.rounds))
            valid.add_metric(key, float(result.is_valid))
            ended.add_metric(key, at)
        yield from (rounds, valid, ended)

    def _of_metrics(self) -> Iterator[Metric]:
        ratio = GaugeMetricFamily("lab_effect_ratio", "Effect of the technique; above 1 it helps.", None, OF_METRIC)
        low = GaugeMetricFamily(
            "lab_effect_ratio_low", "Lower end of the confidence interval of the ratio.", None, OF_METRIC
        )
        high = GaugeMetricFamily(
            "lab_effect_ratio_high", "Upper end of the confidence interval of the ratio.", None, OF_METRIC
        )
        verdict = GaugeMetricFamily("lab_effect_verdict", "1 helps, 0 no difference seen, -1 hurts.", None, OF_METRIC)
        headline = GaugeMetricFamily(
            "lab_effect_headline", "1 for the headline metric of the experiment, else 0.", None, OF_METRIC
        )
        value = GaugeMetricFamily("lab_arm_value", "Value of the metric, by arm.", None, [*OF_METRIC, "side"])
        for key, (result, _) in self._finished.items():
            for name, metric in result.metrics.items():
                labels = [*key, name]
                verdict.add_metric(labels, VERDICTS[metric.verdict])
                headline.add_metric(labels, float(name == result.headline))
                if metric.ratio is not None:
                    ratio.add_metric(labels, metric.ratio)
                if metric.interval is not None:
                    ends = metric.interval
                    low.add_metric(labels, ends[0])
                    high.add_metric(labels, INFINITE if ends[1] is None else ends[1])
                for side, known in (("off", metric.off), ("on", metric.on)):
                    if known is not None:
                        value.add_metric([*labels, side], known)
        yield from (ratio, low, high, verdict, headline, value)

    def write(self, path: Path) -> None:
        """Write the metrics to a text file, which is replaced at once; raise `OSError` if that is impossible."""
        write_to_textfile(str(path), self.registry)

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            self.write(self._path)
        except OSError as error:
            self._say(f"cannot write {self._path}: {error.strerror}")
            self._path = None
