from pathlib import Path
from typing import Annotated, Final

import typer

from flightdeck import ROOT
from flightdeck.exits import fail
from flightdeck.options import Host
from flightdeck.server.listener import base_url, listening_socket

RUNBOOKS: Final = ROOT / "docs" / "runbooks"


def receiver(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 9095,
    runbooks: Annotated[Path, typer.Option(file_okay=False, help="Directory of the runbooks.")] = RUNBOOKS,
) -> None:
    """Receive alerts from Alertmanager and show them on a page, with their runbooks."""
    import uvicorn

    from lab.receiver.app import create_receiver
    from lab.receiver.inbox import Inbox

    if runbooks != RUNBOOKS and not runbooks.is_dir():
        fail(f"--runbooks: {runbooks} is not a directory")
    listener = listening_socket(host, port)
    typer.echo(f"alerts are shown on {base_url(listener)}", err=True)
    config = uvicorn.Config(create_receiver(Inbox(), runbooks=runbooks), log_level="warning")
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
