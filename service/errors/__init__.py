"""The errors of the service. Each class is one kind of problem and carries its HTTP status.

ServiceError
├── MalformedBody 400
├── Unauthenticated 401
├── WritesDisabled 403
├── NotFound 404
│   ├── NoReading
│   ├── UnknownAirport
│   ├── UnknownExport
│   └── UnknownFlight
├── ConcurrentUpdate 409
├── ExportNotDone 409
├── ExportGone 410
├── VersionMismatch 412
├── BodyTooLarge 413
├── BodyTooSlow 408
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
    ├── TooManySubscribers
    ├── UpstreamUnavailable
    └── SubscribersUnreachable
"""

from service.errors.base import (
    ServiceError,
    Violation,
)
from service.errors.conflict import (
    ConcurrentUpdate,
    ExportGone,
    ExportNotDone,
    VersionMismatch,
)
from service.errors.not_found import (
    NoReading,
    NotFound,
    UnknownAirport,
    UnknownExport,
    UnknownFlight,
)
from service.errors.refused import (
    BadCursor,
    BodyTooLarge,
    BodyTooSlow,
    IdempotencyKeyReused,
    InvalidRequest,
    MalformedBody,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
    WritesDisabled,
)
from service.errors.unavailable import (
    BrokerUnavailable,
    DatabaseBusy,
    DatabaseUnreachable,
    NotReady,
    Overloaded,
    PoolExhausted,
    StatementTimeout,
    SubscribersUnreachable,
    TooManySubscribers,
    Unavailable,
    UpstreamUnavailable,
)

__all__ = [
    "BadCursor",
    "BodyTooLarge",
    "BodyTooSlow",
    "BrokerUnavailable",
    "ConcurrentUpdate",
    "DatabaseBusy",
    "DatabaseUnreachable",
    "ExportGone",
    "ExportNotDone",
    "IdempotencyKeyReused",
    "InvalidRequest",
    "MalformedBody",
    "NoReading",
    "NotFound",
    "NotReady",
    "Overloaded",
    "PoolExhausted",
    "ServiceError",
    "StatementTimeout",
    "SubscribersUnreachable",
    "TooManyRequests",
    "TooManySubscribers",
    "Unauthenticated",
    "Unavailable",
    "UnknownAirport",
    "UnknownExport",
    "UnknownFlight",
    "UnsupportedMediaType",
    "UpstreamUnavailable",
    "VersionMismatch",
    "Violation",
    "WritesDisabled",
]
