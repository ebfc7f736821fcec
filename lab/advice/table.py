"""The advice as a table on a terminal, and as Markdown."""

from collections.abc import Iterator

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.advice.result import Advice, Prediction
from lab.report.formatting import NONE, quantity

COLUMNS = ("technique", "verdict", "metric", "now", "predicted", "effect", "interval", "routes", "cost", "confidence")
STYLES = {"helps": "green", "hurts": "red"}


def effect(prediction: Prediction) -> str:
    """Return the effect as a factor; `all` where nothing would remain."""
    if prediction.effect is not None:
        return quantity(prediction.effect, "times")
    return "all" if prediction.off and not prediction.on else NONE


def interval(prediction: Prediction) -> str:
    """Return the interval of the effect; a dash without one."""
    if prediction.interval is None:
        return NONE
    low, high = prediction.interval
    return (
        f"{quantity(low, 'times')} to {quantity(high, 'times')}" if high is not None else f"≥ {quantity(low, 'times')}"
    )


def routes(prediction: Prediction, *, most: int = 3) -> str:
    """Return the routes with the largest shares of the saving."""
    shown = [f"{route} {100 * share:.0f} %" for route, share in list(prediction.routes.items())[:most]]
    further = len(prediction.routes) - most
    return ", ".join([*shown, f"{further} more"] if further > 0 else shown) or NONE


def cells(prediction: Prediction) -> list[str]:
    return [
        prediction.title,
        prediction.verdict,
        prediction.metric,
        quantity(prediction.off, prediction.unit),
        quantity(prediction.on, prediction.unit),
        effect(prediction),
        interval(prediction),
        routes(prediction),
        prediction.cost if prediction.verdict == "helps" else NONE,
        prediction.confidence if prediction.confidence != "none" else NONE,
    ]


def print_advice(advice: Advice, console: Console) -> None:
    """Print what helps or hurts as a table that fits 80 columns, how each technique is done, and the other verdicts."""
    console.print(advice.conclusion, style="bold", markup=False)
    table = Table(header_style="dim", box=SIMPLE, padding=(0, 1))
    for column in ("technique", "effect", "interval", "what changes"):
        table.add_column(column)
    effective = [one for one in advice.predictions if one.verdict in {"helps", "hurts"}]
    for one in effective:
        change = f"{one.metric}: {quantity(one.off, one.unit)} → {quantity(one.on, one.unit)}"
        table.add_row(
            Text(one.title, style="bold"), Text(effect(one), style=STYLES[one.verdict]), interval(one), Text(change)
        )
    if table.row_count:
        console.print(table)
    for prediction in advice.helping:
        console.print(f"{prediction.title}: {prediction.how_to}", markup=False, highlight=False)
        for note in (f"routes: {routes(prediction)}", f"cost: {prediction.cost}", *details(prediction)):
            console.print(f"    {note}", style="dim", markup=False, highlight=False)
    for verdict in ("no difference", "too little traffic", "not observed", "not observable"):
        named = [one.title for one in advice.predictions if one.verdict == verdict]
        if named:
            console.print(f"{verdict}: {', '.join(named)}", style="dim", markup=False)


def details(prediction: Prediction) -> Iterator[str]:
    """Yield what the prediction assumes, what it rests on, and what is left of it behind a cache."""
    yield from prediction.notes
    if prediction.after_caching is not None:
        yield f"behind a response cache its effect is {quantity(prediction.after_caching, 'times')}"
    yield (
        f"predicted from {prediction.basis:,.0f} {prediction.basis_unit}, with {prediction.confidence} confidence; "
        f"the flights service: {prediction.service}"
    )


def markdown(advice: Advice) -> str:
    lines = [f"{advice.conclusion}", "", f"| {' | '.join(COLUMNS)} |", f"|{' --- |' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(prediction))} |" for prediction in advice.predictions]
    lines += ["", f"{advice.source}, {advice.seconds:,.0f} s, {advice.requests:,.0f} requests"]
    return "\n".join(lines) + "\n"
