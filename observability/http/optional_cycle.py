"""The request cycle where hooks or functions of the instrumentator need the messages of a request."""

from collections.abc import Awaitable
from typing import Any

from opentelemetry import trace
from starlette.types import Message

from observability.core.internal_errors import suppress_internal_errors
from observability.http.request_cycle import RequestCycle
from observability.tracing.http_options import SpanOptions


class CycleWithOptions(RequestCycle):
    """Keeps the headers of the response, and calls hooks with each message and the current span."""

    def __init__(self, *arguments: Any, options: SpanOptions | None, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._receive_hook = options.client_request_hook if options else None
        self._send_hook = options.client_response_hook if options else None

    async def receive(self) -> Message:
        message = await super().receive()
        if self._receive_hook is not None:
            with suppress_internal_errors("hook"):
                self._receive_hook(trace.get_current_span(), self.scope, message)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.response_headers = message.get("headers", ())
        if self._send_hook is not None:
            with suppress_internal_errors("hook"):
                self._send_hook(trace.get_current_span(), self.scope, message)
        return super().send(message)
