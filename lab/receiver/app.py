"""The receiver's application: its webhook, the page of notifications, and the runbooks."""

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
_RUNBOOK_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def create_receiver(inbox: Inbox, *, runbooks: Path) -> Starlette:
    """Return the application; Alertmanager posts to `/notifications/{receiver}`, and `/` shows the notifications."""
    pages = Environment(loader=PackageLoader("lab.receiver"), autoescape=True, undefined=StrictUndefined)
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    async def receive(request: Request) -> Response:
        receiver = request.path_params["receiver"]
        if receiver not in RECEIVERS:
            return JSONResponse({"error": f"unknown receiver {receiver}; known: {', '.join(RECEIVERS)}"}, 404)
        if int(request.headers.get("content-length", MAX_BYTES + 1)) > MAX_BYTES:
            return JSONResponse({"error": f"a notification needs a Content-Length of at most {MAX_BYTES} bytes"}, 413)
        try:
            notification = Notification.model_validate(await request.json())
        except (ValidationError, JSONDecodeError, UnicodeDecodeError) as error:
            return JSONResponse({"error": f"not an Alertmanager notification of version 4: {error}"}, 400)
        inbox.receive(receiver, notification)
        return Response(status_code=204)

    async def page(_: Request) -> Response:
        return HTMLResponse(
            pages.get_template("inbox.html").render(
                firing=inbox.firing(),
                notifications=list(reversed(inbox.notifications)),
                heartbeat_age_s=inbox.heartbeat_age_s(),
                late_s=HEARTBEAT_LATE_S,
            )
        )

    async def listing(_: Request) -> Response:
        return JSONResponse(
            {
                "heartbeat_age_s": inbox.heartbeat_age_s(),
                "notifications": [
                    {"received_at": one.received_at.isoformat(), **one.notification.model_dump(mode="json")}
                    for one in inbox.notifications
                ],
            }
        )

    async def runbook(request: Request) -> Response:
        name = request.path_params["name"].removesuffix(".md")  # as runbooks link to each other
        path = runbooks / f"{name}.md"
        if not _RUNBOOK_NAME.fullmatch(name) or not path.is_file():
            return PlainTextResponse(f"no runbook {name}", 404)
        body = markdown.render(path.read_text(encoding="utf-8"))
        return HTMLResponse(pages.get_template("runbook.html").render(name=name, body=body))

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/livez", livez),
            Route("/notifications", listing),
            Route("/notifications/{receiver}", receive, methods=["POST"]),
            Route("/runbooks/{name}", runbook),
        ]
    )
