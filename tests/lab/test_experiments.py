"""The experiments, read as the catalogue they are."""

from pathlib import Path

import pytest

from lab.errors import UnknownExperiment
from lab.experiments import BY_NAME, EXPERIMENTS, NOT_EMBEDDED, TOGETHER, Experiment, chosen
from lab.metric import metric_named
from lab.run import QUICK, Job, RunOptions, jobs
from lab.traffic import MIXES
from service.techniques import ARMS, NAMES

EVERY = pytest.mark.parametrize("experiment", [*EXPERIMENTS, TOGETHER], ids=lambda experiment: experiment.name)


def test_every_technique_has_an_experiment_or_a_reason_why_not() -> None:
    assert set(NAMES) <= set(BY_NAME) | set(NOT_EMBEDDED)
    assert not set(BY_NAME) & set(NOT_EMBEDDED)


@EVERY
def test_an_experiment_names_metrics_and_traffic_that_exist(experiment: Experiment) -> None:
    assert {experiment.mix} | ({experiment.elsewhere} - {""}) <= set(MIXES)
    for name in (experiment.headline, *experiment.costs):
        kind, dot, _ = metric_named(name).name.rpartition(".")
        assert not dot or kind in MIXES[experiment.mix]


@EVERY
def test_the_arms_differ_in_exactly_what_is_examined(experiment: Experiment) -> None:
    for part in ("techniques", "leave_one_out"):
        off, on = Job(experiment=experiment, part=part).sides.values()
        assert on - off == experiment.techniques
        assert off < on


def test_techniques_arms_and_all_can_be_asked_for() -> None:
    assert [experiment.name for experiment in chosen(["pooling", "caching", "pooling"])] == ["pooling", "caching"]
    assert chosen(["optimized"]) == [TOGETHER]
    assert chosen(["all"]) == list(EXPERIMENTS)
    assert chosen(["caching"])[0].techniques == ARMS["caching"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownExperiment, match=r"no experiment named cacheing; there are: all, caching, "):
        chosen(["cacheing"])


def test_the_designs_that_are_asked_for_follow_each_experiment(tmp_path: Path) -> None:
    options = RunOptions(data_dir=tmp_path, command="", plan=QUICK, leave_one_out=True, elsewhere=True)
    planned = [(job.part, job.experiment.mix) for job in jobs(chosen(["compression"]), options)]
    assert planned == [("techniques", "boards"), ("leave_one_out", "boards"), ("elsewhere", "updates")]
