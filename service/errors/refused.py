"""Requests that are refused as they are."""

from collections.abc import Sequence

from service.errors.base import ServiceError, Violation


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


class WritesDisabled(ServiceError):
    """A write was asked of a process without a write token."""

    status = 403
    slug = "writes-disabled"
    title = "Writes are disabled"
    meaning = "The service was started without `WRITE_TOKEN`."

    def __init__(self) -> None:
        super().__init__("this process has no write token", hint="start the service with `WRITE_TOKEN` set")


class BodyTooLarge(ServiceError):
    """The request body is over the limit; it was not read to its end."""

    status = 413
    slug = "body-too-large"
    title = "Body too large"
    meaning = "The body is over the limit."

    def __init__(self, *, limit_bytes: int) -> None:
        super().__init__(f"the body is over the limit of {limit_bytes} bytes", headers={"Connection": "close"})


class BodyTooSlow(ServiceError):
    """The request body did not come in time."""

    status = 408
    slug = "body-too-slow"
    title = "Body too slow"
    meaning = "The body did not come to its end in time."

    def __init__(self, *, limit_s: float) -> None:
        super().__init__(f"the body did not come within {limit_s:g} s", headers={"Connection": "close"})


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


class TooManyRequests(ServiceError):
    """The owner's quota is spent."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"
    meaning = "The quota of the token is spent; `RateLimit` says how much it is, `Retry-After` when to try again."

    def __init__(self, policy: str, *, retry_after_s: int) -> None:
        super().__init__(
            f"the quota for {policy} is spent; nothing was begun", headers={"Retry-After": str(retry_after_s)}
        )
