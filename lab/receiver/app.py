"""The receiver's composition: where notifications arrive, the page that shows them, and the runbooks."""

import re
from json import JSONDecodeError
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lab.receiver.inbox import Inbox
from lab.receiver.notification import Notification

RECEIVERS: Final = ("page", "ticket", "drill", "heartbeat")
MAX_BYTES: Final = 1_000_000
HEARTBEAT_LATE_S: Final = 300
_PAGE_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def create_receiver(inbox: Inbox, *, runbooks: Path) -> Starlette:
    """Return the application; notifications arrive at `/notifications/{receiver}` and are shown at `/`."""
    pages = Environment(loader=PackageLoader("lab.receiver"), autoescape=True, undefined=StrictUndefined)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    async def receive(request: Request) -> Response:
        receiver = request.path_params["receiver"]
        if receiver not in RECEIVERS:
            return JSONResponse({"error": f"no receiver {receiver}; there are {', '.join(RECEIVERS)}"}, 404)
        if int(request.headers.get("content-length", MAX_BYTES + 1)) > MAX_BYTES:
            return JSONResponse({"error": f"a notification has at most {MAX_BYTES} bytes and says how many"}, 413)
        try:
            notification = Notification.model_validate(await request.json())
        except (ValidationError, JSONDecodeError, UnicodeDecodeError) as error:
            return JSONResponse({"error": f"no Alertmanager notification, version 4: {error}"}, 400)
        inbox.receive(receiver, notification)
        return Response(status_code=204)

    async def page(_: Request) -> Response:
        return HTMLResponse(
            pages.get_template("inbox.html").render(
                firing=inbox.firing(),
                arrivals=list(reversed(inbox.arrivals)),
                heartbeat_age_s=inbox.heartbeat_age_s(),
                late_s=HEARTBEAT_LATE_S,
            )
        )

    async def listing(_: Request) -> Response:
        return JSONResponse(
            {
                "heartbeat_age_s": inbox.heartbeat_age_s(),
                "arrivals": [
                    {"at": one.at.isoformat(), "receiver": one.receiver, **one.notification.model_dump(mode="json")}
                    for one in inbox.arrivals
                ],
            }
        )

    async def runbook(request: Request) -> Response:
        name = request.path_params["name"]
        path = runbooks / f"{name}.md"
        if not _PAGE_NAME.fullmatch(name) or not path.is_file():
            return PlainTextResponse(f"no runbook {name}", 404)
        body = markdown.render(path.read_text(encoding="utf-8"))
        return HTMLResponse(pages.get_template("runbook.html").render(name=name, body=body))

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/livez", alive),
            Route("/notifications", listing),
            Route("/notifications/{receiver}", receive, methods=["POST"]),
            Route("/runbooks/{name}", runbook),
        ]
    )
