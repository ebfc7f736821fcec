"""The catalogue of experiments, and the jobs of a run."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lab.analysis.outcome import compared
from lab.core.errors import UnknownExperiment
from lab.core.servers import Servers
from lab.experiments import BY_NAME, TOGETHER, Experiment, select_experiments
from lab.measure.metric import ArmRound, metric_named
from lab.measure.plan import QUICK
from lab.measure.rounds import Measurement, Round
from lab.run import RunOptions, experiment_jobs, run
from lab.traffic.traffic import MIXES
from service.techniques import ARMS, NAMES
from tests.lab.known_result import recording

EVERY = pytest.mark.parametrize("experiment", BY_NAME.values(), ids=lambda experiment: experiment.name)


def test_every_technique_has_an_experiment() -> None:
    assert set(BY_NAME) == {*NAMES, "caching", "together"}


@EVERY
def test_an_experiment_names_metrics_and_traffic_that_exist(experiment: Experiment) -> None:
    assert {experiment.mix} | ({experiment.control} - {""}) <= set(MIXES)
    for name in (experiment.headline, *experiment.costs):
        kind, dot, _ = metric_named(name).name.rpartition(".")
        assert not dot or kind in MIXES[experiment.mix]


@EVERY
def test_the_arms_differ_only_in_the_examined_techniques(experiment: Experiment, tmp_path: Path) -> None:
    options = RunOptions(data_dir=tmp_path, command="", plan=QUICK, leave_one_out=True)
    for job in experiment_jobs([experiment], options):
        (comparison,) = job.comparisons
        off, on = comparison.sides.values()
        assert on - off == experiment.techniques
        assert off < on


def test_techniques_arms_and_all_can_be_selected() -> None:
    assert [experiment.name for experiment in select_experiments(["pooling", "caching", "pooling"])] == [
        "pooling",
        "caching",
    ]
    assert select_experiments(["optimized"]) == [TOGETHER]
    assert select_experiments(["all"]) == list(BY_NAME.values())
    assert select_experiments(["caching"])[0].techniques == ARMS["caching"]


def test_an_aa_run_has_two_equal_arms(tmp_path: Path) -> None:
    options = RunOptions(data_dir=tmp_path, command="", plan=QUICK, leave_one_out=True, control=True)
    (alone,) = experiment_jobs(select_experiments(["aa"]), options)
    assert alone.comparisons[0].sides == {"optimized": frozenset(NAMES), "optimized-again": frozenset(NAMES)}


def test_an_unknown_name_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(UnknownExperiment, match=r"no experiment named cacheing; there are: all, caching, "):
        select_experiments(["cacheing"])


def test_the_selected_designs_follow_each_experiment(tmp_path: Path) -> None:
    options = RunOptions(data_dir=tmp_path, command="", plan=QUICK, leave_one_out=True, control=True)
    jobs = experiment_jobs(select_experiments(["compression"]), options)
    planned = [(job.comparisons[0].part, job.plan.mix) for job in jobs]
    assert planned == [("techniques", "boards"), ("leave_one_out", "boards"), ("control", "updates")]


def test_an_experiment_without_its_servers_is_skipped_and_says_what_to_set(tmp_path: Path) -> None:
    plan = replace(QUICK, budget_s=0.0)
    options = RunOptions(data_dir=tmp_path, command="", plan=plan, servers=Servers.from_environ(PRIMARY))
    result = asyncio.run(run(experiment_jobs(select_experiments(["read_replicas"]), options), options, NullProgress()))
    assert result.techniques == {}
    assert result.skipped == {
        "read_replicas (alone)": "set DATABASE_REPLICA_URL: PostgreSQL with a streaming replica (docs/postgresql.md)"
    }


PRIMARY = {"DATABASE_URL": "postgresql+asyncpg://user:secret@db.example/flights", "REDIS_URL": ""}


def test_servers_are_named_by_what_they_are_and_nothing_secret() -> None:
    servers = Servers.from_environ(PRIMARY | {"CELERY_BROKER_URL": "amqp://guest:guest@127.0.0.1//"})
    assert servers.described() == {
        "database": "PostgreSQL",
        "shared cache": "in the process",
        "task broker": "RabbitMQ",
    }
    assert not servers.has_own_database
    assert Servers.from_environ({}).has_own_database


def test_nothing_is_missing_where_every_server_is_named() -> None:
    every = PRIMARY | {"DATABASE_REPLICA_URL": "postgresql://replica.example/flights"}
    assert Servers.from_environ(every).missing(BY_NAME["read_replicas"].required_settings) == []
    assert Servers.from_environ({}).missing(BY_NAME["read_replicas"].required_settings) == [
        "DATABASE_URL",
        "DATABASE_REPLICA_URL",
    ]


class NullProgress:
    def status(self, text: str) -> None:
        """Show nothing."""

    def measured(self, arm: str, round_: int, arm_round: ArmRound) -> None:
        """Show nothing."""


def test_an_unseen_difference_comes_with_its_reason() -> None:
    sides = {"off": frozenset[str](), "on": frozenset({"deferred_columns"})}
    equal = {side: ArmRound(open_loop=recording(0.2, 1000)) for side in sides}
    measured = Measurement(rate_per_s=10, rounds=[Round(at_s=number, arms=equal) for number in range(6)])
    explained = replace(BY_NAME["deferred_columns"], headline="mean_s")
    for experiment in (explained, replace(explained, limits="")):
        found = compared(experiment, measured, sides=sides)
        assert found.verdict == "no difference seen"
        assert (explained.limits in found.notes) is bool(experiment.limits)
