from pathlib import Path
from typing import Annotated, Final

import typer

from flightdeck.options import Host

RUNBOOKS: Final = Path(__file__).parents[1] / "docs" / "runbooks"


def receiver(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 9095,
    runbooks: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Directory of the runbooks.")] = RUNBOOKS,
) -> None:
    """Receive alerts from Alertmanager and show them on a page, with their runbooks."""
    import uvicorn

    from lab.receiver.app import create_receiver
    from lab.receiver.inbox import Inbox

    typer.echo(f"alerts are shown on http://{host}:{port}", err=True)
    uvicorn.run(create_receiver(Inbox(), runbooks=runbooks), host=host, port=port, log_level="warning")
