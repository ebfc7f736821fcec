"""A comparison of two services as text: what was sent, and which conditions hold."""

from collections.abc import Iterator, Mapping

from lab.analysis.result import ConditionResult, ExperimentResult, SentResult
from lab.report.formatting import NONE, TIMES, quantity


def condition_sentence(condition: ConditionResult) -> str:
    """Return a condition, its outcome and the figures behind it."""
    if condition.interval is None:
        return f"{condition.text}: {condition.outcome}, without an interval."
    low, high = condition.interval
    times = f"B is {quantity(condition.times, 'times')} A" if condition.times is not None else "no ratio"
    ends = f"{quantity(low, 'times')} to {quantity(high, 'times') if high is not None else 'no upper end'}"
    return f"{condition.text}: {condition.outcome} ({times}, interval {ends})."


def sent_head(experiment: ExperimentResult) -> list[str]:
    off, on = experiment.off.name, experiment.on.name
    return ["request", "share", "expected", f"to {off}", f"to {on}", "other statuses"]


def sent_rows(experiment: ExperimentResult) -> Iterator[list[str]]:
    """Yield one row per kind of request, below `sent_head`."""
    for sent in experiment.sent:
        name = sent.request if sent.request.startswith(sent.kind) else f"{sent.kind}: {sent.request}"
        yield [
            name,
            quantity(sent.share, "share"),
            ", ".join(sent.expect),
            quantity(float(sent.off), ""),
            quantity(float(sent.on), ""),
            _others(experiment, sent),
        ]


def _others(experiment: ExperimentResult, sent: SentResult) -> str:
    sides: list[tuple[str, Mapping[str, int]]] = [
        (experiment.off.name, sent.unexpected_off),
        (experiment.on.name, sent.unexpected_on),
    ]
    said = [f"{name}: {status} {count}{TIMES}" for name, found in sides for status, count in found.items()]
    return ", ".join(said) or NONE


def comparison_markdown(experiment: ExperimentResult) -> Iterator[str]:
    """Yield the lines that a comparison of services adds to its table."""
    if not experiment.sent:
        return
    for condition in experiment.conditions:
        yield f"- {condition_sentence(condition)}"
    for note in experiment.notes:
        yield f"- {note}"
    yield from ("", "<details><summary>What was sent</summary>", "")
    head = sent_head(experiment)
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join(['---'] * len(head))} |"
    for row in sent_rows(experiment):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield from ("", "</details>", "")
