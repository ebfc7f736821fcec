"""The landing routes."""

from collections.abc import Callable
from typing import Annotated, NoReturn

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.api.openapi import problems
from service.api.parameters import NoParameters
from service.api.responses import json_response
from service.http.negotiation import BLANK, quality
from service.landing.contents import EXAMPLES, links
from service.landing.page import Page
from service.settings import Settings
from service.techniques import CATALOGUE

HTML, JSON = "text/html", "application/json"


class Landing(BaseModel):
    """The configuration of this process, example requests and links."""

    arm: str
    techniques: dict[str, bool]
    requests: list[str] = Field(description="Example requests.")
    links: dict[str, str]


class IntentionalError(RuntimeError):
    """A client has requested an unhandled error."""


def landing_router(settings: Settings, *, metrics_port: Callable[[], int | None]) -> APIRouter:
    router = APIRouter(tags=["landing"])
    page = Page(settings)

    @router.get(
        "/",
        summary="Landing page",
        response_model=Landing,
        responses={200: {"content": {HTML: {"schema": {"type": "string"}}}}, **problems()},
    )
    async def landing_page(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        """Return an HTML page, or JSON if the `Accept` header prefers it."""
        port = metrics_port()
        metrics_url = f"http://{request.url.hostname}:{port}/metrics" if port else None
        found = links(settings, metrics_url=metrics_url)
        if prefers_json(request.headers.get("accept", "")):
            content = Landing(
                arm=settings.arm,
                techniques={technique.name: settings.uses(technique.name) for technique in CATALOGUE},
                requests=[example.path for example in EXAMPLES],
                links={link.name: link.url for link in found},
            )
            response = json_response(content.model_dump_json().encode())
        else:
            base_url = str(request.base_url).rstrip("/")
            response = HTMLResponse(
                page.render(base_url=base_url, links=found),
                headers={"Content-Security-Policy": page.content_security_policy},
            )
        response.headers["Vary"] = "Accept"
        return response

    @router.post("/error", summary="Raise an unhandled error", response_model=None, responses=problems())
    async def error(_: Annotated[NoParameters, Query()]) -> NoReturn:
        """Raise an unhandled error, to see it in logs, traces and the error server."""
        raise IntentionalError("requested with POST /error")

    return router


def prefers_json(accept: str) -> bool:
    """Return whether an `Accept` header accepts JSON with at least the weight of HTML."""
    weights = {HTML: 0.0, JSON: 0.0}
    for part in accept.split(","):
        media_type, *parameters = (word.strip(BLANK).lower() for word in part.split(";"))
        if media_type in weights:
            weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
            weights[media_type] = quality(weight)
    return weights[JSON] > 0 and weights[JSON] >= weights[HTML]
