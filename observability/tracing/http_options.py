"""The options of opentelemetry-instrumentation-fastapi: hooks, excluded URLs, and captured headers."""

import re
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from observability.core.settings import TelemetrySettings
from observability.privacy.scrub import MAX_TEXT, REDACTED, is_secret_name

if TYPE_CHECKING:
    from opentelemetry.util.http import ExcludeList, SanitizeValue

_Message = MutableMapping[str, Any]
ServerRequestHook = Callable[[Span, Scope], object]
MessageHook = Callable[[Span, Scope, _Message], object]
Headers = Iterable[tuple[bytes, bytes]]


class HttpOptions(TypedDict, total=False):
    """The arguments of `FastAPIInstrumentor.instrument_app()` that `instrument()` accepts too."""

    server_request_hook: ServerRequestHook | None
    client_request_hook: MessageHook | None
    client_response_hook: MessageHook | None
    excluded_urls: str | None
    http_capture_headers_server_request: Sequence[str] | None
    http_capture_headers_server_response: Sequence[str] | None
    http_capture_headers_sanitize_fields: Sequence[str] | None
    exclude_spans: Sequence[Literal["receive", "send"]] | None


NO_OPTIONS: Final[HttpOptions] = {}


def with_environment(options: HttpOptions, settings: TelemetrySettings) -> HttpOptions:
    """Return the options with those of the environment where there is no argument."""
    excluded = options.get("excluded_urls")
    return {
        **options,
        "excluded_urls": settings.excluded_urls if excluded is None else excluded,
        "http_capture_headers_server_request": options.get("http_capture_headers_server_request")
        or settings.captured_request_headers,
        "http_capture_headers_server_response": options.get("http_capture_headers_server_response")
        or settings.captured_response_headers,
        "http_capture_headers_sanitize_fields": options.get("http_capture_headers_sanitize_fields")
        or settings.sanitized_headers,
    }


@dataclass(frozen=True, kw_only=True)
class CapturedHeaders:
    """Which headers become attributes of the server span; the names are regular expressions."""

    request: Sequence[str]
    response: Sequence[str]
    sanitized: "SanitizeValue"

    def attributes(self, request: Headers, response: Headers) -> dict[str, AttributeValue]:
        """Return the attributes; the values of headers that usually hold secrets are replaced in any case."""
        from opentelemetry.util.http import (  # noqa: PLC0415 not every application has them
            normalise_request_header_name,
            normalise_response_header_name,
        )

        return {
            **self._of(request, self.request, normalise_request_header_name),
            **self._of(response, self.response, normalise_response_header_name),
        }

    def _of(
        self, headers: Headers, wanted: Sequence[str], attribute_name: Callable[[str], str]
    ) -> dict[str, AttributeValue]:
        if not wanted:
            return {}
        values: dict[str, str | list[str]] = {}
        for raw_name, raw_value in headers:
            name = raw_name.decode("latin-1")
            text = REDACTED if is_secret_name(name) else raw_value[:MAX_TEXT].decode("latin-1")
            found = values.setdefault(name, [])
            if isinstance(found, list):
                found.append(text)
        return dict(self.sanitized.sanitize_header_values(values, list(wanted), attribute_name))


@dataclass(frozen=True, kw_only=True)
class SpanOptions:
    """The options in the form that requests need."""

    excluded: "ExcludeList"
    headers: CapturedHeaders
    server_request_hook: ServerRequestHook | None
    client_request_hook: MessageHook | None
    client_response_hook: MessageHook | None

    @classmethod
    def of(cls, options: HttpOptions) -> "SpanOptions | None":
        """Return the options; None if there are none, so that requests do nothing for them."""
        if unknown := options.keys() - HttpOptions.__annotations__.keys():
            raise TypeError(f"instrument() has no argument {min(unknown)!r}")
        if not any(options.get(name) for name in HttpOptions.__annotations__.keys() - _WITHOUT_EFFECT_ALONE):
            return None
        from opentelemetry.util.http import SanitizeValue, parse_excluded_urls  # noqa: PLC0415 the same

        try:
            excluded = parse_excluded_urls(options.get("excluded_urls") or "")
            headers = CapturedHeaders(
                request=options.get("http_capture_headers_server_request") or (),
                response=options.get("http_capture_headers_server_response") or (),
                sanitized=SanitizeValue(options.get("http_capture_headers_sanitize_fields") or ()),
            )
            headers.attributes([(b"x", b"")], [(b"x", b"")])
        except re.error as error:
            raise ValueError(f"excluded URLs and captured headers are regular expressions: {error}") from error
        return cls(
            excluded=excluded,
            headers=headers,
            server_request_hook=options.get("server_request_hook"),
            client_request_hook=options.get("client_request_hook"),
            client_response_hook=options.get("client_response_hook"),
        )

    def is_excluded(self, scope: Scope) -> bool:
        from opentelemetry.instrumentation.asgi import get_host_port_url_tuple  # noqa: PLC0415 the same

        _, _, url = get_host_port_url_tuple(scope)  # type: ignore[no-untyped-call]  # it has no types
        return self.excluded.url_disabled(url)


_WITHOUT_EFFECT_ALONE: Final = {"exclude_spans", "http_capture_headers_sanitize_fields"}
