"""The errors of the service. Each class is one kind of problem and has its HTTP status.

ServiceError
├── MalformedBody 400
├── Unauthenticated 401
├── WritesDisabled 403
├── NotFound 404
│   ├── NoReading
│   ├── UnknownAirport
│   ├── UnknownExport
│   └── UnknownFlight
├── BodyTooSlow 408
├── ConcurrentUpdate 409
├── ExportNotDone 409
├── ExportGone 410
├── VersionMismatch 412
├── BodyTooLarge 413
├── UnsupportedMediaType 415
├── InvalidRequest 422
│   ├── BadCursor
│   └── IdempotencyKeyReused
├── TooManyRequests 429
└── Unavailable 503
    ├── BrokerUnavailable
    ├── DatabaseBusy
    ├── DatabaseUnreachable
    ├── NotReady
    ├── Overloaded
    ├── PoolExhausted
    ├── StatementTimeout
    ├── SubscribersUnreachable
    ├── TooManySubscribers
    └── UpstreamUnavailable
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One invalid part of a request."""

    location: str
    """`query`, `path`, `header` or `body`; of `NotReady`, `dependency`."""
    name: str
    """The parameter, or the dotted path in the body; empty for all of the location."""
    message: str
    allowed: str | None = None


class ServiceError(Exception):
    """The base of every error that a client sees as a problem document."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    """Derived from the slug if a subclass sets none."""
    meaning: ClassVar[str] = "The service failed; the trace id identifies the request."
    """The description in OpenAPI."""

    def __init_subclass__(cls) -> None:
        if "title" not in vars(cls):
            cls.title = cls.slug.replace("-", " ").capitalize()

    def __init__(
        self,
        detail: str,
        *,
        hint: str | None = None,
        violations: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.violations = tuple(violations)
        self.headers = dict(headers or {})


class MalformedBody(ServiceError):
    status = 400
    slug = "malformed-body"
    meaning = "The body is not a JSON document."


class Unauthenticated(ServiceError):
    status = 401
    slug = "unauthenticated"
    title = "Authentication required"
    meaning = "The bearer token is missing or invalid."

    def __init__(self, detail: str, *, token_was_sent: bool) -> None:
        challenge = 'Bearer realm="flightdeck"' + (', error="invalid_token"' if token_was_sent else "")
        super().__init__(
            detail, hint="send `Authorization: Bearer <WRITE_TOKEN>`", headers={"WWW-Authenticate": challenge}
        )


class WritesDisabled(ServiceError):
    status = 403
    slug = "writes-disabled"
    title = "Writes are disabled"
    meaning = "The service was started without `WRITE_TOKEN`."

    def __init__(self) -> None:
        super().__init__("this process has no write token", hint="start the service with `WRITE_TOKEN` set")


class NotFound(ServiceError):
    status = 404
    slug = "not-found"
    meaning = "There is no resource at this path."


class NoReading(NotFound):
    slug = "no-reading"
    meaning = "There is no weather reading for this airport and hour."

    def __init__(self, faa: str, hour: datetime) -> None:
        super().__init__(
            f"there is no weather reading for {faa[:40]!r} at {hour.isoformat()}",
            hint="EWR, JFK and LGA have a reading for nearly every hour of 2013",
        )


class UnknownAirport(NotFound):
    slug = "unknown-airport"
    meaning = "No airport of the reference table has this code."

    def __init__(self, faa: str) -> None:
        super().__init__(
            f"no airport has the code {faa[:40]!r}",
            hint="codes are three capital letters or digits, such as JFK; GET /airports lists them all",
        )


class UnknownExport(NotFound):
    slug = "unknown-export"
    meaning = "No export of this token has this id."

    def __init__(self, export_id: str) -> None:
        super().__init__(
            f"no export of this token has the id {export_id[:40]!r}",
            hint="POST /exports returns the URL of the export; exports without a file are deleted after a week",
        )


class UnknownFlight(NotFound):
    slug = "unknown-flight"
    meaning = "No flight has this id."

    def __init__(self, flight_id: int) -> None:
        super().__init__(
            f"no flight has the id {str(flight_id)[:40]}", hint="GET /flights lists flights with their ids"
        )


class BodyTooSlow(ServiceError):
    status = 408
    slug = "body-too-slow"
    meaning = "The body did not arrive in time."

    def __init__(self, *, limit_s: float) -> None:
        super().__init__(f"the body did not arrive within {limit_s:g} s", headers={"Connection": "close"})


class ConcurrentUpdate(ServiceError):
    status = 409
    slug = "concurrent-update"
    meaning = "Other clients changed the same flight at the same moment; nothing was written."

    def __init__(self, flight_id: int, *, attempts: int) -> None:
        super().__init__(
            f"flight {flight_id} was changed by other clients during each of {attempts} attempts; nothing was written",
            hint="read the flight and repeat the change if it still makes sense",
        )


class ExportNotDone(ServiceError):
    status = 409
    slug = "export-not-done"
    meaning = "The export has no file yet; `Retry-After` says when to try again."

    def __init__(self, state: str) -> None:
        super().__init__(
            f"the export is {state}", hint="GET the export itself for its progress", headers={"Retry-After": "1"}
        )


class ExportGone(ServiceError):
    status = 410
    slug = "export-gone"
    meaning = "The export failed, was cancelled or has expired; there will be no file."

    def __init__(self, state: str) -> None:
        super().__init__(f"the export is {state}", hint="request a new one: POST /exports")


class VersionMismatch(ServiceError):
    status = 412
    slug = "version-mismatch"
    meaning = "`If-Match` names another version than the current one of the flight; nothing was written."

    def __init__(self, flight_id: int, *, etag: str) -> None:
        super().__init__(
            f"flight {flight_id} is not in the version that If-Match names; nothing was written",
            hint="read the flight and repeat the change if it still makes sense",
            headers={"ETag": etag},
        )


class BodyTooLarge(ServiceError):
    status = 413
    slug = "body-too-large"
    meaning = "The body is over the limit."

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(f"the body is over the limit of {limit_bytes} bytes", headers={"Connection": "close"})


class UnsupportedMediaType(ServiceError):
    status = 415
    slug = "unsupported-media-type"
    meaning = "The body was not sent as `application/json`, or not uncompressed."

    def __init__(self, sent: str, *, coding: str = "") -> None:
        if coding:
            super().__init__(
                f"the body was sent with the content coding {coding[:80]!r}",
                hint="send the body uncompressed, without `Content-Encoding`",
                headers={"Accept-Encoding": "identity"},
            )
            return
        super().__init__(
            f"the body was sent as {sent[:80]!r}" if sent else "the body was sent without a Content-Type",
            hint="send JSON, uncompressed, with `Content-Type: application/json`",
            headers={"Accept": "application/json"},
        )


class InvalidRequest(ServiceError):
    status = 422
    slug = "invalid-request"
    meaning = "A parameter or a field is invalid; `errors` has each with the reason and what is allowed."

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        place = f"{first.location} {first.name}".strip()
        super().__init__(f"{place}: {first.message}{more}", violations=violations)


class BadCursor(InvalidRequest):
    slug = "bad-cursor"
    meaning = "The cursor is damaged, or belongs to a query with other filters or another sort order."

    def __init__(self, message: str) -> None:
        allowed = "the `next` of a response to the same filters and sort, unchanged"
        super().__init__([Violation(location="query", name="cursor", message=message, allowed=allowed)])


class IdempotencyKeyReused(InvalidRequest):
    slug = "idempotency-key-reused"
    meaning = "The idempotency key was used before with another body."

    def __init__(self) -> None:
        message = "was used before with another body"
        allowed = "a new key for a new request, the same body for the same key"
        super().__init__([Violation(location="header", name="Idempotency-Key", message=message, allowed=allowed)])


class TooManyRequests(ServiceError):
    status = 429
    slug = "too-many-requests"
    meaning = "The quota of the token is used up; `RateLimit` has its state, `Retry-After` says when to try again."

    def __init__(self, policy: str, *, retry_after_s: int) -> None:
        super().__init__(
            f"the quota for {policy} is used up; the request was not processed",
            headers={"Retry-After": str(retry_after_s)},
        )


class Unavailable(ServiceError):
    """The same request may succeed later."""

    status = 503
    slug = "unavailable"
    meaning = "The service is temporarily unavailable; `Retry-After` says when to try again."

    def __init__(
        self, detail: str, *, hint: str | None = None, retry_after_s: int = 1, violations: Sequence[Violation] = ()
    ) -> None:
        super().__init__(
            detail,
            hint=hint,
            violations=violations,
            headers={"Retry-After": str(retry_after_s), "Cache-Control": "no-store"},
        )


class BrokerUnavailable(Unavailable):
    slug = "broker-unavailable"
    meaning = "The broker of the task queue is unavailable; no export was started."

    def __init__(self) -> None:
        super().__init__("the task queue is unavailable; no export was started", retry_after_s=5)


class DatabaseBusy(Unavailable):
    slug = "database-busy"
    meaning = "Another transaction held a lock for longer than the lock timeout."

    def __init__(self) -> None:
        super().__init__("another transaction holds the lock that this one needs", hint="repeat the request")


class DatabaseUnreachable(Unavailable):
    slug = "database-unreachable"
    meaning = "The database is unreachable, or the connection was lost."

    def __init__(self) -> None:
        super().__init__("the database is unreachable", hint="GET /readyz says what is missing")


class NotReady(Unavailable):
    slug = "not-ready"
    meaning = "A dependency of the service is missing; `errors` names it."

    def __init__(self, missing: Mapping[str, str]) -> None:
        super().__init__(
            "; ".join(f"{name}: {message}" for name, message in missing.items()),
            retry_after_s=5,
            violations=[
                Violation(location="dependency", name=name, message=message) for name, message in missing.items()
            ],
        )


class Overloaded(Unavailable):
    slug = "overloaded"
    meaning = "The concurrency limit was reached and the request was not admitted in time; it was not processed."

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; this request was not processed", hint="see docs/runbooks/requests-shed.md")


class PoolExhausted(Unavailable):
    slug = "pool-exhausted"
    title = "Connection pool exhausted"
    meaning = "Every database connection stayed checked out for the whole pool timeout."

    def __init__(self, *, size: int, overflow: int, waited_s: float, holders: str = "") -> None:
        super().__init__(
            f"no connection after {waited_s:.1f} s: all {size} and {overflow} overflow are checked out{holders}",
            hint="see docs/runbooks/pool-exhausted.md",
        )


class StatementTimeout(Unavailable):
    slug = "statement-timeout"
    meaning = "The database cancelled a statement that took longer than its timeout."

    def __init__(self) -> None:
        super().__init__(
            "the statement took longer than its timeout", hint="use a shorter date range or a smaller limit"
        )


class SubscribersUnreachable(Unavailable):
    slug = "subscribers-unreachable"
    meaning = "A change could not be published to the subscribers of other processes."

    def __init__(self) -> None:
        super().__init__("Redis does not accept status changes")


class TooManySubscribers(Unavailable):
    slug = "too-many-subscribers"
    meaning = "This process has reached its limit of event streams."

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the limit of {limit} event streams is reached",
            hint="GET /flights/{flight_id} returns the current state",
            retry_after_s=10,
        )


class UpstreamUnavailable(Unavailable):
    slug = "upstream-unavailable"
    meaning = "The weather upstream is unavailable, and there is no stale response to serve."

    def __init__(self, reason: str, *, retry_after_s: int = 1) -> None:
        super().__init__(f"the weather upstream is unavailable: {reason}", retry_after_s=retry_after_s)
        self.reason = reason
