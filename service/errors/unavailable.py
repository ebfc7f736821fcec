"""What the service can not do now and may do later."""

from collections.abc import Mapping, Sequence

from service.errors.base import ServiceError, Violation


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


class BrokerUnavailable(Unavailable):
    """The task queue takes no task."""

    slug = "broker-unavailable"
    title = "Broker unavailable"
    meaning = "The task queue's broker does not answer; no export was begun."

    def __init__(self) -> None:
        super().__init__("the task queue takes no export now; nothing was begun", retry_after_s=5)


class DatabaseBusy(Unavailable):
    """Another write held a lock for too long."""

    slug = "database-busy"
    title = "Database busy"
    meaning = "Another write held a lock for longer than this one could wait."

    def __init__(self) -> None:
        super().__init__("another write holds the lock that this one needs", hint="repeat the request")


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


class Overloaded(Unavailable):
    """The process works on as many requests as it may, and no turn came in time."""

    slug = "overloaded"
    title = "Overloaded"
    meaning = "The process has more requests than it can answer in time; this one was not processed."

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; this request was not processed", hint="see docs/runbooks/requests-shed.md")


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


class TooManySubscribers(Unavailable):
    """This process serves its maximum number of event streams."""

    slug = "too-many-subscribers"
    title = "Too many subscribers"
    meaning = "This process serves its maximum number of event streams."

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} event streams are open",
            hint="GET /flights/{flight_id} returns the current state",
            retry_after_s=10,
        )


class UpstreamUnavailable(Unavailable):
    """The weather upstream gave no answer, and none is kept from before."""

    slug = "upstream-unavailable"
    title = "Upstream unavailable"
    meaning = "The weather upstream does not answer, and no earlier answer to this request is kept."

    def __init__(self, reason: str, *, retry_after_s: int = 1) -> None:
        super().__init__(f"the weather upstream gave no answer: {reason}", retry_after_s=retry_after_s)
        self.reason = reason


class SubscribersUnreachable(Unavailable):
    """A change could not be delivered to the subscribers of other processes."""

    slug = "subscribers-unreachable"
    title = "Subscribers unreachable"
    meaning = "A change could not be delivered to the subscribers of other processes."

    def __init__(self) -> None:
        super().__init__("Redis does not accept status changes")
