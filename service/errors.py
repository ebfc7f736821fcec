"""The errors of the service. Each class is one kind of problem and carries its HTTP status.

ServiceError
├── MalformedBody 400
├── Unauthenticated 401
├── WritesOff 403
├── NotFound 404
│   ├── NoReading
│   ├── UnknownAirport
│   ├── UnknownExport
│   └── UnknownFlight
├── ConcurrentUpdate 409
├── ExportNotDone 409
├── ExportGone 410
├── BodyTooLarge 413
├── UnsupportedMediaType 415
├── InvalidRequest 422
│   ├── BadCursor
│   └── IdempotencyKeyReused
└── Unavailable 503
    ├── BrokerUnavailable
    ├── DatabaseBusy
    ├── DatabaseUnreachable
    ├── NotReady
    ├── PoolExhausted
    ├── StatementTimeout
    └── UpstreamUnavailable
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that is wrong with a request: where, what, and what is allowed there."""

    location: str
    """`query`, `path`, `header` or `body`."""
    name: str
    """The parameter or the dotted path in the body; empty for the whole of the location."""
    message: str
    allowed: str | None = None


class ServiceError(Exception):
    """The base of every error that a client sees as a problem document."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    meaning: ClassVar[str] = "The service failed; the trace id finds the cause."

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
    """The request body is not JSON."""

    status = 400
    slug = "malformed-body"
    title = "Malformed body"
    meaning = "The body is not a JSON document."


class Unauthenticated(ServiceError):
    """The bearer token of a write is missing or wrong."""

    status = 401
    slug = "unauthenticated"
    title = "Authentication needed"
    meaning = "The bearer token is missing or wrong."

    def __init__(self, detail: str, *, token_was_sent: bool) -> None:
        challenge = 'Bearer realm="flightdeck"' + (', error="invalid_token"' if token_was_sent else "")
        super().__init__(
            detail, hint="send `Authorization: Bearer <WRITE_TOKEN>`", headers={"WWW-Authenticate": challenge}
        )


class WritesOff(ServiceError):
    """A write was asked of a process without a write token."""

    status = 403
    slug = "writes-off"
    title = "Writes are off"
    meaning = "The service was started without `WRITE_TOKEN`."

    def __init__(self) -> None:
        super().__init__("this process has no write token", hint="start the service with `WRITE_TOKEN` set")


class NotFound(ServiceError):
    """Nothing is at this address."""

    status = 404
    slug = "not-found"
    title = "Not found"
    meaning = "Nothing is at this address."


class NoReading(NotFound):
    """No weather is known for this airport and hour."""

    slug = "no-reading"
    title = "No reading"
    meaning = "No weather is known for this airport and hour."

    def __init__(self, faa: str, hour: datetime) -> None:
        super().__init__(
            f"no weather is known for {faa[:40]!r} at {hour.isoformat()}",
            hint="EWR, JFK and LGA have a reading for nearly every hour of 2013",
        )


class UnknownAirport(NotFound):
    """No airport has this code."""

    slug = "unknown-airport"
    title = "Unknown airport"
    meaning = "No airport of the reference table has this code."

    def __init__(self, faa: str) -> None:
        super().__init__(
            f"no airport has the code {faa[:40]!r}",
            hint="codes are three capital letters or digits, such as JFK; GET /airports lists them all",
        )


class UnknownExport(NotFound):
    """No export of this token has this id."""

    slug = "unknown-export"
    title = "Unknown export"
    meaning = "No export that was asked for with this token has this id."

    def __init__(self, export_id: str) -> None:
        super().__init__(
            f"no export of this token has the id {export_id[:40]!r}",
            hint="POST /exports answers with the address of the export; finished ones are forgotten after a week",
        )


class UnknownFlight(NotFound):
    """No flight has this id."""

    slug = "unknown-flight"
    title = "Unknown flight"
    meaning = "No flight has this id."

    def __init__(self, flight_id: int) -> None:
        super().__init__(
            f"no flight has the id {str(flight_id)[:40]}", hint="GET /flights lists flights with their ids"
        )


class ConcurrentUpdate(ServiceError):
    """The flight was changed by others each time this change was about to be written."""

    status = 409
    slug = "concurrent-update"
    title = "Concurrent update"
    meaning = "Others changed the same flight at the same moment; nothing was written."

    def __init__(self, flight_id: int, *, attempts: int) -> None:
        super().__init__(
            f"flight {flight_id} was changed by others during all of {attempts} attempts; nothing was written",
            hint="read the flight and repeat the change if it still makes sense",
        )


class ExportNotDone(ServiceError):
    """The file of an export that is still being made."""

    status = 409
    slug = "export-not-done"
    title = "Export not done"
    meaning = "The export has no file yet; `Retry-After` says when to look again."

    def __init__(self, state: str) -> None:
        super().__init__(f"the export is {state}", hint="its address tells the progress", headers={"Retry-After": "1"})


class ExportGone(ServiceError):
    """The file of an export that failed, was cancelled or has expired."""

    status = 410
    slug = "export-gone"
    title = "Export gone"
    meaning = "The export failed, was cancelled or has expired; there is no file, and there will be none."

    def __init__(self, state: str) -> None:
        super().__init__(f"the export is {state}", hint="ask for it again: POST /exports")


class BodyTooLarge(ServiceError):
    """The request body is over the limit; it was not read to its end."""

    status = 413
    slug = "body-too-large"
    title = "Body too large"
    meaning = "The body is over the limit."

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(f"the body is over the limit of {limit_bytes} bytes", headers={"Connection": "close"})


class UnsupportedMediaType(ServiceError):
    """The request body is of another type than the route reads."""

    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"
    meaning = "The body is not sent as `application/json`."

    def __init__(self, sent: str) -> None:
        super().__init__(
            f"the body is sent as {sent[:80]!r}" if sent else "the body is sent without a Content-Type",
            hint="send JSON, uncompressed, with `Content-Type: application/json`",
            headers={"Accept": "application/json"},
        )


class InvalidRequest(ServiceError):
    """A parameter or a field is outside of what is allowed."""

    status = 422
    slug = "invalid-request"
    title = "Invalid request"
    meaning = "A parameter or a field is not allowed; `errors` says which, why, and what is."

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        place = f"{first.location} {first.name}".strip()
        super().__init__(f"{place}: {first.message}{more}", violations=violations)


class BadCursor(InvalidRequest):
    """The cursor was not made by this service for this query."""

    slug = "bad-cursor"
    title = "Bad cursor"
    meaning = "The cursor is damaged, or belongs to a query with other filters or another order."

    def __init__(self, message: str) -> None:
        allowed = "the `next` of an answer to the same filters and sort, unchanged"
        super().__init__([Violation(location="query", name="cursor", message=message, allowed=allowed)])


class IdempotencyKeyReused(InvalidRequest):
    """An idempotency key that belongs to another request."""

    slug = "idempotency-key-reused"
    title = "Idempotency key reused"
    meaning = "The idempotency key was given before, with another body."

    def __init__(self) -> None:
        message = "was given before with another body"
        allowed = "a new key for a new request, the same body for the same key"
        super().__init__([Violation(location="header", name="Idempotency-Key", message=message, allowed=allowed)])


class Unavailable(ServiceError):
    """The service can not answer now; the same request may succeed later."""

    status = 503
    slug = "unavailable"
    title = "Unavailable"
    meaning = "The service can not answer now; `Retry-After` says when to try again."

    def __init__(
        self, detail: str, *, hint: str | None = None, retry_after_s: int = 1, violations: Sequence[Violation] = ()
    ) -> None:
        super().__init__(
            detail,
            hint=hint,
            violations=violations,
            headers={"Retry-After": str(retry_after_s), "Cache-Control": "no-store"},
        )


class DatabaseBusy(Unavailable):
    """Another write held a lock for too long."""

    slug = "database-busy"
    title = "Database busy"
    meaning = "Another write held a lock for longer than this one could wait."

    def __init__(self) -> None:
        super().__init__("another write holds the lock that this one needs", hint="repeat the request")


class BrokerUnavailable(Unavailable):
    """The task queue takes no task."""

    slug = "broker-unavailable"
    title = "Broker unavailable"
    meaning = "The task queue's broker does not answer; no export was begun."

    def __init__(self) -> None:
        super().__init__("the task queue takes no export now; nothing was begun", retry_after_s=5)


class DatabaseUnreachable(Unavailable):
    """The database refuses connections or lost this one."""

    slug = "database-unreachable"
    title = "Database unreachable"
    meaning = "The database can not be reached."

    def __init__(self) -> None:
        super().__init__("the database can not be reached", hint="GET /readyz says what is missing")


class NotReady(Unavailable):
    """Something that the service needs is missing."""

    slug = "not-ready"
    title = "Not ready"
    meaning = "Something that the service needs is missing; `errors` names it."

    def __init__(self, missing: Mapping[str, str]) -> None:
        super().__init__(
            "; ".join(f"{name}: {message}" for name, message in missing.items()),
            retry_after_s=5,
            violations=[
                Violation(location="dependency", name=name, message=message) for name, message in missing.items()
            ],
        )


class PoolExhausted(Unavailable):
    """No database connection became free in time."""

    slug = "pool-exhausted"
    title = "Connection pool exhausted"
    meaning = "Every database connection stayed in use for the whole of the pool's timeout."

    def __init__(self, *, size: int, overflow: int, waited_s: float) -> None:
        super().__init__(
            f"no connection after {waited_s:.1f} s: all {size} and {overflow} overflow are checked out",
            hint="see docs/runbooks/pool-exhausted.md",
        )


class StatementTimeout(Unavailable):
    """A statement was cancelled because it took too long."""

    slug = "statement-timeout"
    title = "Statement timeout"
    meaning = "The database cancelled a statement that took longer than its timeout."

    def __init__(self) -> None:
        super().__init__(
            "the database did not answer in time", hint="ask for less: a shorter date range, a smaller limit"
        )


class UpstreamUnavailable(Unavailable):
    """The weather upstream gave no answer, and none is kept from before."""

    slug = "upstream-unavailable"
    title = "Upstream unavailable"
    meaning = "The weather upstream does not answer, and no earlier answer to this request is kept."

    def __init__(self, reason: str, *, retry_after_s: int = 1) -> None:
        super().__init__(f"the weather upstream gave no answer: {reason}", retry_after_s=retry_after_s)
        self.reason = reason
