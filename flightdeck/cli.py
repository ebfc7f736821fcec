"""Run the flights service, measure its techniques in experiments, and monitor services of your own."""

import typer

from flightdeck import advise, data, demo, doctor, drill, kit, lab, load, receiver, serve, stack, upstream, worker

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__)
app.add_typer(data.commands, name="data")
app.add_typer(drill.commands, name="drill")
app.add_typer(kit.commands, name="kit")
app.add_typer(lab.commands, name="lab")
app.add_typer(stack.commands, name="stack")
app.command()(advise.advise)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.command()(load.load)
app.command()(receiver.receiver)
app.command()(serve.serve)
app.command()(upstream.upstream)
app.command()(worker.worker)


def main() -> None:
    app()
